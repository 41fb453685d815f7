"""MR series in DICOM files, read by pydicom.

A series is a folder's single-frame files of one SeriesInstanceUID, in order along the
normal of the slices (InstanceNumber where they have no position), or one multi-frame
file (Enhanced MR). It goes by the path of its first file. Files must be DICOM Part 10
files, which have ``DICM`` at byte 128. Only modality MR and magnitude images are read.
Of the header, spacing, rescaling, body part and scanner settings are kept; nothing
that names or describes a person is, nor free text, which may do so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.dicom.decoding import decoded_frame
from napari_usflow.io.guards.dicom_pixels import refuse_deflated
from napari_usflow.io.guards.file_checks import is_dicom, regular_file
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS, need_package
from napari_usflow.mri.anatomy import stated_anatomy
from napari_usflow.mri.stack import (
    OpenStack,
    check_pixel,
    check_slice_bytes,
)

__all__ = ["find_series", "open_dicom"]

_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR: an index of files, no image
_TAGS = [
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "BodyPartExamined",
    "ImageType",
    "ComplexImageComponent",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SpacingBetweenSlices",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "ScanningSequence",
    "MagneticFieldStrength",
    "EchoTime",
    "RepetitionTime",
]
_KEPT = {
    "ScanningSequence": "acquisition",
    "MagneticFieldStrength": "magnetic_field_t",
    "EchoTime": "echo_time_ms",
    "RepetitionTime": "repetition_time_ms",
    "SpacingBetweenSlices": "slice_spacing_mm",
    "SeriesNumber": "series_number",
}
# DICOM PS3.3, C.8.3.1.1.1 and C.8.13.3.1.1; and what vendors put beside them.
_NO_MAGNITUDE = {
    "P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "MIXED", "VELOCITY",
    "VELOCITY MAP",
}  # fmt: skip


@dataclass(frozen=True)
class _Image:
    """One file of a series, by its header."""

    path: Path
    header: Any
    frames: int

    @property
    def key(self) -> tuple[str, ...]:
        """Properties shared by all slices of a stack."""
        h = self.header
        uid = str(h.get("SeriesInstanceUID", ""))
        alone = str(self.path) if self.frames > 1 else ""
        return (
            uid,
            alone,
            *(str(h.get(name, "")) for name in ("Rows", "Columns", "PixelSpacing")),
        )

    @property
    def order(self) -> tuple[float, int, str]:
        """Place along the normal, then number, then name."""
        h = self.header
        place = 0.0
        position = h.get("ImagePositionPatient")
        directions = h.get("ImageOrientationPatient")
        if position is not None and directions is not None and len(directions) == 6:
            normal = np.cross(
                np.asarray(directions[:3], float), np.asarray(directions[3:], float)
            )
            place = round(float(normal @ np.asarray(position, float)), 3)
        return place, int(h.get("InstanceNumber") or 0), self.path.name

    @property
    def why_not(self) -> str:
        """Why this is no slice of a magnitude image, or nothing."""
        h = self.header
        if h.get("Modality") != "MR":
            return (
                f"a DICOM file of modality {h.get('Modality', 'unknown')}; "
                "MR was expected"
            )
        if not h.get("Rows") or not h.get("Columns"):
            return "a DICOM file without an image"
        types = {str(value).upper() for value in h.get("ImageType") or ()}
        types.add(str(h.get("ComplexImageComponent", "")).upper())
        if types & _NO_MAGNITUDE:
            return f"{'/'.join(sorted(types & _NO_MAGNITUDE))}, no magnitude image"
        if h.get("SamplesPerPixel", 1) != 1 or (
            h.get("PhotometricInterpretation", "MONOCHROME2") != "MONOCHROME2"
        ):
            return f"{h.get('PhotometricInterpretation')}; grey was expected"
        return ""


def find_series(files: Sequence[Path]) -> list[Path]:
    """Return one path, the first slice's file, for each MR series among DICOM files.

    Other modalities, phase images and files with a damaged header are left out.
    """
    headers = _readable(path for path in files if is_dicom(path))
    return [images[0].path for images in _group(headers)]


@contextmanager
def open_dicom(path: Path) -> Iterator[OpenStack]:
    """Open the series that a file belongs to, to read its slices one at a time.

    Parameters
    ----------
    path : Path
        One file of the series; the others are looked for in its folder.

    Raises
    ------
    FileFormatError
        When it is no MR magnitude image, is damaged, or has no PixelSpacing.
    UsflowError
        When pydicom, or what it needs to unpack the pixels, is missing.
    """
    path = regular_file(path)
    asked = _header(path)
    if asked is None or asked.why_not:
        reason = asked.why_not if asked else "a DICOM directory, which holds no image"
        raise FileFormatError(f"{path} is {reason}")
    siblings = sorted(p for p in path.parent.iterdir() if p != path and is_dicom(p))
    for link in filter(Path.is_symlink, siblings):
        raise FileFormatError(
            f"{link} is a link to another place, which is not followed; put the files "
            f"of the series of {path.name} beside it, or give a folder without links"
        )
    # The file that was asked for comes first, so that of a doubled image it stays.
    groups = _group([asked, *_readable(siblings)])
    images = next(
        group for group in groups if any(image.path == path for image in group)
    )
    same_folder = {image.key for group in groups for image in group}
    first = images[0].header
    number = f"-{first.get('SeriesNumber', 0)}" if len(same_folder) > 1 else ""
    with _reading(path):
        rows, columns = int(first.Rows), int(first.Columns)
    place = f"{path.parent} (series of {path.name})"
    check_slice_bytes(place, rows * columns * 8)
    places = [(image, frame) for image in images for frame in range(image.frames)]
    measures = _measures(images[0])
    if measures is None:
        raise FileFormatError(
            f"{path} has no PixelSpacing; the size of its pixels is not known"
        )
    attributes = {
        ours: _plain(first[name].value)
        for name, ours in _KEPT.items()
        if name in first and first[name].value is not None
    }
    yield OpenStack(
        place,
        f"{path.parent.resolve().name}{number}",
        (len(places), rows, columns),
        check_pixel(place, measures),
        lambda index: _pixels(*places[index]),
        attributes,
        stated_anatomy((first.get("BodyPartExamined"),), ()),
    )


def _readable(paths: Iterable[Path]) -> Iterator[_Image]:
    """Read headers; one that is damaged does not keep others from being used."""
    for path in paths:
        try:
            image = _header(path)
        except FileFormatError:
            continue
        if image is not None and not image.why_not:
            yield image


def _group(images: Iterable[_Image]) -> list[list[_Image]]:
    """Sort images into series, and each series into its order."""
    groups: dict[tuple[str, ...], dict[str, _Image]] = {}
    for image in images:
        uid = str(image.header.get("SOPInstanceUID", image.path))
        groups.setdefault(image.key, {}).setdefault(uid, image)
    return [
        sorted(group.values(), key=lambda image: image.order)
        for _, group in sorted(groups.items())
    ]


def _header(path: Path) -> _Image | None:
    """Read a file's header; None for a DICOMDIR."""
    pydicom = need_package("pydicom", path, "DICOM", extra="mri")
    with _reading(path):
        refuse_deflated(path)
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        if str(header.file_meta.get("MediaStorageSOPClassUID", "")) == _DIRECTORY:
            return None
        image = _Image(path, header, int(header.get("NumberOfFrames") or 1))
        # Damaged values show here.
        _ = image.key, image.order, image.why_not, [header.get(tag) for tag in _TAGS]
    if not 1 <= image.frames <= path.stat().st_size:
        raise FileFormatError(f"{path} declares {image.frames} frames")
    return image


def _measures(image: _Image) -> Any:
    """Return PixelSpacing: from the header, or of all frames, or of the first."""
    spacing = image.header.get("PixelSpacing")
    with _reading(image.path):
        if spacing is None and image.frames > 1:
            header = _full_header(image.path)
            for name in (
                "PerFrameFunctionalGroupsSequence",
                "SharedFunctionalGroupsSequence",
            ):
                groups = header.get(name)
                if groups and groups[0].get("PixelMeasuresSequence"):
                    spacing = groups[0].PixelMeasuresSequence[0].get("PixelSpacing")
        return None if spacing is None else [float(value) for value in spacing]


@lru_cache(maxsize=1)
def _full_header(path: Path) -> Any:
    """Read all but the pixels; kept for the next frame of the same file."""
    pydicom = need_package("pydicom", path, "DICOM", extra="mri")
    return pydicom.dcmread(path, defer_size=2**20, stop_before_pixels=True)


def _pixels(image: _Image, frame: int) -> npt.NDArray[Any]:
    """Read one frame and rescale it."""
    rows, columns = int(image.header.Rows), int(image.header.Columns)
    with _reading(image.path):
        header = _full_header(image.path)
        syntax = header.file_meta.TransferSyntaxUID
        declared = rows * columns * int(header.BitsAllocated) // 8 * image.frames
        if not syntax.is_compressed and declared > image.path.stat().st_size:
            raise FileFormatError(
                f"{image.path} is cut short: its header declares {image.frames} x "
                f"{rows} x {columns} pixels"
            )
        pixels = decoded_frame(image.path, frame).astype(np.float32)
        slope, intercept = _rescaling(header, frame)
    if pixels.shape != (rows, columns):
        raise FileFormatError(
            f"{image.path} holds pixels of shape {pixels.shape}; "
            f"{(rows, columns)} was declared"
        )
    return pixels * np.float32(slope) + np.float32(intercept)


def _rescaling(header: Any, frame: int) -> tuple[float, float]:
    """Return RescaleSlope and RescaleIntercept of a frame."""
    source = header
    for name, index in (
        ("SharedFunctionalGroupsSequence", 0),
        ("PerFrameFunctionalGroupsSequence", frame),
    ):
        groups = header.get(name)
        if groups and groups[index].get("PixelValueTransformationSequence"):
            source = groups[index].PixelValueTransformationSequence[0]
    slope, intercept = source.get("RescaleSlope"), source.get("RescaleIntercept")
    return (
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "/".join(map(str, value))
    return int(number) if number.is_integer() else number


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Describe in one line what pydicom finds wrong with a file."""
    import pydicom

    wrong: tuple[type[Exception], ...] = LIBRARY_ERRORS
    wrong += (pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException)
    try:
        yield
    except wrong as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path} cannot be read as DICOM: {text}") from error
