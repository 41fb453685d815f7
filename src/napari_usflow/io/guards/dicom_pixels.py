"""Unpacked size of a DICOM file, checked before pydicom and its decoders run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath, open_binary
from napari_usflow.io.guards.inflation import packbits_fits
from napari_usflow.io.guards.picture_sizes import jpeg2000_size, jpeg_size

__all__ = ["check_frame", "check_palette", "refuse_deflated"]

_DEFLATED = "1.2.840.10008.1.2.1.99"
_RLE = "1.2.840.10008.1.2.5"
_JPEG = "1.2.840.10008.1.2.4."
_JPEG2000 = {f"{_JPEG}{end}" for end in (90, 91, 92, 93, 201, 202, 203)}
_TAGS: list[Any] = [
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "NumberOfFrames",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
]
_RLE_HEADER_BYTES = 64
_DISCRETE, _LINEAR = 0, 1
_MOST_ENTRIES = 2**16
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_UNDEFINED = b"\xff\xff\xff\xff"


def refuse_deflated(path: FilePath) -> None:
    """Refuse a file that is deflated as a whole; pydicom would unpack all of it.

    Only the file meta information, which is never deflated, is read.

    Raises
    ------
    FileFormatError
        For Deflated Explicit VR Little Endian.
    """
    from pydicom.filereader import read_file_meta_info

    meta = read_file_meta_info(Path(path))
    if str(meta.get("TransferSyntaxUID", "")) == _DEFLATED:
        raise FileFormatError(
            f"{path} is deflated as a whole, which is not read; dcmconv +te (DCMTK) "
            "writes it uncompressed"
        )


def check_frame(path: FilePath, index: int) -> None:
    """Refuse a compressed frame that unpacks to more than the header declares.

    Raises
    ------
    FileFormatError
        When it does, or does not say how large it is.
    """
    import pydicom
    from pydicom.encaps import get_frame

    with open_binary(path) as file:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        syntax = header.file_meta.TransferSyntaxUID
        if not syntax.is_compressed:
            return
        # The tag, its kind (OB), two bytes without meaning, and no length.
        start = file.read(12)
        if start[:4] != _PIXEL_DATA or start[8:] != _UNDEFINED:
            raise FileFormatError(f"{path} holds no compressed frames")
        frames = int(header.get("NumberOfFrames") or 1)
        offsets = (
            header.get("ExtendedOffsetTable") or b"",
            header.get("ExtendedOffsetTableLengths") or b"",
        )
        # pydicom does without a table whose lengths are not as many as its places.
        usable = offsets if offsets[0] and len(offsets[0]) == len(offsets[1]) else None
        frame = get_frame(file, index, number_of_frames=frames, extended_offsets=usable)
    if not _fits(frame, str(syntax), header):
        raise FileFormatError(
            f"{path} cannot be read as DICOM: frame {index} states no size, or unpacks "
            f"to more than the {header.Rows} x {header.Columns} pixels of the header"
        )


def check_palette(path: FilePath, header: Any) -> None:
    """Refuse a segmented palette that unpacks to more entries than palettes have.

    Raises
    ------
    FileFormatError
        When it does, or repeats segments (DICOM PS3.3, C.7.9.2.3).
    """
    for colour in ("Red", "Green", "Blue"):
        stored = header.get(f"Segmented{colour}PaletteColorLookupTableData")
        if stored is None:
            continue
        depth = int(header[f"{colour}PaletteColorLookupTableDescriptor"].value[2])
        words = np.frombuffer(
            bytes(stored)[: len(stored) // 2 * 2], "<u2" if depth > 8 else "u1"
        )
        at = entries = 0
        while at + 1 < len(words) and entries <= _MOST_ENTRIES:
            kind, count = int(words[at]), int(words[at + 1])
            if kind not in (_DISCRETE, _LINEAR):
                entries = _MOST_ENTRIES + 1
            entries += count
            at += 2 + (count if kind == _DISCRETE else 1)
        if entries > _MOST_ENTRIES:
            raise FileFormatError(
                f"{path} has a palette of more than {_MOST_ENTRIES} colours, or one "
                "that repeats itself, which is not read"
            )


def _fits(frame: bytes, syntax: str, header: Any) -> bool:
    pixels = int(header.Rows) * int(header.Columns)
    samples = int(header.get("SamplesPerPixel") or 1)
    if syntax == _RLE:
        # Each segment, of a byte of a sample, ends where the next begins.
        room = pixels * samples * math.ceil(int(header.BitsAllocated) / 8)
        starts = [
            int.from_bytes(frame[4 * n : 4 * n + 4], "little") for n in range(1, 16)
        ]
        count = min(int.from_bytes(frame[:4], "little"), len(starts))
        ends = [*starts[1:count], len(frame)]
        return all(
            packbits_fits(frame[start:end], room + _RLE_HEADER_BYTES)
            for start, end in zip(starts[:count], ends, strict=True)
        )
    if not syntax.startswith(_JPEG):
        return True  # nothing here decodes it
    size = (jpeg2000_size if syntax in _JPEG2000 else jpeg_size)(frame)
    return size is not None and math.prod(size) <= pixels * samples
