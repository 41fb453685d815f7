"""Arrays of other libraries: taken as they are, and given back as the same kind.

A masked array (numpy), a tensor (torch) and a labelled array (xarray) become one of
numpy or dask. What lies under a mask is outside of the image: the nearest pixel that is
not masked stands in its place, and the mask is given back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

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
    return array, lambda result: result


def _of_masked(array: Any) -> tuple[npt.NDArray[Any], Back]:
    mask = np.ma.getmaskarray(array)
    values = np.asarray(array.data)

    def back(result: Any) -> Any:
        kept = np.where(mask, values.astype(result.dtype), result)
        return np.ma.MaskedArray(kept, mask=mask, fill_value=array.fill_value)

    if not mask.any() or array.ndim not in (2, 3):
        return values, back
    if mask.all():
        raise ValueError("every pixel of the image is masked")
    filled = values.copy()
    anywhere = values[~mask].flat[0]
    frames = filled if filled.ndim == 3 else filled[None]
    for frame, hidden in zip(frames, mask.reshape(frames.shape), strict=True):
        if hidden.all():
            frame[:] = anywhere
        elif hidden.any():
            frame[:] = _nearest(frame, hidden)
    return filled, back


def _nearest(
    frame: npt.NDArray[Any], hidden: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    """Fill hidden pixels with the value of the nearest visible one."""
    from scipy.ndimage import distance_transform_edt

    places = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return np.asarray(frame[tuple(places)])


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
