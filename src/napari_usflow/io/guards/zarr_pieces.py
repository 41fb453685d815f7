"""The pieces of a Zarr array on disk: plain files, of the size they must have."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_usflow.io.guards.file_checks import own_file
from napari_usflow.io.guards.inflation import gzip_fits, zstd_content_bytes

__all__ = ["check_array", "check_pieces"]

_NOTE_BYTES = 2**20
_ITEM_BYTES = {"float32": 4, "uint8": 1}


def check_array(folder: Path) -> dict[str, Any]:
    """Read the note of an array (Zarr 3) whose pieces can be checked.

    Raises
    ------
    ValueError
        When it is no note, or says that pieces are stored in another way than
        :func:`check_pieces` knows.
    """
    note = own_file(folder / "zarr.json", folder.parent)
    if (folder / "c").is_symlink():
        raise ValueError(f"{folder.name}/c is a link to another place")
    if note.stat().st_size > _NOTE_BYTES:
        raise ValueError(f"{folder.name}/zarr.json is too large")
    fields: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    names = [str(codec["name"]) for codec in fields["codecs"]]
    keys = fields["chunk_key_encoding"]
    if (
        fields["zarr_format"] != 3
        or fields["node_type"] != "array"
        or fields["data_type"] not in _ITEM_BYTES
        or fields["chunk_grid"]["name"] != "regular"
        or keys["name"] != "default"
        or keys.get("configuration", {}).get("separator", "/") != "/"
        or fields.get("storage_transformers")
        or names[:1] != ["bytes"]
        or names[1:] not in ([], ["zstd"], ["gzip"])
    ):
        raise ValueError(f"its pieces are stored as {', '.join(names)}")
    return fields


def check_pieces(folder: Path, note: dict[str, Any], first: Iterable[int]) -> None:
    """Refuse pieces that are links, or unpack to more than they hold.

    Parameters
    ----------
    folder : Path
        Of the array.
    note : dict
        What :func:`check_array` gave.
    first : iterable of int
        The pieces, by their number along the first axis; they are the first along all
        others. One that is not there is not looked for.

    Raises
    ------
    FileFormatError
        For a link, a named pipe or a folder in the place of a piece.
    ValueError
        When a piece is too large.
    """
    shape = note["chunk_grid"]["configuration"]["chunk_shape"]
    room = math.prod(shape) * _ITEM_BYTES[note["data_type"]]
    codec = next((c["name"] for c in note["codecs"][1:]), None)
    for index in first:
        place = folder.joinpath("c", str(index), *["0"] * (len(shape) - 1))
        if not place.exists() and not place.is_symlink():
            continue
        stored = own_file(place, folder.parent).stat().st_size
        # Stored as it is where it does not shrink, with a few bytes for each block.
        fits = stored <= room + room // 64 + 1024
        if fits and codec is not None:
            content = place.read_bytes()
            if codec == "gzip":
                fits = gzip_fits(content, room)
            else:
                fits = zstd_content_bytes(content) == room
        if not fits:
            raise ValueError(
                f"piece {index} of {folder.name} unpacks to more than {room} bytes"
            )
