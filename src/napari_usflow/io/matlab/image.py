"""Images and stacks from the variables of a MATLAB file."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import open_hdf5
from napari_usflow.io.matlab.variable_map import MatlabNames, Quantity, parse_quantity
from napari_usflow.io.matlab.variables import (
    find_array,
    is_v73,
    load,
    plain,
    variables,
)
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import check_frame_count, lazy_stack

__all__ = ["read_image"]


def read_image(path: FilePath, names: MatlabNames) -> UltrasoundImage:
    """Read the image or the stack that the names describe.

    Parameters
    ----------
    path : path
        A MAT file; a stack in a 7.3 file is lazy, one chunk a frame.
    names : MatlabNames
        ``image`` and what goes with it.

    Raises
    ------
    FileFormatError
        When a variable is missing, complex where it must not be, or does not fit.
    """
    known = variables(path)
    if names.image not in known:
        raise FileFormatError(
            f"{path} has no variable {names.image!r}; it has {', '.join(known)}"
        )
    axes, stored = names.image_axes, known[names.image].shape
    if any(n != 1 for n in stored[len(axes) :]) or len(stored) < 2:
        raise FileFormatError(
            f"{path}: {names.image} has shape {stored}, but its axes are {axes!r}"
        )
    axes = axes[: len(stored)]
    sizes = dict(zip(axes, stored, strict=False))
    shape = (sizes.get("f", 1), sizes["z"], sizes["x"])
    check_frame_count(path, shape[0])
    frame = _frame_reader(path, names.image, axes)
    first = frame(0)
    # As it is stored: what the numbers mean is found out by io.meaning.
    data: Any = first[None]
    if shape[0] > 1:
        data = lazy_stack(frame, shape, first.dtype)
    grid = _grid(path, names, shape[1:])
    metadata: dict[str, Any] = {
        "names": names.given(),
        "pixel_size_known": grid is not None,
        "notes": [],
        "values_known": False,
    }
    if names.values != "auto":
        metadata["stated_values"] = names.values
    return UltrasoundImage(
        data,
        "display",
        grid or PixelGrid((shape[1], shape[2]), (1.0, 1.0), (0.0, 0.0)),
        frame_interval_s=_frame_interval_s(path, names) if shape[0] > 1 else None,
        metadata=metadata,
    )


def _frame_reader(path: FilePath, name: str, axes: str) -> Any:
    """Return a function from a frame's index to (Z, X), as it is stored."""
    if is_v73(path):
        return partial(_frame_73, path, name, axes)
    whole = load(path, [name], finite=False)[name]
    whole = whole.reshape(whole.shape[: len(axes)])
    order = [axes.index(letter) for letter in "fzx" if letter in axes]
    stack = whole.transpose(order)
    return partial(_frame_of, stack if "f" in axes else stack[None])


def _frame_of(stack: npt.NDArray[Any], index: int) -> npt.NDArray[Any]:
    return np.asarray(stack[index])


def _frame_73(path: FilePath, name: str, axes: str, index: int) -> npt.NDArray[Any]:
    with open_hdf5(path) as file:
        dataset, reverse = find_array(file, name), axes[::-1]
        front = (0,) * (dataset.ndim - len(axes))
        key = tuple(index if letter == "f" else slice(None) for letter in reverse)
        frame = plain(np.asarray(dataset[front + key]))
    return frame if [a for a in reverse if a in "zx"] == ["z", "x"] else frame.T


def _grid(
    path: FilePath, names: MatlabNames, shape: tuple[int, int]
) -> PixelGrid | None:
    """Return the place of the pixels; None when the file does not say."""
    texts = {"z_axis_m": names.z_axis_m, "x_axis_m": names.x_axis_m}
    missing = [key for key, text in texts.items() if not text]
    if len(missing) == 1:
        given = next(key for key in texts if key not in missing)
        raise FileFormatError(
            f"{path}: {given} is stated and {missing[0]} is not; an image has a place "
            "on both axes, so name both, or type the step in m"
        )
    if missing:
        return None
    z_m, x_m = (_axis(path, text, shape, i) for i, text in enumerate(texts.values()))
    return PixelGrid.from_axes(z_m, x_m)


def _axis(
    path: FilePath, text: str, shape: tuple[int, int], along: int
) -> npt.NDArray[np.float64]:
    """Return the places along an axis: of a vector, a meshgrid, or a step."""
    parsed, count = parse_quantity(text), shape[along]
    if parsed is None:
        raise ValueError("the axes of an image need names")
    if isinstance(parsed, float):
        name, places = text, np.array([parsed])
    else:
        name = parsed.name
        places = parsed.of(load(path, [name])[name])
    if places.size == 1:
        step = float(places.item())
        if not 0 < step < np.inf:
            raise FileFormatError(f"{path}: {text} is {step:g}; a step is positive")
        return np.asarray(step * np.arange(count), np.float64)
    for grid in (places, places.T):
        # A meshgrid does not change along the other axis.
        if grid.shape == shape and np.ptp(grid, axis=1 - along).max() <= (
            1e-6 * np.abs(grid).max()
        ):
            places = grid[:, 0] if along == 0 else grid[0]
            break
    axis: npt.NDArray[np.float64] = places.ravel()
    steps = np.diff(axis)
    if axis.size != count or (steps.size and np.ptp(steps) > 0.01 * abs(steps[0])):
        raise FileFormatError(
            f"{path}: {name} has shape {places.shape}; {count} evenly spaced places, a "
            f"meshgrid of {shape[0]} x {shape[1]} or one step was expected"
        )
    if steps.size and steps[0] <= 0:
        raise FileFormatError(f"{path}: {name} runs from {axis[0]:g} down; rising only")
    return axis


def _frame_interval_s(path: FilePath, names: MatlabNames) -> float | None:
    parsed = parse_quantity(names.frame_rate_hz)
    if isinstance(parsed, Quantity):
        parsed = float(parsed.of(load(path, [parsed.name])[parsed.name]).flat[0])
    return 1 / parsed if parsed is not None and parsed > 0 else None
