"""Fig. 5: speckle simulated over MRI: intensity, B-mode, NLM, OBNLM, proposed, ours."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import numpy as np

from napari_usflow.jobs import CancelToken, Event, share_of
from napari_usflow.lab.contest.contestants import (
    Contestant,
    Registered,
    Tuned,
    attempt,
)
from napari_usflow.lab.contest.mri_crops import pick_crops
from napari_usflow.lab.reproduce.folders import Folders
from napari_usflow.lab.reproduce.panels import Panel, draw_panels
from napari_usflow.lab.reproduce.settings import DYNAMIC_RANGE_DB
from napari_usflow.lab.speckle.run import CROP_SIZE, speckled_events
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = ["speckle_figure_events"]

_CROPS = 2


def speckle_figure_events(
    folders: Folders,
    prior: str | os.PathLike[str],
    out: Path,
    *,
    device: str,
    token: CancelToken,
) -> Generator[Event, None, list[Path]]:
    """Draw ``fig5.png``: Eq. 8 and 9 over two knees, baselines with the best of a grid.

    Grey is read as decibels over 60 dB and sampled at the pixel of MRI; the noise level
    is that of fully developed speckle, lambda = 0.75 sigma^2.

    Yields
    ------
    Event
        Progress in crops.
    """
    test = folders.need(folders.test, "MRI to simulate over")
    crops = pick_crops(test, "knee", count=_CROPS, size=CROP_SIZE)
    speckled = yield from speckled_events("knee", "display", crops, 0, token)
    contestants = _contestants(prior, device)
    rows = [
        [Panel(clean, "intensity"), Panel(noisy, "B-mode")]
        for clean, noisy in zip(speckled.clean, speckled.noisy, strict=True)
    ]
    sigma = SPECKLE_DB / DYNAMIC_RANGE_DB
    for number, (title, contestant) in enumerate(contestants.items()):
        run = attempt(
            contestant, speckled.noisy, sigma, clean=speckled.clean, token=token
        )
        label = f"Fig. 5: {title}"
        made = yield from share_of(run, number, len(contestants), label)
        for row, crop in zip(rows, made.crops, strict=True):
            note = "" if np.isfinite(crop).all() else "no image"
            row.append(Panel(crop, title, note=note))
    path = out / "fig5.png"
    draw_panels(rows, path, title="speckle over two slices of one knee, 56 mm, 60 dB")
    return [path]


def _contestants(prior: str | os.PathLike[str], device: str) -> dict[str, Contestant]:
    """Who takes part, by the titles of their panels."""
    return {
        "NLM, best of a grid": Tuned("nlm", fit_offset=True, device=device),
        "OBNLM, best of a grid": Tuned("obnlm", fit_offset=True, device=device),
        "proposed (paper)": Registered(
            "flow-map", weights=prior, preset="paper", device=device
        ),
        "flow-speckle (ours)": Registered("flow-speckle", device=device),
        "best (ours)": Registered("best", device=device),
    }
