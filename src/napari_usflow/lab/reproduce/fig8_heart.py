"""Fig. 8: hearts, denoised on their lines before scan conversion."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

from napari_usflow.io import read_events
from napari_usflow.jobs import Event, Note, share_of
from napari_usflow.lab.reproduce.folders import Folders, find_hearts
from napari_usflow.lab.reproduce.panels import draw_panels
from napari_usflow.lab.reproduce.rows import row_events
from napari_usflow.lab.reproduce.settings import Job, ours, papers
from napari_usflow.ultrasound.beamform import beamform_events
from napari_usflow.ultrasound.data import UltrasoundImage
from napari_usflow.ultrasound.simulate.heart import simulate_heart_events

__all__ = ["heart_events"]

_MOST = 2
IN_SILICO = "in-silico heart: CUBDL's data are not at hand"


def heart_events(
    folders: Folders, prior: str | os.PathLike[str], out: Path, job: Job
) -> Generator[Event, None, list[Path]]:
    """Draw ``fig8.png``: input, proposed and ours.

    CUBDL's hearts (Oslo's acquisitions) where the folder has them; else a simulated
    heart, and the figure says so.
    """
    images, title = yield from _hearts(folders.data, job)
    ways = (papers(prior)["proposed"], *ours())
    rows = []
    for number, image in enumerate(images):
        run = row_events(image, ways, job)
        rows.append((yield from share_of(run, number, len(images), "Fig. 8")))
    path = out / "fig8.png"
    draw_panels(rows, path, title=title)
    return [path]


def _hearts(
    data: Path, job: Job
) -> Generator[Event, None, tuple[list[UltrasoundImage], str]]:
    """Return the images of the figure, and what they are."""
    files = find_hearts(data)[:_MOST]
    if not files:
        yield Note(f"Fig. 8 shows an {IN_SILICO}")
        channels = yield from simulate_heart_events(0, token=job.token)
        image = yield from beamform_events(channels, device=job.device, token=job.token)
        return [image], IN_SILICO
    images: list[UltrasoundImage] = []
    for path in files:
        images += yield from read_events(path, device=job.device, token=job.token)
    return images, f"CUBDL: {', '.join(path.stem for path in files)}"
