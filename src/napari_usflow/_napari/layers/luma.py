"""Grey pictures that are stored in colour: one value a pixel, where that is all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow.ultrasound.lazy_frames import lazy_stack

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["grey_array", "is_grey_in_colour"]

_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_ALIKE = 0.1
"""Channels that differ by a tenth of the range at most count as equal: a picture that
was compressed as JPEG has such differences."""

_MOST_COLOURED = 0.02
"""Share of pixels that may have a colour, such as those of a mark."""


def is_grey_in_colour(layer: Image) -> bool:
    """Return whether a colour layer shows grey: its channels are equal, or nearly."""
    data = _data(layer)
    sample = np.asarray(data if layer.ndim == 2 else data[data.shape[0] // 2])
    colours = sample[..., :3].astype(np.float32)
    top = 255.0 if sample.dtype.kind in "ui" else 1.0
    if sample.dtype.kind in "ui" and sample.dtype.itemsize > 1:
        top = float(np.iinfo(sample.dtype).max)
    differences = np.ptp(colours, axis=-1)
    return bool((differences > _ALIKE * top).mean() <= _MOST_COLOURED)


def grey_array(layer: Image) -> Any:
    """Return a layer's data without colours: (T, Z, X) or (Z, X), read by frames."""
    data = _data(layer)
    if not layer.rgb:
        return data
    if layer.ndim == 2:
        return _luma(np.asarray(data))
    shape = tuple(int(n) for n in data.shape[:-1])
    dtype = _luma(np.zeros((1, 1, 3), data.dtype)).dtype
    return lazy_stack(lambda index: _luma(np.asarray(data[index])), shape, dtype)


def _data(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _luma(frame: Any) -> Any:
    grey = frame[..., :3].astype(np.float32) @ _WEIGHTS
    return np.rint(grey).astype(frame.dtype) if frame.dtype.kind in "ui" else grey
