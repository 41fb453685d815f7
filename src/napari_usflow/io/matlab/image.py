"""Images and stacks from the variables of a MATLAB file."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import open_hdf5
from napari_usflow.io.matlab.variable_map import MatlabNames, parse_quantity
from napari_usflow.io.matlab.variables import (
    find_array,
    is_v73,
    load,
    plain,
    variables,
)
from napari_usflow.ultrasound.bmode import envelope, log_compress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import check_frame_count, lazy_stack

__all__ = ["read_image"]

_RF_NOTE = (
    "numbers of both signs were taken as beamformed RF, and their envelope along depth "
    "as the image; it is right only where depth is sampled at more than twice the "
    "carrier"
)


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
    values, value_range, notes = _meaning(first, names.values)
    shown = partial(_shown, frame, values, _reference(first, values))
    data: Any = shown(0)[None]
    if shape[0] > 1:
        data = lazy_stack(shown, shape)
    grid = _grid(path, names, shape[1:])
    metadata: dict[str, Any] = {
        "names": names.given(),
        "pixel_size_known": grid is not None,
        "notes": notes,
    }
    if value_range is not None:
        metadata["value_range"] = value_range
    return UltrasoundImage(
        data,
        "db" if values in ("rf", "iq") else values,  # type: ignore[arg-type]
        grid or PixelGrid((shape[1], shape[2]), (1.0, 1.0), (0.0, 0.0)),
        frame_interval_s=_frame_interval_s(path, names) if shape[0] > 1 else None,
        metadata=metadata,
    )


def _frame_reader(path: FilePath, name: str, axes: str) -> Any:
    """Return a function from a frame's index to (Z, X), as it is stored."""
    if is_v73(path):
        return partial(_frame_73, path, name, axes)
    whole = load(path, [name])[name]
    whole = whole.reshape(whole.shape[: len(axes)])
    order = [axes.index(letter) for letter in "fzx" if letter in axes]
    stack = whole.transpose(order)
    return partial(_frame_of, stack if "f" in axes else stack[None])


def _frame_of(stack: npt.NDArray[Any], index: int) -> npt.NDArray[Any]:
    return np.asarray(stack[index])


def _frame_73(path: FilePath, name: str, axes: str, index: int) -> npt.NDArray[Any]:
    with open_hdf5(path) as file:
        found, reverse = find_array(file, name), axes[::-1]
        front = (0,) * (found.ndim - len(axes))
        key = tuple(index if letter == "f" else slice(None) for letter in reverse)
        frame = plain(np.asarray(found[front + key]))
    if not np.isfinite(frame).all():
        raise FileFormatError(f"{path}: {name} holds values that are not finite")
    return frame if [a for a in reverse if a in "zx"] == ["z", "x"] else frame.T


def _meaning(
    frame: npt.NDArray[Any], stated: str
) -> tuple[str, tuple[float, float] | None, list[str]]:
    """Return what the numbers are, by the user or by the first frame."""
    if np.iscomplexobj(frame):
        return "iq", None, ["the modulus of complex values was taken"]
    low, high = float(frame.min()), float(frame.max())
    if stated != "auto":
        wide = stated == "display" and not 1 < high <= 255
        return stated, (0.0, max(high, 1.0)) if wide else None, []
    if low < 0 < high and abs(float(frame.mean())) < 0.1 * float(frame.std()):
        return "rf", None, [_RF_NOTE]
    if low < 0:
        return "db", None, ["negative numbers were taken as decibels"]
    if frame.dtype.kind == "f" and high > 255:
        return "envelope", None, ["large positive numbers were taken as an envelope"]
    if high <= 1:
        return "display", (0.0, 1.0), []
    return "display", None if high <= 255 else (0.0, high), []


def _reference(first: npt.NDArray[Any], values: str) -> float | None:
    if values not in ("rf", "iq"):
        return None
    return float(envelope(first).max()) or 1.0


def _shown(
    frame: Any, values: str, reference: float | None, index: int
) -> npt.NDArray[np.float32]:
    """Return a frame as the image shows it; RF and IQ relative to the first frame."""
    stored = frame(index)
    if reference is None:
        return np.asarray(stored, np.float32)
    signal = stored if np.iscomplexobj(stored) else stored.astype(np.float32)
    return log_compress(envelope(signal), reference)


def _grid(
    path: FilePath, names: MatlabNames, shape: tuple[int, int]
) -> PixelGrid | None:
    """Return the place of the pixels; None when the file does not say."""
    if not names.z_axis_m or not names.x_axis_m:
        return None
    z_m, x_m = (
        _axis(path, text, count)
        for text, count in zip((names.z_axis_m, names.x_axis_m), shape, strict=True)
    )
    return PixelGrid.from_axes(z_m, x_m)


def _axis(path: FilePath, text: str, count: int) -> npt.NDArray[np.float64]:
    parsed = parse_quantity(text)
    if isinstance(parsed, float):
        # A number is the distance between pixels.
        return np.asarray(parsed * np.arange(count), np.float64)
    if parsed is None:
        raise ValueError("the axes of an image need names")
    axis = (
        np.asarray(load(path, [parsed[0]])[parsed[0]], np.float64).ravel() * parsed[1]
    )
    steps = np.diff(axis)
    if axis.size != count or (steps.size and np.ptp(steps) > 0.01 * abs(steps[0])):
        raise FileFormatError(
            f"{path}: {parsed[0]} has {axis.size} values; {count} evenly spaced ones "
            "were expected"
        )
    return axis


def _frame_interval_s(path: FilePath, names: MatlabNames) -> float | None:
    parsed = parse_quantity(names.frame_rate_hz)
    if isinstance(parsed, tuple):
        loaded = np.asarray(load(path, [parsed[0]])[parsed[0]], np.float64)
        parsed = float(loaded.flat[0]) * parsed[1]
    return 1 / parsed if parsed is not None and parsed > 0 else None
