"""Reading the attributes of HDF5 files that nobody vouches for: only what is short."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5_heaps import check_heaps
from napari_usflow.io.guards.hdf5_texts import text_bytes

__all__ = [
    "read_integer_attribute",
    "read_label_attribute",
    "read_plain_attributes",
    "read_text_attribute",
    "text_of",
]

_MAX_ATTRIBUTE_VALUES = 65536
_MAX_LABEL_BYTES = 4096
_MAX_TEXT_BYTES = 2**16


def _attribute(node: Any, name: str, kinds: str) -> npt.NDArray[Any] | None:
    """Read a small attribute, or None when it is absent or of another kind."""
    if name not in node.attrs:
        return None
    attribute = node.attrs.get_id(name)
    try:
        shape, kind = attribute.shape, attribute.dtype.kind
    except (TypeError, ValueError):
        return None
    if shape is None or kind not in kinds or math.prod(shape) > _MAX_ATTRIBUTE_VALUES:
        return None
    return np.asarray(node.attrs[name])


def read_text_attribute(node: Any, name: str) -> str:
    """Read a fixed-length text attribute, or "" when there is none.

    Variable-length strings are left alone: they live in a heap of their own, and the
    texts are only labels.
    """
    values = _attribute(node, name, "S")
    return "" if values is None else text_of(values)


def read_label_attribute(node: Any, name: str) -> str:
    """Read a short text attribute of fixed or variable length, or "" without one.

    Python writes labels with a variable length; more than 64 kB is no label.
    """
    if name not in node.attrs:
        return ""
    attribute = node.attrs.get_id(name)
    try:
        known, shape = h5py.check_string_dtype(attribute.dtype), attribute.shape
    except (TypeError, ValueError):
        return ""
    if known is None or shape is None or math.prod(shape) != 1:
        return ""
    if known.length is not None:
        return read_text_attribute(node, name)
    values = _texts(node, name, 1)
    if values is None:
        return ""
    value = values.item()
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[:_MAX_LABEL_BYTES].split("\0")[0].strip()


def read_plain_attributes(node: Any, limit: int) -> dict[str, Any]:
    """Read the first ``limit`` attributes that are short: numbers, arrays, texts.

    What is long, of another type or damaged is left out.

    Raises
    ------
    FileFormatError
        When texts lie in a heap that never ends.
    """
    check_heaps(node.file)
    values: dict[str, Any] = {}
    for _, name in zip(range(limit), node.attrs, strict=False):
        # Types that numpy does not have, and texts that are none, fail in many ways.
        try:
            attribute = node.attrs.get_id(name)
            shape, text = attribute.shape, h5py.check_string_dtype(attribute.dtype)
            if shape is None or math.prod(shape) > _MAX_LABEL_BYTES:
                continue
            if text is not None and text.length is None:
                value = _texts(node, name, math.prod(shape))
            else:
                value = _attribute(node, name, "Sbcfiu")
            if value is not None and value.nbytes <= 8 * _MAX_TEXT_BYTES:
                values[name] = node.attrs[name]
        except (FileFormatError, TypeError, ValueError):
            continue
    return values


def _texts(node: Any, name: str, count: int) -> npt.NDArray[Any] | None:
    """Read texts of variable length, None where they are long or do not say."""
    check_heaps(node.file)
    stated = text_bytes(node, name, count)
    if stated is None or stated > _MAX_TEXT_BYTES:
        return None
    try:
        return np.asarray(node.attrs[name], dtype=object)
    except (OSError, RuntimeError, UnicodeError, ValueError) as error:
        raise FileFormatError(
            f"{node.file.filename}, {node.name}: {name} is damaged: {error}"
        ) from error


def read_integer_attribute(node: Any, name: str) -> int | None:
    """Read an integer or enumeration attribute, or None when there is none."""
    values = _attribute(node, name, "iu")
    return int(values.item()) if values is not None and values.size == 1 else None


def text_of(values: npt.NDArray[Any]) -> str:
    """Return one fixed-length text, which ends at its first zero byte; "" for more."""
    if values.size != 1:
        return ""
    raw = bytes(values.item())
    return raw.split(b"\0")[0].decode("utf-8", "replace").strip()
