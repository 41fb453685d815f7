"""Projects: images before and after, with regions, numbers, marks and how it was done.

What is above the images (regions, marks, the report) is read by
:mod:`napari_usflow.evaluate.project`.
"""

from __future__ import annotations

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.opened import Opened
from napari_usflow.io.project.archive import DESCRIPTION, Archive
from napari_usflow.io.project.images import as_ultrasound, read_images

__all__ = ["PATTERNS", "TITLE", "VERSION", "check_version", "detect", "open_file"]

TITLE = "napari-usflow projects"
PATTERNS = ("*.usflow",)
VERSION = 1

_NAME_AT = 30
_PARTS = ("regions", "marks", "drawn")


def detect(file: SourceFile) -> str | None:
    """Return ``usflow-project`` for a zip that begins with our description."""
    name = DESCRIPTION.encode()
    start = file.start
    is_zip = start.startswith(b"PK\x03\x04")
    return "usflow-project" if is_zip and start[_NAME_AT:].startswith(name) else None


def open_file(file: SourceFile) -> Opened:
    """Open the grey images of a project, as far as they can be read.

    Raises
    ------
    FileFormatError
        When its description cannot be read, or is of a later version.
    """
    archive = Archive(file)
    check_version(archive)
    images, notes = [], list(archive.problems)
    for stored in read_images(archive):
        try:
            images.append(as_ultrasound(stored))
        except ValueError as error:
            notes.append(str(error))
    counts = {
        name: len(content)
        for name in _PARTS
        if isinstance(content := archive.description.get(name), list)
    }
    details = {"project": counts, **({"project_notes": notes} if notes else {})}
    instead = f"{file} has no image that can be read. {' '.join(notes)}".strip()
    return Opened(images=images, details=details, instead=instead)


def check_version(archive: Archive) -> None:
    """Refuse a project of a later version; FileFormatError."""
    version = archive.description.get("version")
    if version != VERSION:
        raise FileFormatError(
            f"{archive.path} is a project of version {version!r}; this napari-usflow "
            f"reads version {VERSION}: update it"
        )
