"""The priors of the figures: given, shipped, or trained here."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.lab.reproduce.folders import Folders
from napari_usflow.prior.store import available_priors

__all__ = ["PAPER_PRIOR", "Training", "prior_events"]

PAPER_PRIOR = "paper-small"
"""The shipped prior of the paper's kind."""


@dataclass(frozen=True)
class Training:
    """Training of a prior where none is given.

    Attributes
    ----------
    config : str
        Name of a configuration.
    changes : sequence of str
        Fields of it, see :func:`napari_usflow.parameter_changes.changed`.
    runs : Path
        Folder of the runs, one below it each; what was begun there is gone on with.
    """

    config: str
    changes: Sequence[str]
    runs: Path


def prior_events(
    name: str,
    given: str | os.PathLike[str] | None,
    only: str,
    training: Training,
    folders: Folders,
    *,
    device: str,
    token: CancelToken,
) -> Generator[Event, None, str | os.PathLike[str]]:
    """Find a prior, or train it.

    Parameters
    ----------
    name : str
        Of the run that trains it.
    given : str or path, optional
        Taken as it is.
    only : str
        Body parts to train on, empty for all. Without ``given``, the shipped prior is
        taken for knees.
    training : Training
    folders : Folders
    device : str
    token : CancelToken

    Yields
    ------
    Event
        Of the training, if it takes place.
    """
    if given is not None:
        return given
    if only == "knee" and PAPER_PRIOR in available_priors():
        return PAPER_PRIOR
    from napari_usflow.training.flow.train import train_prior_events

    data = folders.need(folders.train, "MRI to train on")
    shown = only or "all body parts"
    run = training.runs / name
    yield Note(f"training {training.config} on {shown}, in {run}")
    validation = folders.data / "mri" / "val"
    path: Path = yield from train_prior_events(
        data,
        out=run,
        config=training.config,
        changes=[f"patches.only={only}", *training.changes],
        resume=True,
        validation=validation if validation.is_dir() else None,
        device=device,
        token=token,
    )
    token.raise_if_cancelled()
    return path
