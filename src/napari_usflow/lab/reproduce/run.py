"""All figures of the paper, in one go."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from napari_usflow.errors import JobError
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.lab.gaussian.run import SIGMAS
from napari_usflow.lab.reproduce.anatomies import anatomies_events
from napari_usflow.lab.reproduce.fig2_patches import patches_events
from napari_usflow.lab.reproduce.fig3_gaussian import gaussian_figure_events
from napari_usflow.lab.reproduce.fig4_examples import examples_events
from napari_usflow.lab.reproduce.fig5_speckle import speckle_figure_events
from napari_usflow.lab.reproduce.fig6_picmus import carotid_events, picmus_figure_events
from napari_usflow.lab.reproduce.fig8_heart import heart_events
from napari_usflow.lab.reproduce.folders import Folders
from napari_usflow.lab.reproduce.priors import PAPER_PRIOR, Training, prior_events
from napari_usflow.lab.reproduce.settings import Job

__all__ = ["FIGURES", "Reproduced", "Request", "reproduce_events"]

FIGURES = ("2", "3", "4", "5", "6", "7", "8", "anatomies")
"""Figures of the paper by their numbers, and knees alone against all body parts."""

Prior = str | os.PathLike[str]


@dataclass(frozen=True)
class Request:
    """Request for figures.

    Attributes
    ----------
    folders : Folders
    out : Path
        Gets the figures, tables and training runs.
    figures : sequence of str
        Of :data:`FIGURES`.
    prior : str or path, optional
        Of the paper's kind, trained on knees; the shipped one when omitted, and where
        there is none it is trained.
    prior_all : str or path, optional
        The same, trained on all body parts; trained when omitted.
    config : str
        Configuration of what is trained.
    changes : sequence of str
        Fields of it.
    count : int
        Crops an anatomy of Fig. 3.
    sigmas : sequence of float
        Noise levels of Fig. 3 and 4, fractions of the value range.
    device : str
    """

    folders: Folders
    out: Path
    figures: Sequence[str] = FIGURES
    prior: Prior | None = None
    prior_all: Prior | None = None
    config: str = PAPER_PRIOR
    changes: Sequence[str] = ()
    count: int = 8
    sigmas: Sequence[float] = SIGMAS
    device: str = "auto"

    @cached_property
    def training(self) -> Training:
        """Training settings of priors."""
        return Training(self.config, self.changes, self.out / "runs")


@dataclass(frozen=True)
class Reproduced:
    """Figures that were made, and those left out.

    Attributes
    ----------
    files : list of Path
    left_out : dict of str to str
        Figures that could not be made, and why.
    """

    files: list[Path]
    left_out: dict[str, str]


def reproduce_events(
    request: Request, token: CancelToken | None = None
) -> Generator[Event, None, Reproduced]:
    """Make the figures of the paper, with its settings and our methods beside them.

    A figure whose data are not there is left out, with a note.

    Yields
    ------
    Event
        Notes, progress, and the events of a training where one is needed.

    Returns
    -------
    Reproduced
    """
    token = token or CancelToken()
    request.out.mkdir(parents=True, exist_ok=True)
    knees = yield from _prior(request, "knees", request.prior, "knee", token)
    made = Reproduced([], {})
    for name in FIGURES:
        if name not in request.figures:
            continue
        token.raise_if_cancelled()
        try:
            made.files.extend((yield from _figure(name, request, knees, token)))
        except (ValueError, JobError) as error:
            made.left_out[name] = str(error)
            yield Note(f"figure {name} is left out: {error}")
    return made


def _prior(
    request: Request, name: str, given: Prior | None, only: str, token: CancelToken
) -> Generator[Event, None, Prior]:
    return prior_events(
        name,
        given,
        only,
        request.training,
        request.folders,
        device=request.device,
        token=token,
    )


def _figure(
    name: str, request: Request, knees: Prior, token: CancelToken
) -> Generator[Event, None, list[Path]]:
    folders, out, device = request.folders, request.out, request.device
    common: dict[str, Any] = {"device": device, "token": token}
    of_noise = {**common, "sigmas": request.sigmas}
    if name == "3":
        return (
            yield from gaussian_figure_events(
                folders, knees, out, count=request.count, **of_noise
            )
        )
    if name == "4":
        return (yield from examples_events(folders, knees, out, **of_noise))
    if name == "anatomies":
        everything = yield from _prior(request, "all", request.prior_all, "", token)
        return (
            yield from anatomies_events(
                folders, knees, everything, out, count=request.count, **of_noise
            )
        )
    on_images: dict[str, Callable[..., Generator[Event, None, list[Path]]]] = {
        "6": picmus_figure_events,
        "7": carotid_events,
        "8": heart_events,
    }
    if name in on_images:
        return (yield from on_images[name](folders, knees, out, Job(device, token)))
    on_mri = {"2": patches_events, "5": speckle_figure_events}
    return (yield from on_mri[name](folders, knees, out, **common))
