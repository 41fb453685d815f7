"""Arrays of other libraries: taken as they are, and given back as the same kind.

A masked array (numpy), a tensor (torch) and a labelled array (xarray) become one of
numpy or dask. What lies under a mask is outside of the image: the nearest pixel that is
not masked stands in its place, and the mask is given back. Colours become grey.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.io.colour import (
    COLOUR_FLOW,
    colour_axis,
    grey_of_colours,
    stack_shows_colour_flow,
)
from napari_usflow.ultrasound.outside import nearest_inside

__all__ = ["plain_array"]

Back = Callable[[Any], Any]


def plain_array(array: Any) -> tuple[Any, Back]:
    """Turn an array into one of numpy or dask, and say how its result goes back.

    Parameters
    ----------
    array : array of any library

    Returns
    -------
    ndarray or dask array
        The input itself where it is one.
    callable
        Turns a result of the same shape into the kind of the input, of the result's
        type of numbers (a tensor: of the input's, where both are floating point).

    Raises
    ------
    ValueError
        When every pixel is masked.
    """
    if isinstance(array, np.ma.MaskedArray):
        return _of_masked(array)
    torch, xarray = (sys.modules.get(name) for name in ("torch", "xarray"))
    if torch is not None and isinstance(array, torch.Tensor):
        return _of_tensor(torch, array)
    if xarray is not None and isinstance(array, xarray.DataArray):
        plain, inner = plain_array(array.data)
        return plain, lambda result: array.copy(data=inner(result))
    if isinstance(array, np.ndarray):
        axis = colour_axis(array)
        if axis is not None:
            return _of_colours(array, axis)
    return array, lambda result: result


def _of_colours(array: npt.NDArray[Any], axis: int) -> tuple[npt.NDArray[Any], Back]:
    colours = np.moveaxis(array, axis, -1)
    if stack_shows_colour_flow(colours if array.ndim == 4 else colours[None]):
        raise ValueError(f"the image is not denoised: {COLOUR_FLOW}")
    grey, _ = grey_of_colours(colours)

    def back(result: Any) -> Any:
        planes = np.repeat(np.asarray(result)[..., None], colours.shape[-1], axis=-1)
        if colours.shape[-1] == 4:
            planes[..., 3] = colours[..., 3]
        return np.moveaxis(planes, -1, axis)

    return grey, back


def _of_masked(array: Any) -> tuple[npt.NDArray[Any], Back]:
    mask = np.ma.getmaskarray(array)
    values = np.asarray(array.data)

    def back(result: Any) -> Any:
        restored = np.where(mask, values.astype(result.dtype), result)
        return np.ma.MaskedArray(restored, mask=mask, fill_value=array.fill_value)

    if not mask.any() or array.ndim not in (2, 3):
        return values, back
    if mask.all():
        raise ValueError("every pixel of the image is masked")
    if values.dtype.kind == "f":
        # As any other image whose pixels outside are NaN.
        return np.where(mask, values.dtype.type(np.nan), values), back
    filled = values.copy()
    anywhere = values[~mask].flat[0]
    frames = filled if filled.ndim == 3 else filled[None]
    for frame, hidden in zip(frames, mask.reshape(frames.shape), strict=True):
        if hidden.all():
            frame[:] = anywhere
        elif hidden.any():
            frame[:] = nearest_inside(frame, hidden)
    return filled, back


def _of_tensor(torch: Any, tensor: Any) -> tuple[npt.NDArray[Any], Back]:
    array = tensor.detach().cpu()
    # numpy has no bfloat16.
    if array.dtype == torch.bfloat16:
        array = array.float()

    def back(result: Any) -> Any:
        again = torch.from_numpy(np.ascontiguousarray(result)).to(tensor.device)
        both = again.is_floating_point() and tensor.is_floating_point()
        return again.to(tensor.dtype) if both else again

    return array.numpy(), back
