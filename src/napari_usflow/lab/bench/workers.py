"""Run time of a clip against the number of dask workers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.lazy import lazy_denoised, store_events
from napari_usflow.denoising.local_cluster import local_client
from napari_usflow.denoising.settings import Settings
from napari_usflow.io.zarr_stack import ZarrStack
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.lab.bench.pictures import timed_stack
from napari_usflow.lab.bench.scores import Size
from napari_usflow.lab.contest.mri_crops import as_image
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = ["cluster_missing", "workers_events"]

_WARM_FRAMES = 2


def cluster_missing() -> str:
    """Name the packages that a cluster lacks here; empty when it can be had."""
    lacking = [name for name in ("distributed", "zarr") if find_spec(name) is None]
    return " and ".join(lacking)


def workers_events(
    method: str,
    size: Size,
    workers: int,
    *,
    repeats: int,
    device: str,
    token: CancelToken,
) -> Generator[Event, None, float]:
    """Time a method on a clip as ``usflow denoise --workers`` runs it.

    A local cluster of so many processes of one thread each, the result written as
    OME-Zarr. The time to start them, and that of their first frames, is left out.

    Returns
    -------
    float
        The smallest of the times, in seconds of the wall clock.
    """
    stack = timed_stack(size)
    clip = as_image(Settings.dynamic_range_db * (stack - 1))
    first = clip.with_data(clip.data[: _WARM_FRAMES * workers])
    denoiser, settings = create(method, device=device), Settings(sigma_db=SPECKLE_DB)
    smallest = float("inf")
    with (
        tempfile.TemporaryDirectory(prefix="usflow-bench-") as folder,
        local_client(workers),
    ):
        for number, image in enumerate([first] + repeats * [clip]):
            store = ZarrStack(Path(folder) / f"{number}.zarr", image, {})
            start = time.perf_counter()
            frames = lazy_denoised(image, denoiser, settings)
            yield from store_events(frames, store, token=token)
            if number:
                smallest = min(smallest, time.perf_counter() - start)
    return smallest
