"""A folder of DICOM ultrasound files, opened as one list of images.

Files are taken in the order of their names, those of subfolders too, as an export from
an archive has them. Links are not followed. Files of other kinds are passed over, and
so are damaged ones, which are listed with what is wrong with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io import dicom
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import ArrayLike, UltrasoundImage

__all__ = ["PATTERNS", "TITLE", "detect", "open_file"]

TITLE = "folders of DICOM ultrasound"
PATTERNS: tuple[str, ...] = ()

_MOST_ENTRIES = 4096
_LOOKED_AT = 256
_DEEPEST = 6


def detect(file: SourceFile) -> str | None:
    """Return ``dicom-folder`` for a folder with an ultrasound file in it, else None."""
    if not file.path.is_dir():
        return None
    for number, path in enumerate(_files(file.path)):
        if number >= _LOOKED_AT:
            break
        if _is_ours(path):
            return "dicom-folder"
    return None


def open_file(file: SourceFile) -> Opened:
    """Open the images of all files, in the order of their names.

    Raises
    ------
    FileFormatError
        When no file can be read, or there are too many.
    UsflowError
        When pydicom is missing.
    """
    images: list[UltrasoundImage] = []
    colours: list[ArrayLike | None] = []
    skipped: dict[str, str] = {}
    for path in _files(file.path):
        if not _is_ours(path):
            continue
        shown = str(path.relative_to(file.path))
        try:
            opened = dicom.open_file(SourceFile(path))
        except FileFormatError as error:
            skipped[shown] = str(error)
            continue
        images += [_named(image, path, shown) for image in opened.images]
        colours += opened.colours
    if not images:
        reason = next(iter(skipped.values()), f"{file} has no DICOM ultrasound")
        raise FileFormatError(reason)
    names = [str(image.metadata["name"]) for image in images]
    details: dict[str, Any] = {"names": names}
    return Opened(
        images,
        colours=colours,
        details={**details, "skipped": skipped} if skipped else details,
    )


def _named(image: UltrasoundImage, path: Path, shown: str) -> UltrasoundImage:
    stated = {"source": str(path), "name": shown, "format": "dicom-ultrasound"}
    return image.with_data(image.data, metadata={**stated, **image.metadata})


def _is_ours(path: Path) -> bool:
    try:
        return dicom.detect(SourceFile(path)) is not None
    except FileFormatError:
        return False


def _files(folder: Path) -> Iterator[Path]:
    """Go through the plain files of a folder, sorted by the numbers in their names."""
    count = 0
    for place, folders, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(folders, key=_numbers_first) if depth < _DEEPEST else []
        for name in sorted(names, key=_numbers_first):
            path = Path(place, name)
            if path.is_symlink() or not path.is_file():
                continue
            count += 1
            if count > _MOST_ENTRIES:
                raise FileFormatError(
                    f"{folder} has more than {_MOST_ENTRIES} files; open a part of them"
                )
            yield path


def _numbers_first(name: str) -> list[tuple[int, str]]:
    """Return a key by which IM_2 comes before IM_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(p[:18]), p) if p.isdigit() and p.isascii() else (-1, p) for p in parts]
