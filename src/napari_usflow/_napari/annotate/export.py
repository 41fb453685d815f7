"""A clip with its marks as pictures and a COCO file, without a word of whence it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.measure.measured_image import MeasuredImage
from napari_usflow.evaluate.project.mark_files import write_coco
from napari_usflow.evaluate.project.marks import Mark
from napari_usflow.evaluate.report.pictures import shades
from napari_usflow.io.project.images import StoredImage

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["export_clip"]


def export_clip(folder: Path, marks: Sequence[Mark], layer: Image) -> Path:
    """Write the frames of a layer as they are shown, and marks as COCO.

    Parameters
    ----------
    folder : Path
        A new one.
    marks : sequence of Mark
        In the world.
    layer : napari.layers.Image

    Returns
    -------
    Path
        The file of marks.
    """
    from napari_usflow._napari.layers.content import grey_stack

    image = MeasuredImage(layer, 60.0)
    stack = grey_stack(layer)
    look = {"contrast_limits": list(layer.contrast_limits), "gamma": layer.gamma}
    shown = StoredImage(layer.name, None, look=look)

    def grey(index: int) -> npt.NDArray[np.uint8]:
        frame: npt.NDArray[Any] = np.asarray(stack[index], np.float64)
        return shades(frame, shown)

    own = [replace(mark, points_mm=image.own(mark.points_mm)) for mark in marks]
    return write_coco(folder, own, image.grid, image.frames, grey)
