"""The header of a DICOM ultrasound file: what it shows, never whom.

Only the elements listed here are taken out of a file. Names, numbers and dates of
persons, and free text, which may hold them, are not even decoded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_usflow.errors import FileFormatError, UsflowError, size_text
from napari_usflow.io.guards.dicom_pixels import refuse_deflated
from napari_usflow.io.guards.file_checks import (
    FilePath,
    SourceFile,
    is_dicom,
    open_binary,
    regular_file,
    source_file,
    starting_bytes,
)
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS, need_package
from napari_usflow.ultrasound.lazy_frames import check_frame_count

__all__ = ["TIME_UNKNOWN", "Header", "detect", "open_header", "reading"]

TIME_UNKNOWN = "the time between frames is not known"
"""Note on a clip that does not state it."""

_ULTRASOUND = {
    f"1.2.840.10008.5.1.4.1.1.{end}"
    for end in ("6.1", "3.1", "6", "3")  # image, multi-frame, and what they replaced
}
_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
_MODALITIES = (
    b"\x08\x00\x60\x00CS\x02\x00US",  # explicit, little endian
    b"\x08\x00\x60\x00\x02\x00\x00\x00US",  # implicit
    b"\x00\x08\x00\x60CS\x00\x02US",  # explicit, big endian
)
_CLASS_TAG = b"\x02\x00\x02\x00UI"
_META_BYTES = 1024
_HEAD_BYTES = 16384
_MAX_FRAME_BYTES = 2**27
_TAGS = [
    "Modality",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelSpacing",
    "PixelAspectRatio",
    "WindowCenter",
    "WindowWidth",
    "FrameTime",
    "FrameTimeVector",
    "ActualFrameDuration",
    "CineRate",
    "RecommendedDisplayFrameRate",
    "SequenceOfUltrasoundRegions",
    *(
        f"{start}{colour}PaletteColorLookupTable{end}"
        for start, end in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
        for colour in ("Red", "Green", "Blue")
    ),
]


@dataclass(frozen=True)
class Header:
    """Description of a file's frames.

    Attributes
    ----------
    path : SourceFile
        The file.
    frames, rows, columns : int
        Its size.
    photometric : str
        Photometric interpretation, such as ``RGB``.
    syntax : str
        Transfer syntax, in words.
    frame_interval_s : float, optional
        Time between frames.
    spacing_mm : (float, float), optional
        PixelSpacing, which few ultrasound files have.
    aspect : float
        Height of a pixel divided by its width (PixelAspectRatio).
    shown : (float, float), optional
        Black and white by WindowCenter and WindowWidth.
    regions : list of dict
        Items of the Sequence of Ultrasound Regions, by keyword.
    notes : list of str
        What had to be assumed.
    dataset : pydicom.Dataset
        The elements that describe pixels and palette.
    """

    path: SourceFile
    frames: int
    rows: int
    columns: int
    photometric: str
    syntax: str
    frame_interval_s: float | None
    spacing_mm: tuple[float, float] | None
    aspect: float
    shown: tuple[float, float] | None
    regions: list[dict[str, Any]]
    notes: list[str]
    dataset: Any


def detect(file: SourceFile) -> str | None:
    """Return ``dicom-ultrasound`` by what a file states, else None.

    It is ultrasound by its class, or by its modality in any class, such as secondary
    capture. Both stand near the beginning, so that no library is loaded to look.
    """
    if not is_dicom(file):
        return None
    if _stated_class(file) in (*_ULTRASOUND, _VOLUME):
        return "dicom-ultrasound"
    head = starting_bytes(file, _HEAD_BYTES)
    return "dicom-ultrasound" if any(m in head for m in _MODALITIES) else None


def _stated_class(file: SourceFile) -> str:
    """Return the Media Storage SOP Class UID, (0002,0002)."""
    meta = file.start[132:_META_BYTES]
    at = meta.find(_CLASS_TAG)
    if at < 0:
        return ""
    start = at + len(_CLASS_TAG) + 2
    length = int.from_bytes(meta[start - 2 : start], "little")
    return meta[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")


def open_header(path: FilePath) -> Header:
    """Read a header and check that its frames can be.

    Raises
    ------
    FileFormatError
        When the file is damaged, no ultrasound image, or declares something absurd.
    UsflowError
        When pydicom is missing.
    """
    path = source_file(path)
    regular_file(path)
    if not is_dicom(path):
        raise FileFormatError(f"{path} is not a DICOM file")
    if _stated_class(path) == _VOLUME:
        raise FileFormatError(
            f"{path} is an ultrasound volume (Enhanced US Volume); 2-D images and "
            "clips are read"
        )
    pydicom = need_package("pydicom", path.path, "DICOM", extra="dicom")
    with open_binary(path) as file, reading(path):
        refuse_deflated(path)
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        if dataset.get("Modality", "US") != "US":
            raise FileFormatError(
                f"{path} is a DICOM file of modality {dataset.get('Modality')}; "
                "ultrasound (US) was expected"
            )
        frames, rows, columns = (
            int(dataset.get(name) or default)
            for name, default in (("NumberOfFrames", 1), ("Rows", 0), ("Columns", 0))
        )
        syntax = dataset.file_meta.TransferSyntaxUID
        _check_size(path, dataset, frames, rows, columns)
        notes: list[str] = []
        regions = [
            {item.keyword: item.value for item in region if item.keyword}
            for region in dataset.get("SequenceOfUltrasoundRegions") or ()
        ]
        spacing = dataset.get("PixelSpacing")
        return Header(
            path,
            frames,
            rows,
            columns,
            str(dataset.get("PhotometricInterpretation", "")),
            str(syntax.name),
            _frame_interval_s(dataset, notes) if frames > 1 else None,
            None if spacing is None else (float(spacing[0]), float(spacing[1])),
            _aspect(dataset, notes),
            _window(dataset),
            regions,
            notes,
            dataset,
        )


def _aspect(found: Any, notes: list[str]) -> float:
    """Return the height of a pixel by its width; 1 where it is not stated."""
    try:
        height, width = (
            float(size) for size in found.get("PixelAspectRatio") or (1, 1)
        )
    except (TypeError, ValueError):
        return 1.0
    if not (0.1 < height / (width or math.nan) < 10) or height == width:
        return 1.0
    notes.append(f"a pixel is {height:g} high by {width:g} wide (PixelAspectRatio)")
    return height / width


def _window(found: Any) -> tuple[float, float] | None:
    """Return black and white of the window that a file states."""
    try:
        center, width = (
            float(np.atleast_1d(found.get(name))[0])
            for name in ("WindowCenter", "WindowWidth")
        )
    except (TypeError, ValueError, IndexError):
        return None
    if not (math.isfinite(center) and 1 < width < math.inf):
        return None
    return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2


@contextmanager
def reading(path: FilePath) -> Iterator[None]:
    """Describe in one line what pydicom, or a decoder, finds wrong with a file."""
    import pydicom

    wrong: tuple[type[Exception], ...] = LIBRARY_ERRORS
    wrong += (pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException)
    try:
        with warnings.catch_warnings():
            # Wrong headers are common here, and nobody can mend them.
            warnings.simplefilter("ignore")
            yield
    except wrong as error:
        if isinstance(error, UsflowError):
            raise
        text = " ".join(str(error).split())
        if "missing dependencies" in text or "not supported" in text:
            raise FileFormatError(_no_decoder(path, text)) from error
        raise FileFormatError(
            f"{path} cannot be read as DICOM: {text[:200]}"
        ) from error


def _no_decoder(path: FilePath, text: str) -> str:
    kind = text.split("'")[1] if text.count("'") > 1 else "a format"
    return (
        f"{path} is compressed as {kind}, for which no decoder is installed: "
        'pip install "napari-usflow[dicom]"'
    )


def _check_size(
    path: SourceFile, found: Any, frames: int, rows: int, columns: int
) -> None:
    samples = int(found.get("SamplesPerPixel") or 1)
    bits = int(found.get("BitsAllocated") or 0)
    if rows < 1 or columns < 1:
        raise FileFormatError(f"{path} is a DICOM file without an image")
    if bits not in (8, 16) or samples not in (1, 3):
        raise FileFormatError(
            f"{path} has {samples} samples of {bits} bits a pixel; 1 or 3 samples of 8 "
            "or 16 bits are read"
        )
    check_frame_count(path.path, frames)
    size, declared = path.path.stat().st_size, rows * columns * samples * bits // 8
    if not 1 <= frames <= size or declared > _MAX_FRAME_BYTES:
        raise FileFormatError(
            f"{path} declares {frames} frames of {rows} x {columns} pixels "
            f"({size_text(declared)} each) in {size_text(size)}"
        )
    syntax = found.file_meta.TransferSyntaxUID
    if not syntax.is_compressed and frames * declared > size:
        subsampled = str(found.get("PhotometricInterpretation")).endswith("_422")
        if not subsampled or frames * declared * 2 // 3 > size:
            raise FileFormatError(
                f"{path} is cut short: its header declares {frames} x {rows} x "
                f"{columns} pixels"
            )


def _frame_interval_s(found: Any, notes: list[str]) -> float | None:
    """Return the time between frames, from the first element that has one."""
    for name, seconds in (
        ("FrameTime", lambda value: value / 1e3),
        ("FrameTimeVector", lambda value: _mean_step(value, notes) / 1e3),
        ("ActualFrameDuration", lambda value: value / 1e3),
        ("CineRate", lambda value: 1 / value),
        ("RecommendedDisplayFrameRate", lambda value: 1 / value),
    ):
        value = found.get(name)
        try:
            if value is not None:
                interval = seconds(np.asarray(value, float).ravel())  # type: ignore[no-untyped-call]
                interval = float(np.asarray(interval).ravel()[0])
                if 0 < interval < math.inf:
                    return interval
        except (TypeError, ValueError, IndexError, ZeroDivisionError):
            continue
    notes.append(TIME_UNKNOWN)
    return None


def _mean_step(steps: Any, notes: list[str]) -> Any:
    """Return the mean of the steps between frames; the first one is not a step."""
    steps = steps[1:]
    if np.ptp(steps) > 0.1 * np.mean(steps):
        notes.append("frames are not evenly spaced in time; their mean step is given")
    return np.mean(steps)
