"""Meaning of a file's numbers: its own statement, the user's, else the rule.

A format whose files do not say what their numbers are hands them over as they are
stored, of any type, and notes ``values_known`` as False; where they have been widened
to float32, ``stored_dtype`` says from what. Here they become an image by
:mod:`napari_usflow.ultrasound.value_rule`, the rule for arrays and layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.ultrasound.data import ArrayLike, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import lazy_stack
from napari_usflow.ultrasound.outside import floored
from napari_usflow.ultrasound.value_rule import (
    Meaning,
    StatedValues,
    UnknownValuesError,
    checked_range,
    checked_values,
    shown_stack,
    telling_frame,
    value_meaning,
)

__all__ = ["Stated", "refuse_question", "settle"]


@dataclass(frozen=True)
class Stated:
    """User's statement about the numbers of a file.

    Attributes
    ----------
    values : {"db", "envelope", "display", "rf"}, optional
        What they are.
    value_range : (float, float), optional
        Black and white.
    """

    values: StatedValues | None = None
    value_range: tuple[float, float] | None = None

    @classmethod
    def of(cls, values: Any, value_range: Any) -> Stated:
        """Check what a user says; ValueError when it makes no sense."""
        return cls(
            checked_values(values),
            None if value_range is None else checked_range(value_range),
        )


def settle(image: UltrasoundImage, stated: Stated) -> UltrasoundImage:
    """Give the numbers of an image their meaning.

    Parameters
    ----------
    image : UltrasoundImage
        As a format opened it. With ``metadata["values_known"]`` False its data are as
        they are stored.
    stated : Stated
        What the user says.

    Returns
    -------
    UltrasoundImage
        float32; NaN is outside of the image, -Inf has become the lowest level of its
        frame. Where the meaning is a question, it is in ``metadata["question"]``, and
        the values are those that the frame spans.

    Raises
    ------
    FileFormatError
        When the numbers cannot be those of an image.
    ValueError
        When the file says something else than the user.
    """
    metadata = dict(image.metadata)
    name = str(metadata.get("source") or metadata.get("name") or "the image")
    if metadata.get("values_known") is not False:
        return _known(image, stated, name)
    del metadata["values_known"]
    values = stated.values or metadata.pop("stated_values", None)
    raw, dtype = image.data, metadata.pop("stored_dtype", image.data.dtype)
    try:
        frame = telling_frame(raw, _read_here).astype(dtype, copy=False)
        floored(frame, name)
        meaning = value_meaning(
            frame, values=values, value_range=stated.value_range, name=name
        )
    except UnknownValuesError as question:
        metadata["question"] = str(question)
        meaning = _undecided(frame)
    except ValueError as error:
        if stated != Stated() and frame.dtype.kind == "c":
            raise
        raise FileFormatError(str(error)) from error
    notes = list(metadata.get("notes", []))
    metadata["notes"] = notes + ([meaning.note] if meaning.note else [])
    if meaning.value_range is not None:
        metadata["value_range"] = meaning.value_range
    if meaning.signal:
        metadata["signal"] = meaning.signal
    data = _floored_stack(shown_stack(raw, meaning.signal), name)
    return replace(image, data=data, values=meaning.values, metadata=metadata)


def _read_here(frame: Any) -> npt.NDArray[Any]:
    """Read a frame in this thread, whose files are open."""
    if hasattr(frame, "__dask_graph__"):
        return np.asarray(frame.compute(scheduler="synchronous"))
    return np.asarray(frame)


def refuse_question(image: UltrasoundImage) -> None:
    """Raise FileFormatError where it is a question what the numbers are."""
    question = image.metadata.get("question")
    if question:
        raise FileFormatError(question)


def _known(image: UltrasoundImage, stated: Stated, name: str) -> UltrasoundImage:
    if stated.values not in (None, image.values):
        raise ValueError(
            f"{name} states that its values are {image.values}; leave --values "
            f"{stated.values} out"
        )
    if stated.value_range is None:
        return image
    metadata = {**image.metadata, "value_range": stated.value_range}
    return replace(image, metadata=metadata)


def _undecided(frame: npt.NDArray[Any]) -> Meaning:
    """Return what an image whose numbers are a question is shown as."""
    finite = frame[np.isfinite(frame)]
    low, high = float(finite.min()), float(finite.max())
    return Meaning("display", (low, high) if low < high else (low, low + 1))


def _floored_stack(stack: ArrayLike, name: str) -> Any:
    shape = tuple(int(size) for size in stack.shape)
    read_frame = partial(_floored_frame, stack, name)
    if hasattr(stack, "__dask_graph__"):
        return stack.map_blocks(  # type: ignore[attr-defined]
            partial(_floored_block, name=name),
            dtype=np.float32,
            meta=np.empty((0, 0, 0), np.float32),
        )
    if isinstance(stack, np.ndarray):
        own = stack.dtype == np.float32 and stack.flags.writeable
        whole = stack if own else np.empty(shape, np.float32)
        for index in range(shape[0]):
            whole[index] = read_frame(index)
        return whole
    return lazy_stack(read_frame, shape)


def _floored_block(block: npt.NDArray[Any], name: str) -> npt.NDArray[np.float32]:
    return np.stack([_floored_frame(block, name, i) for i in range(len(block))])


def _floored_frame(stack: ArrayLike, name: str, index: int) -> npt.NDArray[np.float32]:
    try:
        frame = floored(np.asarray(stack[index]), f"{name}: a frame")
    except ValueError as error:
        raise FileFormatError(str(error)) from error
    with np.errstate(over="ignore"):
        shown = np.asarray(frame, np.float32)
    if np.isinf(shown).any():
        raise FileFormatError(f"{name} holds values beyond the range of float32")
    return shown
