"""Who takes part in the tests on MRI crops: our methods, tuned baselines, peers.

A contestant denoises a batch of crops. Ours run as a user runs them, through
:func:`napari_usflow.denoising.pipeline.denoise_events`, with the noise level given.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.algorithms.flow.posterior_mean import Flow
from napari_usflow.denoising.arguments import sigma_in_db
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.errors import JobError
from napari_usflow.evaluate.criteria import ReferencePsnr
from napari_usflow.evaluate.tune import Grid, setting_text, tune_events
from napari_usflow.jobs import (
    CancelToken,
    Event,
    FrameDone,
    Note,
    Progress,
    result_of,
)
from napari_usflow.lab.contest.mri_crops import as_image
from napari_usflow.parameter_changes import changed as changed_parameters
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = [
    "Contestant",
    "Denoised",
    "Registered",
    "Tuned",
    "attempt",
    "kind_of_noise",
    "parameters_of",
    "prior_names",
    "registered",
]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Denoised:
    """Crops that a contestant denoised.

    Attributes
    ----------
    crops : ndarray, shape (N, Z, X), float32
    seconds : float
        Of one crop.
    setting : str
        The parameters that were used, where they were chosen or fitted.
    """

    crops: Float
    seconds: float
    setting: str = ""


class Contestant(ABC):
    """A denoiser with a name for the table.

    Attributes
    ----------
    method, prior, label : str
        The method, the name of its prior (empty without), both for a legend.
    """

    method: str
    prior: str = ""

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return f"{self.method} ({self.prior})" if self.prior else self.method

    @abstractmethod
    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """Denoise crops (N, Z, X) with white noise of standard deviation ``sigma``.

        ``clean`` is for those who choose their setting on the crops they are judged
        on, and for nothing else.

        Yields
        ------
        Progress
            Within the batch.
        """


def attempt(
    contestant: Contestant,
    crops: Float,
    sigma: float,
    *,
    clean: Float,
    token: CancelToken,
) -> Generator[Event, None, Denoised]:
    """Denoise crops; note why where it fails, so that the others still take part.

    Returns
    -------
    Denoised
        Of a failure: crops of NaN, and the reason as the setting.
    """
    try:
        return (yield from contestant.denoise(crops, sigma, clean=clean, token=token))
    except JobError as error:
        yield Note(f"{contestant.label}, sigma {sigma:g}: no image: {error}")
        return Denoised(np.full_like(crops, np.nan), math.nan, f"no image: {error}")


class Registered(Contestant):
    """A method of ours.

    Parameters
    ----------
    method : str
        One of :func:`napari_usflow.methods`.
    weights : str or path, optional
        Prior file, of a method that has one.
    prior_name : str
        Its name in the table.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    **params
        Parameters of the method.
    """

    def __init__(
        self,
        method: str,
        *,
        weights: Any = None,
        prior_name: str = "",
        device: str = "auto",
        **params: Any,
    ) -> None:
        self.method, self.prior = method, prior_name
        self._denoiser = create(method, weights=weights, device=device, **params)
        # A prior that cannot be used is told before any work is done.
        self._denoiser.provenance()
        if isinstance(self._denoiser, Flow):
            self._denoiser.loaded_prior().require_noise_levels()

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        image, settings = _as_image(crops, sigma)
        result, seconds = yield from _run(self._denoiser, image, settings, token)
        return Denoised(result, seconds)


class Tuned(Contestant):
    """A method with the setting that scores best on the crops it is judged on.

    That is more than a user could do, and what the paper grants NLM.

    Parameters
    ----------
    method : str
        One that has a grid (:attr:`Denoiser.grid`).
    grid : mapping, optional
        What to try instead of the method's own grid, less its blocks: at the pixel of
        the crops the grain is too fine for block means.
    fit_offset : bool
        Whether an offset is to count, see
        :class:`~napari_usflow.evaluate.criteria.ReferencePsnr`.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    """

    def __init__(
        self,
        method: str,
        *,
        grid: Grid | None = None,
        fit_offset: bool = False,
        device: str = "auto",
    ) -> None:
        self.method, self._grid, self._device = method, grid, device
        self._fit_offset = fit_offset

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        image, settings = _as_image(crops, sigma)
        grid = self._grid
        if grid is None:
            grid = {
                n: v for n, v in method_class(self.method).grid.items() if n != "block"
            }
        tuning = yield from tune_events(
            image,
            self.method,
            ReferencePsnr(clean, fit_offset=self._fit_offset),
            settings=settings,
            grid=grid,
            device=self._device,
            workers=os.cpu_count() or 1,
            token=token,
        )
        # A search that was stopped ends with what it has; a contest needs all of it.
        token.raise_if_cancelled()
        setting = tuning.best.setting
        best = create(self.method, device=self._device, **setting)
        result, seconds = result_of(_run(best, image, settings, token))
        text = f"{setting_text(setting)}; best of {tuning.size}"
        return Denoised(result, seconds, text)


def _as_image(crops: Float, sigma: float) -> tuple[UltrasoundImage, Settings]:
    """Wrap crops at the prior's pixel, and say how strong their noise is."""
    settings = Settings(
        sigma_db=sigma_in_db(sigma, Settings.dynamic_range_db),
        value_range=(0.0, 1.0),
    )
    return as_image(crops, "display"), settings


def _run(
    denoiser: Denoiser, image: UltrasoundImage, settings: Settings, token: CancelToken
) -> Generator[Event, None, tuple[Float, float]]:
    """Denoise all crops; give also the seconds that one takes."""
    result, seconds = np.empty(image.data.shape, np.float32), 0.0
    for event in denoise_events(image, denoiser, settings, token=token):
        if isinstance(event, FrameDone):
            result[event.index] = event.data
            seconds += float(event.info["seconds"])
            yield Progress(event.index + 1, len(result))
    return result, seconds / len(result)


def registered(
    method: str,
    priors: Sequence[str | os.PathLike[str]],
    *,
    fit_offset: bool = False,
    noise: str = "speckle",
    changes: Sequence[str] = (),
    device: str,
) -> list[Contestant]:
    """Make a contestant of a method, one for each prior if it uses one.

    A method that has a grid is tuned, see :class:`Tuned` for ``fit_offset``; one that
    has to be told the kind of noise is told. ``changes`` are those of
    :func:`parameters_of`.
    """
    changed = parameters_of(method, changes)
    if method_class(method).grid and not changed:
        return [Tuned(method, fit_offset=fit_offset, device=device)]
    told = {**kind_of_noise(method, noise), **changed}
    if not method_class(method).uses_prior:
        return [Registered(method, device=device, **told)]
    return [
        Registered(method, weights=prior, prior_name=name, device=device, **told)
        for prior, name in zip(priors, prior_names(priors), strict=True)
    ]


def parameters_of(method: str, changes: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of a method that are set, for :func:`create`.

    Parameters
    ----------
    method : str
    changes : sequence of str
        ``METHOD.FIELD=VALUE`` each, or ``METHOD.preset=NAME``; those of other methods
        are passed over.

    Raises
    ------
    ValueError
        When the method has no such parameter or preset, or the text is none of its
        values.
    """
    named: dict[str, Any] = {}
    own: list[str] = []
    for change in changes:
        name, _, rest = change.strip().partition(".")
        field, _, value = rest.partition("=")
        if name != method:
            continue
        if field == "preset":
            named["preset"] = value.strip()
        else:
            own.append(rest)
    params = changed_parameters(method_class(method).preset(named.get("preset")), own)
    names = [change.partition("=")[0].strip() for change in own]
    return named | {name: getattr(params, name) for name in names}


def kind_of_noise(method: str, noise: str) -> dict[str, Any]:
    """Return the parameter that tells a method the kind of noise, if it has one."""
    known = {field.name for field in fields(method_class(method).Params)}
    return {"noise": noise} if "noise" in known else {}


def prior_names(priors: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Short names that differ: that of the file, else with its run's folder."""
    paths = [Path(prior) for prior in priors]
    names = [p.stem if p.suffix == ".safetensors" else p.name for p in paths]
    if len(set(names)) == len(names):
        return names
    names = [
        f"{p.resolve().parent.name}/{n}" for p, n in zip(paths, names, strict=True)
    ]
    if len(set(names)) < len(names):
        raise ValueError("two of the priors have the same name; give each once")
    return names
