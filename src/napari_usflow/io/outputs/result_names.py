"""Names of the results of many files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["output_paths"]

_SUFFIX = ".ome.tif"
_KNOWN = (".ome.tif", ".ome.tiff", ".zea.hdf5", ".raw.lzo")


def output_paths(inputs: Sequence[Path], folder: Path) -> list[Path]:
    """Return where the results of files go: their names, as OME-TIFF, in a folder.

    Raises
    ------
    ValueError
        When two files would be written to one place, or one over its input.
    """
    paths = [folder / f"{_stem(path)}{_SUFFIX}" for path in inputs]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            first = inputs[paths.index(path)]
            raise ValueError(
                f"{first} and {inputs[number]} would both be written to {path}; "
                "process them into two folders"
            )
        if path.exists() and path.samefile(inputs[number]):
            raise ValueError(f"{path} is one of the inputs; choose another folder")
    return paths


def _stem(path: Path) -> str:
    name = path.name
    for suffix in _KNOWN:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem if path.suffix else name
