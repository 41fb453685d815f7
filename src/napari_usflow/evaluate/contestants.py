"""Who takes part in the test of Gaussian noise: our methods, tuned NLM, peers.

A contestant denoises a batch of crops. Ours run as a user runs them, through
:func:`napari_usflow.denoise.denoise_events`, with the noise level given.
"""

from __future__ import annotations

import itertools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise import Settings, create, denoise_events
from napari_usflow.denoise.arguments import sigma_in_db
from napari_usflow.denoise.contract import method_class
from napari_usflow.denoise.flow import Flow
from napari_usflow.evaluate.mri_crops import mean_psnr
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = [
    "NLM_GRID",
    "Contestant",
    "Denoised",
    "Registered",
    "TunedNlm",
    "prior_names",
    "registered",
]

Float = npt.NDArray[np.float32]
NlmSetting = tuple[int, int, float]

NLM_GRID: tuple[NlmSetting, ...] = tuple(
    itertools.product((3, 5, 7), (5, 7, 9, 11), (0.4, 0.5, 0.6, 0.7, 0.8, 1.0))
)
"""Patch side, search distance, h over sigma: 72 settings."""


@dataclass(frozen=True)
class Denoised:
    """What a contestant made of a batch of crops.

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


class Registered(Contestant):
    """A method of ours.

    Parameters
    ----------
    method : str
        One of :func:`napari_usflow.denoise.methods`.
    prior : str or path, optional
        Prior file, of a method that has one.
    prior_name : str
        Its name in the table.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    """

    def __init__(
        self,
        method: str,
        *,
        prior: Any = None,
        prior_name: str = "",
        device: str = "auto",
    ) -> None:
        self.method, self.prior = method, prior_name
        self._denoiser = create(method, prior=prior, device=device)
        # A prior that cannot be used is told before any work is done.
        self._denoiser.provenance()
        if isinstance(self._denoiser, Flow):
            self._denoiser.loaded_prior().require_noise_levels()

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        settings = Settings(
            sigma_db=sigma_in_db(sigma, Settings.dynamic_range_db),
            sampling="none",
            value_range=(0.0, 1.0),
        )
        grid = PixelGrid(crops.shape[1:], (PRIOR_PIXEL_MM, PRIOR_PIXEL_MM), (0.0, 0.0))
        image = UltrasoundImage(crops, "display", grid)
        result, seconds = np.empty_like(crops), 0.0
        for event in denoise_events(image, self._denoiser, settings, token=token):
            if isinstance(event, FrameDone):
                result[event.index] = event.data
                seconds += float(event.info["seconds"])
                yield Progress(event.index + 1, len(crops))
        return Denoised(result, seconds / len(crops))


class TunedNlm(Contestant):
    """Non-local means with the setting that scores best on the crops it is judged on.

    That is more than a user could do, and what the paper grants it.
    """

    method = "nlm"

    def __init__(self, grid: Sequence[NlmSetting] | None = None) -> None:
        self._grid = NLM_GRID if grid is None else grid

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        scores = {}
        # scikit-image works outside of Python's lock.
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            runs = {s: pool.submit(_nlm, crops, sigma, s, token) for s in self._grid}
            for done, (setting, run) in enumerate(runs.items()):
                scores[setting] = mean_psnr(clean, run.result())
                yield Progress(done + 1, len(runs))
        finally:
            pool.shutdown(cancel_futures=True)
        best = max(scores, key=lambda setting: scores[setting])
        start = time.perf_counter()
        result = _nlm(crops, sigma, best, token)
        seconds = (time.perf_counter() - start) / len(crops)
        patch, distance, factor = best
        text = f"patch {patch}, distance {distance}, h {factor:g} sigma"
        return Denoised(result, seconds, f"{text}; best of {len(self._grid)}")


def _nlm(crops: Float, sigma: float, setting: NlmSetting, token: CancelToken) -> Float:
    from skimage.restoration import denoise_nl_means

    patch, distance, factor = setting
    out = np.empty_like(crops)
    for i, crop in enumerate(crops):
        token.raise_if_cancelled()
        out[i] = denoise_nl_means(
            crop,
            patch_size=patch,
            patch_distance=distance,
            h=factor * sigma,
            sigma=sigma,
            fast_mode=True,
        )
    return out


def registered(
    method: str, priors: Sequence[str | os.PathLike[str]], *, device: str
) -> list[Contestant]:
    """Make a contestant of a method, one for each prior if it uses one."""
    if method == TunedNlm.method:
        return [TunedNlm()]
    if not method_class(method).uses_prior:
        return [Registered(method, device=device)]
    return [
        Registered(method, prior=prior, prior_name=name, device=device)
        for prior, name in zip(priors, prior_names(priors), strict=True)
    ]


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
