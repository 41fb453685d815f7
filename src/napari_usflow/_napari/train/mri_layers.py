"""Layers as training data: what makes an MRI stack of an image layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_usflow._napari.layers.content import LayerError, grey_stack, spacing_mm
from napari_usflow.errors import size_text
from napari_usflow.mri.stack import LARGEST_STACK_BYTES, MriStack
from napari_usflow.ultrasound.data import ArrayLike

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["LayerVolume", "volume_of_layer"]


@dataclass(frozen=True)
class LayerVolume:
    """A layer's data, to be read in the thread of a job.

    Attributes
    ----------
    data : array, shape (slices, H, W)
        Magnitudes of any scale; may be lazy.
    pixel_size_mm : (float, float)
        Row and column spacing.
    name : str
        The layer's.
    """

    data: ArrayLike
    pixel_size_mm: tuple[float, float]
    name: str

    def read(self) -> MriStack:
        """Read it and divide it by its 99.9th percentile.

        Raises
        ------
        LayerError
            When it holds NaN, negative values (decibels, phase) or nothing but zero.
        """
        slices = np.asarray(self.data, dtype=np.float32)
        if not np.isfinite(slices).all():
            raise LayerError(f"layer {self.name!r} holds NaN or infinite values")
        low = float(slices.min())
        if low < 0:
            raise LayerError(
                f"layer {self.name!r} has values down to {low:g}; magnitudes of 0 and "
                "more are expected (no decibels, no phase)"
            )
        scale = float(np.percentile(slices, 99.9))
        if scale <= 0:
            raise LayerError(f"layer {self.name!r} is empty (all values are 0)")
        return MriStack(slices / np.float32(scale), self.pixel_size_mm, self.name)


def volume_of_layer(
    layer: Image, *, pixel_size_mm: tuple[float, float] | None = None
) -> LayerVolume:
    """Take a layer as a volume of MRI magnitudes, without reading it.

    Parameters
    ----------
    layer : napari.layers.Image
        2-D, or 3-D with the slices first.
    pixel_size_mm : (row, column), optional
        For a layer whose units are not lengths; its own size goes first.

    Raises
    ------
    LayerError
        When it is not a grey image, is too large, or its pixel size is not known.
    """
    stack = grey_stack(layer)
    needed = 4 * math.prod(int(n) for n in stack.shape)
    if needed > LARGEST_STACK_BYTES:
        raise LayerError(
            f"layer {layer.name!r} of shape {tuple(stack.shape)} takes "
            f"{size_text(needed)} as float32; at most {size_text(LARGEST_STACK_BYTES)} "
            "are taken from one layer: crop it, or train on files"
        )
    pixel = spacing_mm(layer) or pixel_size_mm
    if pixel is None:
        raise LayerError(
            f"layer {layer.name!r} has no pixel size in mm (its units are "
            f"{', '.join(str(u) for u in layer.units)}); type the pixel size below the "
            "layers, or set scale and units on the layer"
        )
    return LayerVolume(stack, pixel, layer.name)
