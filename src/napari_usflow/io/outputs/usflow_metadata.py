"""JSON note for metadata that a written format has no place for.

A reader of another program skips it. Ours gets back what the numbers are, what the
frames are, which numbers are black and white, and where the image came from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, get_args

from napari_usflow.ultrasound.data import FRAME_AXES, UltrasoundImage, Values

__all__ = [
    "MAX_BYTES",
    "NAME",
    "RANGE_KEY",
    "VALUES_KEY",
    "apply_notes",
    "pack_notes",
    "unpack_notes",
]

NAME = "usflow"
"""Name of the note where a format needs one."""

VALUES_KEY = "usflow_values"
"""ImageJ property that says what the numbers of a TIFF are."""

RANGE_KEY = "usflow_value_range"
"""ImageJ property that says which numbers are black and white, where it is noted."""

MAX_BYTES = 2**24
"""Longest note that is read."""

_KEPT = (
    *("plane_waves", "value_range", "first_frame", "title", "algorithm"),
    "slice_spacing_mm",
)


def pack_notes(
    image: UltrasoundImage, provenance: Mapping[str, Any], **more: Any
) -> str:
    """Write the note of an image: one line of ASCII, JSON.

    Parameters
    ----------
    image : UltrasoundImage
        As it is written.
    provenance : mapping
        What was done to it; values that JSON lacks become text.
    more
        What else the format's reader wants to know.
    """
    metadata = {name: image.metadata[name] for name in _KEPT if name in image.metadata}
    note = {
        "values": image.values,
        "frame_axis": image.frame_axis,
        "frame_interval_s": image.frame_interval_s,
        "metadata": metadata,
        "provenance": dict(provenance),
        **more,
    }
    return json.dumps(note, default=_plain)


def _plain(value: Any) -> Any:
    """Turn numpy's numbers and arrays into plain ones, anything else into text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def unpack_notes(text: str) -> dict[str, Any]:
    """Read a note; empty when the text is none, of whoever it is."""
    if len(text) > MAX_BYTES:
        return {}
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) and "values" in note else {}


def apply_notes(image: UltrasoundImage, note: Mapping[str, Any]) -> UltrasoundImage:
    """Return an image that says what its note says; what makes no sense is left out."""
    changes: dict[str, Any] = {}
    if note.get("values") in get_args(Values):
        changes["values"] = note["values"]
    if note.get("frame_axis") in FRAME_AXES:
        changes["frame_axis"] = note["frame_axis"]
    interval = note.get("frame_interval_s")
    if interval is not None and _is_number(interval) and interval > 0:
        changes["frame_interval_s"] = float(interval)
    metadata = dict(image.metadata)
    noted = note.get("metadata")
    if isinstance(noted, dict):
        metadata.update({name: noted[name] for name in _KEPT if name in noted})
        value_range = noted.get("value_range")
        if isinstance(value_range, list) and _is_range(value_range):
            metadata["value_range"] = (float(value_range[0]), float(value_range[1]))
        else:
            metadata.pop("value_range", None)
    if isinstance(note.get("provenance"), dict) and note["provenance"]:
        metadata["provenance"] = note["provenance"]
    return image.with_data(image.data, metadata=metadata, **changes)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _is_range(pair: list[Any]) -> bool:
    return len(pair) == 2 and all(map(_is_number, pair)) and pair[0] < pair[1]
