"""The figure of a sector: its lines and its picture, before and after denoising."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.figures import extent_mm, new_figure, save_figure
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.figures.sector import DYNAMIC_RANGE_DB, SectorTest
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import as_picture

__all__ = ["write_sector", "write_sector_found"]

Frame = npt.NDArray[np.float32]

_FORMATS = {
    "near_db": ".2f",
    "far_db": ".2f",
    "muscle_db": ".2f",
    "gcnr": ".3f",
    "seconds": ".3g",
}
_GREY = {"cmap": "gray", "vmin": -DYNAMIC_RANGE_DB, "vmax": 0}
_REMOVED = {"cmap": "RdBu_r", "vmin": -20, "vmax": 20}
_TITLES = {
    "input": "B-mode",
    "lines": "denoised on the lines",
    "picture": "denoised after scan conversion",
}


def write_sector(test: SectorTest, folder: Path) -> list[Path]:
    """Write ``sector.csv`` and ``sector.png``, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "sector.csv", folder / "sector.png"]
    write_table(paths[0], test.scores, _FORMATS)
    save_figure(_figure(test), paths[1])
    return paths


def write_sector_found(test: SectorTest, folder: Path) -> Path:
    """Write the scores with the lines that were found, ``sector_found.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sector_found.csv"
    write_table(path, test.scores, _FORMATS)
    return path


def _figure(test: SectorTest) -> Any:
    """Lines on the left, their pictures in the middle.

    On the right what was taken away, and the result of the other order.
    """
    figure = new_figure(12.0, 7.0)
    axes = figure.subplots(2, 3, width_ratios=(0.6, 1, 1))
    for row, name in zip(axes, ("input", "lines"), strict=True):
        _show_lines(row[0], test.images[name])
        row[0].set_title(f"{_TITLES[name]}, before scan conversion", fontsize=9)
        _show_picture(row[1], test, name)
    _show_removed(figure, axes[0, 2], test)
    _show_picture(axes[1, 2], test, "picture")
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
    return figure


def _show_lines(axis: Any, image: UltrasoundImage) -> None:
    """Show the lines side by side, angle across and radius down."""
    assert isinstance(image.grid, PolarGrid)
    radius, angle = image.grid.axes()
    turn = np.degrees(angle)
    half_turn, half = (turn[1] - turn[0]) / 2, image.grid.radius_mm[1] / 2
    edges = (
        turn[0] - half_turn,
        turn[-1] + half_turn,
        radius[-1] + half,
        radius[0] - half,
    )
    axis.imshow(np.asarray(image.data[0]), extent=edges, aspect="auto", **_GREY)
    axis.set_xlabel("angle (degrees)", fontsize=9)
    axis.set_ylabel("radius (mm)", fontsize=9)


def _show_removed(figure: Any, axis: Any, test: SectorTest) -> None:
    """Show what denoising took from the lines."""
    noisy, clean = (as_picture(test.images[name]) for name in ("input", "lines"))
    removed = np.asarray(noisy.data[0]) - np.asarray(clean.data[0])
    drawn = _draw(axis, removed, noisy, **_REMOVED)
    axis.set_title("B-mode minus denoised on the lines", fontsize=9)
    figure.colorbar(drawn, ax=axis, label="dB", shrink=0.8)


def _show_picture(axis: Any, test: SectorTest, name: str) -> None:
    """Show the scan-converted image with its scores."""
    picture = as_picture(test.images[name])
    _draw(axis, np.asarray(picture.data[0]), picture, **_GREY)
    score = next(score for score in test.scores if score.image == name)
    axis.set_title(
        f"{_TITLES[name]}\nspeckle {score.near_db:.1f} dB near, {score.far_db:.1f} dB "
        f"far; gCNR {score.gcnr:.2f}",
        fontsize=9,
    )


def _draw(axis: Any, frame: Frame, picture: UltrasoundImage, **look: Any) -> Any:
    """Draw a frame at its place in mm."""
    assert isinstance(picture.grid, PixelGrid)
    axis.set_xlabel("lateral (mm)", fontsize=9)
    axis.set_ylabel("depth (mm)", fontsize=9)
    extent = extent_mm(picture.grid)
    return axis.imshow(frame, extent=extent, interpolation="bilinear", **look)
