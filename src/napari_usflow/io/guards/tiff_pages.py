"""Walking over the pages of a TIFF before a library does."""

from __future__ import annotations

import struct
from pathlib import Path

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath, open_binary

__all__ = ["check_pages"]


def check_pages(path: FilePath) -> None:
    """Refuse a TIFF whose pages run in circles; tifffile would follow them for ever.

    Each page (image file directory) names the next. Together they cannot take more
    room than the file has (TIFF 6.0, section 2; of a BigTIFF all counts and places are
    64 bits wide).

    Raises
    ------
    FileFormatError
        When they would, or when the chain leads out of the file.
    """
    size = Path(path).stat().st_size
    with open_binary(path) as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        count, entry, place = ("Q", 20, "Q") if big else ("H", 12, "I")
        (at,) = struct.unpack_from(
            order + place, start.ljust(16, b"\0"), 8 if big else 4
        )
        taken = 0
        while at:
            # A place of 64 bits may be beyond what can be sought.
            file.seek(min(at, size))
            head = file.read(struct.calcsize(count))
            if len(head) < struct.calcsize(count):
                raise FileFormatError(f"{path} is cut short: a page of it is missing")
            (tags,) = struct.unpack(order + count, head)
            taken += len(head) + tags * entry + struct.calcsize(place)
            if taken > size:
                raise FileFormatError(
                    f"{path} is a damaged TIFF file: its pages run in circles"
                )
            file.seek(at + len(head) + tags * entry)
            following = file.read(struct.calcsize(place))
            if len(following) < struct.calcsize(place):
                raise FileFormatError(f"{path} is cut short: a page of it is missing")
            (at,) = struct.unpack(order + place, following)
