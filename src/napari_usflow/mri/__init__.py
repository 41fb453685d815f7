"""MRI that priors are trained on: fastMRI HDF5, NIfTI and DICOM, by what a file holds.

:func:`find_files` gives one path a stack, :func:`open_stack` reads a stack slice by
slice however large it is, :func:`read_stack` reads one into memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import (
    is_dicom,
    regular_file,
    starting_bytes,
    starts_like,
)
from napari_usflow.io.guards.hdf5 import is_hdf5
from napari_usflow.mri.dicom import find_series, open_dicom
from napari_usflow.mri.fastmri import open_fastmri
from napari_usflow.mri.nifti import is_nifti, open_nifti
from napari_usflow.mri.stack import (
    LARGEST_STACK_BYTES,
    MriStack,
    OpenStack,
    UpperPercentile,
)

__all__ = [
    "MriStack",
    "OpenStack",
    "UpperPercentile",
    "find_files",
    "open_stack",
    "parts_of",
    "read_stack",
]

_ENDINGS = (".h5", ".hdf5", ".nii", ".nii.gz")
_READABLE = "fastMRI (.h5, .hdf5), NIfTI (.nii, .nii.gz) or DICOM MR series"


def find_files(paths: Sequence[Path]) -> list[Path]:
    """List the stacks among files and folders, sorted within each folder.

    Of a folder: its HDF5 and NIfTI files, and the first file of every DICOM MR series
    directly in it or in a folder in it. Files are listed as they are.

    Raises
    ------
    FileFormatError
        When nothing is found, saying what there is instead.
    UsflowError
        When DICOM files are found and pydicom is missing.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        try:
            here = sorted(path.iterdir())
            folders = [path, *(p for p in here if p.is_dir())]
            files += [p for p in here if p.name.lower().endswith(_ENDINGS)]
            for folder in folders:
                files += find_series(
                    sorted(p for p in folder.iterdir() if _may_be_dicom(p))
                )
        except OSError as error:
            raise FileFormatError(
                f"{error.filename} cannot be listed: {error.strerror}"
            ) from error
    if not files:
        names = "; ".join(f"{path} ({_contents(path)})" for path in paths)
        raise FileFormatError(
            f"no MRI found in {names or 'nothing'}; give {_READABLE}, or a folder of "
            "them"
        )
    return files


def _may_be_dicom(path: Path) -> bool:
    return not path.name.lower().endswith(_ENDINGS) and is_dicom(path)


def _contents(folder: Path) -> str:
    """Describe what a folder holds: ``3 .png, 1 folder``."""
    files, folders = Counter[str](), 0
    dicom = 0
    for path in folder.iterdir():
        if path.is_dir():
            folders += 1
        elif is_dicom(path):
            dicom += 1
        else:
            files[path.suffix.lower() or "without an ending"] += 1
    parts = [f"{count} {ending}" for ending, count in files.most_common(5)]
    if dicom:
        parts.insert(0, f"{dicom} DICOM, none of them an MR magnitude image")
    if folders:
        parts.append(f"{folders} folder{'s' if folders > 1 else ''}")
    return ", ".join(parts) or "empty"


@contextmanager
def open_stack(source: Path | MriStack) -> Iterator[OpenStack]:
    """Open a stack, to read its slices one at a time.

    Parameters
    ----------
    source : Path or MriStack
        A file (of a DICOM series, any of its files), or a stack in memory, which is
        walked in the same way.

    Raises
    ------
    FileFormatError
        When the file cannot be used; the text says why.
    UsflowError
        When the package that reads it is missing.
    """
    if isinstance(source, MriStack):
        yield OpenStack(
            source.name,
            source.name,
            source.slices.shape,
            source.pixel_size_mm,
            lambda index: source.slices[index],
            source.attributes,
            source.anatomy,
        )
        return
    path = regular_file(source)
    if is_hdf5(path):
        opened = open_fastmri(path)
    elif is_nifti(path):
        opened = open_nifti(path)
    elif is_dicom(path):
        opened = open_dicom(path)
    else:
        raise FileFormatError(
            f"{path} is not an MRI file: {starts_like(starting_bytes(path))}; "
            f"give {_READABLE}"
        )
    with opened as stack:
        yield stack


def read_stack(path: Path) -> MriStack:
    """Read one stack into memory.

    Raises
    ------
    FileFormatError
        As :func:`open_stack`, and when a slice is damaged or has NaN, all slices are
        empty, or they would take more than 4 GiB together.
    UsflowError
        When the package that reads it is missing.
    """
    with open_stack(path) as stack:
        size = 4 * math.prod(stack.shape)
        if size > LARGEST_STACK_BYTES:
            raise FileFormatError(
                f"{stack.place} has shape {stack.shape}, more than "
                f"{size_text(LARGEST_STACK_BYTES)}; open it slice by slice"
            )
        slices = np.empty(stack.shape, np.float32)
        percentile = UpperPercentile(slices.size)
        for index in range(len(stack)):
            slices[index] = stack.read(index)
            percentile.add(slices[index])
        slices /= np.float32(stack.checked_scale(percentile))
        return MriStack(
            slices, stack.pixel_size_mm, stack.name, stack.attributes, stack.anatomy
        )


def parts_of(source: Path) -> list[Path]:
    """List the files that a stack may be read from, to notice when one changes."""
    if is_hdf5(source) or is_nifti(source):
        return [source]
    return sorted(path for path in source.parent.iterdir() if path.is_file())
