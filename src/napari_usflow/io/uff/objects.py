"""Finding the objects of a UFF file, and reading their numbers and arrays."""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    is_group,
    member_names,
    read_array,
    subgroup,
)
from napari_usflow.io.guards.hdf5_attributes import (
    read_label_attribute,
)

__all__ = [
    "ComplexData",
    "axis",
    "children",
    "class_of",
    "number",
    "objects_of",
]

MAX_CHILDREN = 16_384
"""Longest list of objects that is read."""

_MAX_OBJECTS = 64


def class_of(group: h5py.Group) -> str:
    """Return the class an object names, such as ``uff.channel_data``, or ""."""
    return read_label_attribute(group, "class")


def objects_of(file: h5py.File, *classes: str) -> list[h5py.Group]:
    """List the objects at a file's root that are of one of these classes."""
    groups = []
    for name in member_names(file, _MAX_OBJECTS):
        if not is_group(file, name):
            continue
        group = subgroup(file, name)
        if class_of(group) in classes:
            groups.append(group)
    return groups


def children(group: h5py.Group, name: str) -> list[h5py.Group]:
    """List the objects of a property: itself, or ``<name>_0001``, ... in order."""
    parent = subgroup(group, name)
    names = member_names(parent, MAX_CHILDREN + 1)
    numbered = {
        int(match[1]): child
        for child in names
        if (match := re.fullmatch(r".*_(\d{1,9})", child))
    }
    if len(names) > MAX_CHILDREN:
        raise FileFormatError(
            f"{group.file.filename}, {parent.name} lists more than {MAX_CHILDREN} "
            "objects"
        )
    if not numbered or has_member(parent, "source") or has_member(parent, "distance"):
        return [parent]
    return [subgroup(parent, numbered[key]) for key in sorted(numbered)]


def number(
    group: h5py.Group,
    name: str,
    default: float | None = None,
    *,
    finite: bool = True,
) -> float:
    """Read one number of an object; ``default`` where the property is absent.

    Raises
    ------
    FileFormatError
        When it is absent and there is no default, or is not one (finite) number.
    """
    if default is not None and not has_member(group, name):
        return default
    values = np.asarray(find_dataset(group, name, max_bytes=4096)[()], np.float64)
    if values.size != 1 or np.isnan(values).any() or (finite and np.isinf(values)):
        raise FileFormatError(
            f"{group.file.filename}, {group.name}/{name} holds {values.ravel()[:3]}; "
            "one number was expected"
        )
    return float(values.item())


class ComplexData:
    """An array that is one dataset, or a group of its real and its imaginary part.

    Parameters
    ----------
    group : h5py.Group
        The object it is a property of.
    name : str
        Name of the property.

    Attributes
    ----------
    shape : tuple of int
        As stored, that is with MATLAB's axes reversed.
    is_complex : bool
        Whether there is an imaginary part.
    """

    def __init__(self, group: h5py.Group, name: str) -> None:
        self.is_complex = is_group(group, name)
        names = [f"{name}/real", f"{name}/imag"] if self.is_complex else [name]
        self._parts = [
            find_dataset(group, part, ndim=(1, 2, 3, 4), max_bytes=None)
            for part in names
        ]
        self.shape = tuple(int(size) for size in self._parts[0].shape)
        if tuple(self._parts[-1].shape) != self.shape:
            raise FileFormatError(
                f"{group.file.filename}, {group.name}/{name}: the real part has shape "
                f"{self.shape}, the imaginary one {tuple(self._parts[-1].shape)}"
            )

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Read a block, float32 or complex64."""
        real = np.asarray(self._parts[0][key])
        if not self.is_complex:
            return real.astype(np.float32)
        block = real.astype(np.complex64)
        block.imag = self._parts[1][key]
        return block


def axis(group: h5py.Group, name: str) -> npt.NDArray[np.float64]:
    """Read a vector of a scan, flattened."""
    return read_array(group, name, max_bytes=2**23).ravel().astype(np.float64)
