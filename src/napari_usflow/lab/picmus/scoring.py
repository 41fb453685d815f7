"""One line of the table of the PICMUS test, from a contrast and a resolution image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_usflow.evaluate.phantom_scores import (
    picmus_contrast,
    picmus_fwhm,
    picmus_speckle_level,
)
from napari_usflow.lab.picmus.scenes import Scene, Target, grid_of
from napari_usflow.lab.picmus.scores import PicmusScore
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["Result", "score_line"]

_CLIP_DB = 60.0
_NAN = float("nan")


@dataclass(frozen=True)
class Result:
    """An image that a method made.

    Attributes
    ----------
    frame : ndarray, shape (Z, X), dB
        None where there is no such image.
    seconds : float
        Time that it took.
    grid : PixelGrid, optional
        Where its pixels are; those of the input when None.
    """

    frame: Any
    seconds: float = 0.0
    grid: PixelGrid | None = None

    def grid_on(self, target: Target) -> PixelGrid:
        """Return where the pixels are."""
        return self.grid or grid_of(target.image)


def score_line(
    scene: Scene,
    plane_waves: int,
    cysts: Result,
    points: Result,
    *,
    method: str = "input",
    prior: str = "",
    block: int | None = None,
    setting: str = "",
) -> PicmusScore:
    """Score the images of one method on a scene.

    Parameters
    ----------
    scene : Scene
        With the images of ``plane_waves`` only.
    plane_waves : int
    cysts, points : Result
        Contrast and resolution image.
    method, prior, block, setting
        As in :class:`~napari_usflow.lab.picmus.scores.PicmusScore`.
    """
    contrast = dict.fromkeys(("contrast_db", "gcnr", "edge_mm"), _NAN)
    level = spread = before = _NAN
    if cysts.frame is not None:
        grid, phantom = cysts.grid_on(scene.cysts), scene.cysts.phantom
        contrast = picmus_contrast(cysts.frame, grid, phantom, clip_db=_CLIP_DB).mean()
        level, spread = picmus_speckle_level(cysts.frame, grid, phantom)
        image = scene.cysts.image
        before, _ = picmus_speckle_level(image.data[0], grid_of(image), phantom)
    widths = dict.fromkeys(("axial_mm", "lateral_mm", "peak_db"), _NAN)
    if points.frame is not None and scene.points is not None:
        image, phantom = scene.points.image, scene.points.phantom
        after = picmus_fwhm(points.frame, points.grid_on(scene.points), phantom)
        inputs = picmus_fwhm(image.data[0], grid_of(image), phantom)
        widths = after.mean()
        widths["peak_db"] = float(np.nanmean(after.peak_db - inputs.peak_db))
    return PicmusScore(
        method=method,
        prior=prior,
        block=block,
        scene=scene.name,
        plane_waves=plane_waves,
        contrast_db=contrast["contrast_db"],
        gcnr=contrast["gcnr"],
        edge_mm=contrast["edge_mm"],
        speckle_db=spread,
        level_db=level - before,
        fwhm_axial_mm=widths["axial_mm"],
        fwhm_lateral_mm=widths["lateral_mm"],
        peak_db=widths["peak_db"],
        seconds=cysts.seconds,
        setting=setting,
    )
