"""A row of a figure: an image, and what some methods make of it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from napari_usflow.errors import JobError
from napari_usflow.jobs import Event, Note, share_of
from napari_usflow.lab.reproduce.panels import Panel, picture_panel
from napari_usflow.lab.reproduce.settings import DYNAMIC_RANGE_DB, Job, Way
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["row_events"]


def row_events(
    image: UltrasoundImage, ways: Sequence[Way], job: Job, *, mix_back: float = 0.0
) -> Generator[Event, None, list[Panel]]:
    """Denoise an image in several ways.

    A way that ends without an image gets an empty panel that says so.

    Parameters
    ----------
    image : UltrasoundImage
        Decibels; its last frame is shown.
    ways : sequence of Way
    job : Job
    mix_back : float
        Share of the speckle that is added back.

    Yields
    ------
    Event
        Progress in ways, and notes.

    Returns
    -------
    list of Panel
        The input first.
    """
    row = [picture_panel(image, "input", DYNAMIC_RANGE_DB)]
    for number, way in enumerate(ways):
        run = job.denoised(way, image, mix_back=mix_back)
        try:
            result = yield from share_of(run, number, len(ways), way.title)
        except JobError as error:
            yield Note(f"{way.title}: no image: {error}")
            empty = np.full_like(row[0].image, np.nan)
            row.append(replace(row[0], image=empty, title=way.title, note="no image"))
            continue
        row.append(picture_panel(result, way.title, DYNAMIC_RANGE_DB))
    return row
