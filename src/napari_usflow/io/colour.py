"""Telling colour that is laid over a picture from the tint of the whole of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import ArrayLike

__all__ = [
    "COLOUR_FLOW",
    "as_8_bit",
    "colour_axis",
    "grey_of_colours",
    "luma",
    "shows_colour_flow",
    "stack_shows_colour_flow",
]

COLOUR_FLOW = (
    "its frames show colour Doppler: the colours are velocities or powers of flow "
    "that stand in place of the echoes; choose frames or clips without the colour box, "
    "or say that there is no flow in them with --as-grey (as_grey=True in usf.read)"
)
"""Why such frames are not denoised."""

_WEIGHTS = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_FAR = 48.0
_SHARE = 0.002
_LARGE = 0.03
_BLACK = 12
_TISSUE_AROUND = 0.3
_LOOKED_AT_PX = 640
_AT_ONCE = 2**20
_LOOKED_AT_FRAMES = 5


def luma(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Turn colours into grey.

    Parameters
    ----------
    rgb : ndarray, shape (..., 3)
        Red, green and blue.

    Returns
    -------
    ndarray, shape (...), float32
        0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded to whole greys.
    """
    grey: npt.NDArray[np.float32] = np.rint(
        rgb[..., :3].astype(np.float32) @ _WEIGHTS.astype(np.float32)
    )
    return grey


def colour_axis(array: ArrayLike) -> int | None:
    """Return which axis of an array is that of the colours; None for one of grey.

    A last axis of three or four is, whatever the others are, and so is a middle one: no
    frame is three pixels wide. A first one is that of the frames, unless these are of
    unsigned integers, equal where they are grey, and differ where they are not.
    """
    shape = tuple(array.shape)
    few = [size in (3, 4) for size in shape]
    if len(shape) == 4:
        return next((axis for axis in (3, 1, 0) if few[axis]), None)
    if len(shape) != 3:
        return None
    if few[2] or few[1]:
        return 2 if few[2] else 1
    is_plain = few[0] and isinstance(array, np.ndarray) and array.dtype.kind == "u"
    return 0 if is_plain and _are_planes(np.asarray(array[:3])) else None


def _are_planes(three: npt.NDArray[Any]) -> bool:
    """Return whether three frames are equal in most places, and yet not in all."""
    same = (three[0] == three[1]) & (three[1] == three[2])
    told = (three != 0).any(axis=0)
    share = float(same[told].mean()) if told.any() else 1.0
    return 0.5 < share < 1.0


def grey_of_colours(colours: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], bool]:
    """Turn colours into grey of the same type.

    Parameters
    ----------
    colours : ndarray, shape (..., channels)
        Grey with or without opacity, or RGB with or without; opacity is left out.

    Returns
    -------
    ndarray, shape (...)
        The common value where the channels are equal, else their luma.
    bool
        Whether they differ.
    """
    channels = colours.shape[-1]
    planes = colours[..., : channels - 1 if channels in (2, 4) else channels]
    first = planes[..., 0]
    if all(np.array_equal(first, planes[..., i]) for i in range(1, planes.shape[-1])):
        return np.asarray(first), False
    grey = np.empty(planes.shape[:-1], colours.dtype)
    # Some rows at a time: 64 bits a channel are many times the picture.
    parts = max(1, planes.size // _AT_ONCE)
    for mixed, part in zip(
        np.array_split(grey, parts), np.array_split(planes, parts), strict=True
    ):
        value = part.astype(np.float64) @ _WEIGHTS
        mixed[...] = value if colours.dtype.kind == "f" else np.rint(value)
    return grey, True


def stack_shows_colour_flow(colours: npt.NDArray[Any]) -> bool:
    """Return whether one of a few frames (T, Z, X, 3 or 4) shows colour Doppler."""
    last = len(colours) - 1
    frames = {round(part * last) for part in np.linspace(0, 1, _LOOKED_AT_FRAMES)}
    return any(shows_colour_flow(as_8_bit(colours[i])) for i in sorted(frames))


def as_8_bit(frame: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the colours of a frame (Z, X, 3 or 4) as 8-bit RGB."""
    rgb = frame[..., :3]
    if rgb.dtype == np.uint8:
        return rgb
    white = float(np.nanmax(np.abs(rgb), initial=0.0)) or 1.0
    if rgb.dtype.kind in "ui" and white > 255 and np.iinfo(rgb.dtype).bits > 8:
        white = 2.0 ** np.ceil(np.log2(white + 1)) - 1
    scaled = np.nan_to_num(rgb.astype(np.float64)) * (255 / white)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def shows_colour_flow(
    rgb: npt.NDArray[np.uint8], *, is_stated_tissue: bool = False
) -> bool:
    """Return whether a frame has colours that mean something, over a tissue picture.

    A tint is a function of the grey: pixels of one luma then have one colour. What is
    far from the usual colour of its luma is a colour of its own. Text and marks are
    thin, and do not count, nor does what lies on black, beside the tissue; of solid
    colour within it, two pixels in a thousand are let pass.

    Parameters
    ----------
    rgb : ndarray, shape (Z, X, 3), uint8
        A frame, cropped to the picture.
    is_stated_tissue : bool
        Whether the file says that it is a picture of tissue alone. A small patch of
        one hue is then a logo.
    """
    from scipy.ndimage import binary_erosion

    step = max(1, max(rgb.shape[:2]) // _LOOKED_AT_PX)
    rgb = rgb[::step, ::step]
    colours = rgb.reshape(-1, 3).astype(np.float32)
    grey = luma(colours)
    opponent = colours[:, (0, 2)] - grey[:, None]
    # The mean colour of the pixels of each luma that have little colour, where tissue
    # is: a flow signal can fill most pixels of the brighter levels.
    level = grey.astype(np.intp)
    plain = np.abs(opponent).max(axis=1) <= 2 * _FAR
    count = np.maximum(np.bincount(level[plain], minlength=256), 1)
    tint = np.stack(
        [
            np.bincount(level[plain], part[plain], minlength=256) / count
            for part in opponent.T
        ],
        axis=1,
    )
    shape = rgb.shape[:2]
    far = (np.abs(opponent - tint[level]).max(axis=1) > _FAR).reshape(shape)
    solid = binary_erosion(far, np.ones((3, 3)))
    most = _SHARE * len(grey)
    if np.count_nonzero(solid) <= most:
        return False
    solid = _within_tissue(solid, far, grey.reshape(shape) > _BLACK)
    if np.count_nonzero(solid) <= most or not is_stated_tissue:
        return bool(np.count_nonzero(solid) > most)
    red, _, blue = np.moveaxis(rgb[solid].astype(int), -1, 0)
    fewer = min(np.count_nonzero(red > blue), np.count_nonzero(blue > red))
    return bool(fewer > most / 4 or np.count_nonzero(solid) > _LARGE * len(grey))


def _within_tissue(
    solid: npt.NDArray[np.bool_],
    far: npt.NDArray[np.bool_],
    bright: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Keep the patches of colour that have tissue around them."""
    from scipy.ndimage import binary_dilation, find_objects, label

    patches, _ = label(binary_dilation(solid, iterations=2))
    mask = np.zeros_like(solid)
    for number, place in enumerate(find_objects(patches), 1):
        around = tuple(slice(max(0, s.start - 8), s.stop + 8) for s in place)
        patch = patches[around] == number
        ring = binary_dilation(patch, iterations=8) & ~far[around] & ~patch
        if ring.any() and bright[around][ring].mean() >= _TISSUE_AROUND:
            mask[around] |= patch & solid[around]
    return mask
