"""A project of a clip and two results, with regions, marks and numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_usflow.evaluate.measure import measure
from napari_usflow.evaluate.project.marks import Mark
from napari_usflow.evaluate.project.model import Drawn, Project
from napari_usflow.evaluate.project.store import write_project_events
from napari_usflow.evaluate.regions import Region
from napari_usflow.io.project.images import StoredImage
from napari_usflow.jobs import result_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

SHAPE, FRAMES = (80, 60), 3
GRID = PixelGrid(SHAPE, (0.2, 0.25), (5.0, -7.5))
NETWORK_SHA256 = "9cce59664b8c2ba0f0706f30e01db63dc9ca18feed37144e6182aed2e4e599c6"
MADE = {
    "method": "best",
    "network": "realtime",
    "network_sha256": NETWORK_SHA256,
    "parameters": {"noise": "auto", "backend": "torch"},
    "settings": {"strength": 1.5, "seed": 0, "dynamic_range_db": 60.0},
    "versions": {"napari-usflow": "0.1.0", "numpy": "2.4.6"},
    "frames": {"0": {"sigma_db": 5.5, "sigma_estimated": True}},
    "source": {"source": "/secret/folder/clip.dcm"},
}


def clip() -> np.ndarray:
    """Speckle in dB with a darker disc of 3 mm at (13, 0) mm."""
    rng = np.random.default_rng(3)
    frames = 10 * np.log10(rng.exponential(size=(FRAMES, *SHAPE))) - 30
    z, x = GRID.axes_mm()
    frames[:, np.hypot(z[:, None] - 13, x[None, :]) < 3] -= 20
    return frames.astype(np.float32)


def regions() -> list[Region]:
    disc = [[10.5, -2.5], [10.5, 2.5], [15.5, 2.5], [15.5, -2.5]]
    box = [[6, 3.5], [6, 6.5], [19, 6.5], [19, 3.5]]
    painted = np.zeros(SHAPE, bool)
    painted[5:15, 4:12] = True
    corners = [[6.0, -6.5], [7.8, -4.75]]
    return [
        Region("target", "ellipse", disc, "target 1"),
        Region("background", "polygon", box, "background 1"),
        Region("speckle", "mask", corners, "speckle 1", mask=painted, grid=GRID),
    ]


def marks() -> list[Mark]:
    return [
        Mark("line", [[10, -3], [10, 1]], 1, "diameter", "Ada", True, "2026-11-29"),
        Mark("point", [[12.0, 2.0]], None, "echo <b>", "Grace"),
        Mark("frame", frame=2, text="blurred", reader="Ada"),
        Mark("box", [[8, -2], [8, 2], [9, 2], [9, -2]], 1, "wall", "Grace"),
    ]


def project() -> Project:
    before = clip()
    look = {"contrast_limits": [-60.0, 0.0], "gamma": 1.0, "colormap": "gray"}
    image = StoredImage(
        "clip",
        before,
        "db",
        grid=GRID,
        in_mm=True,
        frame_interval_s=0.04,
        provenance={"source": "/secret/folder/clip.dcm", "source_sha256": "ab" * 32},
        look=look,
    )
    after = replace(
        image,
        name="clip [best]",
        data=(before / 2 - 15).astype(np.float32),
        provenance=MADE,
        result_of=0,
    )
    other = replace(
        after,
        name="clip [nlm]",
        data=(before[:, ::2] / 4 - 20).astype(np.float32),
        grid=PixelGrid((40, 60), (0.4, 0.25), (5.0, -7.5)),
    )
    images = [image, after, other]
    numbers = [
        measure(UltrasoundImage(i.data, "db", i.grid), regions(), frame=1)
        for i in images
    ]
    drawn = [
        Drawn("shapes", {"name": "regions"}, regions()[1].points_mm[None].tolist()),
        Drawn("labels", {"name": "painted"}, np.arange(12).reshape(3, 4)),
    ]
    return Project(
        images,
        [0, 1, 2],
        regions(),
        marks(),
        numbers,
        1,
        drawn=drawn,
        view={"zoom": 3.0},
        versions={"napari-usflow": "0.1.0"},
        saved="2026-11-29T12:00:00+00:00",
    )


def write(path: Path, content: Project | None = None) -> Path:
    result_of(write_project_events(path, content or project()))
    return path
