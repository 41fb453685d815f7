"""NumPy archives (``.npz``), of which no object is ever unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import SourceFile, open_binary
from napari_usflow.io.guards.inflation import DEFLATE_RATIO
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.matlab.variable_map import sole_image
from napari_usflow.io.matlab.variables import Variable
from napari_usflow.io.named_arrays import Names, SameFile, open_arrays
from napari_usflow.io.opened import Opened

__all__ = ["OPTIONS", "PATTERNS", "TITLE", "detect", "is_left_to_others", "open_file"]

TITLE = "NumPy archives (.npz)"
OPTIONS = ("names", "raw")
PATTERNS = ("*.npz",)

_ZIP = b"PK\x03\x04"
_MEMBER = ".npy"
_MOST_ARRAYS = 512
_MOST_BYTES = 2**30
_HEADER_BYTES = 10_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE: tuple[type[Exception], ...] = (
    *LIBRARY_ERRORS,
    SyntaxError,
    TokenError,
    zipfile.BadZipFile,
)


class _Archive(SameFile):
    """An archive whose arrays are listed and read as variables of MATLAB are."""

    @cached_property
    def named_arrays(self) -> dict[str, Variable]:
        """Arrays of numbers by name, their axes in MATLAB's order."""
        with _reading(self) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(_MEMBER)]
            if len(members) > _MOST_ARRAYS:
                raise FileFormatError(f"{self} holds {len(members)} arrays")
            return dict(map(self._listed, [archive] * len(members), members))

    def load(self, names: Collection[str]) -> dict[str, npt.NDArray[Any]]:
        """Read arrays whole, by name, their axes in MATLAB's order."""
        known = self.named_arrays
        for name in names:
            if name not in known or known[name].kind != "numbers":
                raise FileFormatError(
                    f"{self} has no array {name!r}; it has {', '.join(known) or 'none'}"
                )
        loaded = {}
        with _reading(self) as archive:
            for name in names:
                with archive.open(name + _MEMBER) as member:
                    array = np.lib.format.read_array(member, allow_pickle=False)
                if array.size == 0 or not np.isfinite(array).all():
                    raise FileFormatError(
                        f"{self}: {name!r} is empty or holds values that are not finite"
                    )
                loaded[name] = np.atleast_2d(array).T
        return loaded

    def _listed(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo
    ) -> tuple[str, Variable]:
        """Read what a member declares, and compare it with what there is."""
        name = member.filename.removesuffix(_MEMBER)
        possible = member.compress_size
        if member.compress_type == zipfile.ZIP_DEFLATED:
            possible *= DEFLATE_RATIO
        if member.compress_type not in _METHODS or member.flag_bits & 1:
            raise FileFormatError(
                f"{self}: {name!r} is encrypted, or packed by another method than "
                "deflate"
            )
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read is None:
                return name, Variable(name, (), "other")
            shape, _, dtype = read(stream, max_header_size=_HEADER_BYTES)
            declared = math.prod(shape) * dtype.itemsize + stream.tell()
        if dtype.kind not in "fiucb":
            return name, Variable(name, tuple(shape)[::-1], "other")
        if declared != member.file_size or not declared <= min(possible, _MOST_BYTES):
            raise FileFormatError(
                f"{self}: {name!r} declares an array of shape {shape} "
                f"({size_text(declared)}) in {size_text(member.compress_size)}; at "
                f"most {size_text(_MOST_BYTES)} are read"
            )
        # One number or one axis is a matrix, in MATLAB.
        matrix = (1,) * (2 - len(shape)) + tuple(int(n) for n in shape)
        return name, Variable(name, matrix[::-1], "numbers")


@contextmanager
def _reading(file: SourceFile) -> Iterator[zipfile.ZipFile]:
    try:
        with open_binary(file) as raw, zipfile.ZipFile(raw) as archive:
            yield archive
    except _DAMAGE as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{file} is a damaged or unsafe NumPy archive: {text}"
        ) from error


def detect(file: SourceFile) -> str | None:
    """Return ``npz`` for a ZIP file whose first member is an array, else None."""
    start = file.start
    if not start.startswith(_ZIP) or len(start) < 30:
        return None
    length = int.from_bytes(start[26:28], "little")
    return "npz" if start[30 : 30 + length].endswith(_MEMBER.encode()) else None


def is_left_to_others(file: SourceFile, kind: str) -> bool:
    """Whether no array of it can only be the image."""
    return sole_image(_Archive(file).named_arrays.values()) is None


def open_file(
    file: SourceFile, *, names: Names | None = None, raw: bool = False
) -> Opened:
    """Open an image or channel data by their names; without names, list the arrays.

    Raises
    ------
    FileFormatError
        When the file is damaged, or an array is missing or does not fit.
    ValueError
        When ``names`` make no sense.
    """
    return open_arrays(
        _Archive(file), "a NumPy archive of arrays that are not known", names, raw=raw
    )
