"""References in the descriptions of a TIFF: other files, and absurd counts.

tifffile opens the files that an OME description names, and those that Micro-Manager
leaves beside a stack. A description in XML may also declare texts that refer to each
other.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath

__all__ = ["refuse_entities", "refuse_references"]

_MOST_PLANES = 2**20
_COUNTS = ("IFD", "NumPlanes", "PlaneCount", "FirstC", "FirstT", "FirstZ")


def refuse_references(path: FilePath, tiff: Any) -> None:
    """Keep an open TIFF from opening other files; before its series are looked at.

    Parameters
    ----------
    path : path
        The file.
    tiff : tifffile.TiffFile
        Opened with ``_multifile=False``.

    Raises
    ------
    FileFormatError
        When its OME description takes planes from other files, or declares more
        planes than a file of images has.
    """
    refuse_entities(path, tiff)
    # What is left are the pages of this file.
    tiff.is_mmstack = tiff.is_ndtiff = False
    if not tiff.is_ome:
        return
    root = ET.fromstring(tiff.ome_metadata)
    if any(_local(element) == "BinaryOnly" for element in root):
        raise FileFormatError(
            f"{path} has its description in another file, which is not opened"
        )
    own = root.get("UUID")
    others: dict[str, str] = {}
    for element in root.iter():
        name = _local(element)
        if name == "UUID" and element.text != own:
            others[str(element.text)] = element.get("FileName", "")
        if name == "TiffData":
            _check_counts(path, element)
        if name.startswith("ModuloAlong"):
            _check_steps(path, element)
    # A file that goes by another name than it was given has all planes all the same.
    names = {
        name for name in others.values() if name.lower() != Path(path).name.lower()
    }
    if names and (len(others) > 1 or own is not None):
        shown = ", ".join(repr(name) for name in sorted(names)[:3])
        raise FileFormatError(
            f"{path} takes planes from other files ({shown}), which are not opened; "
            "save the series in one file"
        )


def refuse_entities(path: FilePath, tiff: Any) -> None:
    """Refuse a description in XML that declares texts of its own.

    A few kilobytes of them, one within the other, become gigabytes when they are read.

    Raises
    ------
    FileFormatError
        When it does.
    """
    if "<!DOCTYPE" in tiff.pages.first.description:
        raise FileFormatError(
            f"{path} has a description that declares a document type, which is not "
            "read; save the image without it"
        )


def _local(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _check_counts(path: FilePath, element: ET.Element) -> None:
    for name in _COUNTS:
        if not 0 <= int(element.get(name, 0)) <= _MOST_PLANES:
            raise FileFormatError(f"{path} declares {element.get(name)} for {name}")


def _check_steps(path: FilePath, element: ET.Element) -> None:
    start, end, step = (
        float(element.get(name, default))
        for name, default in (("Start", "0"), ("End", "0"), ("Step", "1"))
    )
    count = (end - start) / step if step else math.inf
    if not abs(count) <= _MOST_PLANES:
        raise FileFormatError(f"{path} declares {count:g} steps of an axis")
