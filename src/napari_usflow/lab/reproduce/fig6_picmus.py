"""Fig. 6 and 7: cysts in silico and a carotid in vivo, from the PICMUS challenge."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

from napari_usflow.jobs import Event, share_of
from napari_usflow.lab.picmus.scenes import (
    find_carotid,
    find_scenes,
    plane_wave_frame,
    read_carotid,
)
from napari_usflow.lab.reproduce.folders import Folders
from napari_usflow.lab.reproduce.panels import draw_panels
from napari_usflow.lab.reproduce.rows import row_events
from napari_usflow.lab.reproduce.settings import MIX_BACK, Job, ours, papers
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["carotid_events", "picmus_figure_events"]

_PLANE_WAVES = 75
_CAROTID_WINDOW_MM = (-8.0, 4.0, 26.0, 14.0)


def picmus_figure_events(
    folders: Folders, prior: str | os.PathLike[str], out: Path, job: Job
) -> Generator[Event, None, list[Path]]:
    """Draw ``fig6.png``: input, proposed, NLM and ours, 20 % of the speckle mixed back.

    Raises
    ------
    ValueError
        When the folder has no simulated cysts or no carotid of the challenge.
    """
    known = papers(prior)
    ways = (known["proposed"], known["nlm"], *ours())
    rows = []
    for number, image in enumerate((_cysts(folders.data), _carotid(folders.data))):
        run = row_events(image, ways, job, mix_back=MIX_BACK)
        rows.append((yield from share_of(run, number, 2, "Fig. 6")))
    path = out / "fig6.png"
    draw_panels(
        rows,
        path,
        title="20 % of the speckle mixed back; 60 dB",
        window=_CAROTID_WINDOW_MM,
    )
    return [path]


def carotid_events(
    folders: Folders, prior: str | os.PathLike[str], out: Path, job: Job
) -> Generator[Event, None, list[Path]]:
    """Draw ``fig7.png``: a carotid, NLM, OBNLM, proposed and ours.

    Raises
    ------
    ValueError
        When the folder has no carotid of the challenge.
    """
    known = papers(prior)
    ways = (known["nlm"], known["obnlm"], known["proposed"], *ours())
    row = yield from row_events(_carotid(folders.data), ways, job)
    path = out / "fig7.png"
    draw_panels([row], path, title="carotid in vivo, 60 dB")
    return [path]


def _cysts(data: Path) -> UltrasoundImage:
    for scene in find_scenes(data):
        if scene.name == "simulation":
            return plane_wave_frame(scene.cysts.image, _PLANE_WAVES)
    raise ValueError(f"{data} holds no simulated cysts of the PICMUS challenge")


def _carotid(data: Path) -> UltrasoundImage:
    path = find_carotid(data)
    if path is None:
        raise ValueError(
            f"{data} holds no carotid of the PICMUS challenge (*carotid_cross*.mat)"
        )
    return read_carotid(path)
