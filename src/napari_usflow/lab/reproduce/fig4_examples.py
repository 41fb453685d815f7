"""Fig. 4: one crop at every noise level: clean, noisy, NLM, proposed, ours."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from napari_usflow.jobs import CancelToken, Event, share_of
from napari_usflow.lab.contest.contestants import (
    Contestant,
    Registered,
    Tuned,
    attempt,
)
from napari_usflow.lab.contest.mri_crops import (
    mean_psnr,
    mean_ssim,
    noisy,
    pick_crops,
)
from napari_usflow.lab.reproduce.folders import Folders
from napari_usflow.lab.reproduce.panels import Panel, draw_panels

__all__ = ["examples_events"]


def examples_events(
    folders: Folders,
    prior: str | os.PathLike[str],
    out: Path,
    *,
    sigmas: Sequence[float],
    device: str,
    token: CancelToken,
) -> Generator[Event, None, list[Path]]:
    """Draw ``fig4.png``, with PSNR and SSIM below each result.

    Yields
    ------
    Event
        Progress in results.
    """
    clean = pick_crops(folders.need(folders.test, "MRI to score on"), "knee", count=1)
    contestants = _contestants(prior, device)
    rows = []
    for number, sigma in enumerate(sigmas):
        y = noisy(clean, sigma)
        row = [Panel(clean[0], "clean"), _panel(f"noisy, {sigma:g}", clean, y)]
        for place, (title, contestant) in enumerate(contestants.items()):
            run = attempt(contestant, y, sigma, clean=clean, token=token)
            part = number * len(contestants) + place
            total = len(sigmas) * len(contestants)
            made = yield from share_of(run, part, total, f"Fig. 4: {title}, {sigma:g}")
            row.append(_panel(title, clean, made.crops))
        rows.append(row)
    path = out / "fig4.png"
    draw_panels(rows, path, title="a knee, 28 mm; PSNR / SSIM")
    return [path]


def _contestants(prior: str | os.PathLike[str], device: str) -> dict[str, Contestant]:
    """Who takes part, by the titles of their panels."""
    return {
        "NLM, best of a grid": Tuned("nlm", device=device),
        "proposed (paper)": Registered(
            "flow-map", weights=prior, preset="paper", device=device
        ),
        "best (ours)": Registered("best", noise="white", device=device),
    }


def _panel(title: str, clean: np.ndarray, result: np.ndarray) -> Panel:
    if not np.isfinite(result).all():
        return Panel(result[0], title, note="no image")
    scores = f"{mean_psnr(clean, result):.1f} dB / {mean_ssim(clean, result):.2f}"
    return Panel(result[0], title, note=scores)
