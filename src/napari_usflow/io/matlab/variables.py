"""The numeric variables of a MATLAB file, version 5 to 7.2 or 7.3 (HDF5).

Arrays are given in MATLAB's order of axes, whichever the file is. A field of a struct
is named ``struct.field``. Cells, tables and objects are left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import FilePath, open_binary, starting_bytes
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    is_group,
    is_hdf5,
    member_names,
    open_hdf5,
    subgroup,
)
from napari_usflow.io.guards.hdf5_attributes import (
    read_text_attribute,
)
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.matlab.version5 import (
    check_variables,
    list_variables,
    struct_fields,
)

__all__ = [
    "MAX_BYTES",
    "Variable",
    "find_array",
    "is_v73",
    "load",
    "roots",
    "variables",
]

MAX_BYTES = 2**30
"""Most that is read of a version 5 file, whose variables can only be read whole."""

_V5 = b"MATLAB 5.0 MAT-file"
_V73 = b"MATLAB 7.3 MAT-file"
_MAX_VARIABLES = 512
# Deflate shrinks by at most 1032:1.
_MAX_INFLATION = 1100
_ITEM_BYTES = {"int8": 1, "uint8": 1, "logical": 1, "char": 2, "int16": 2, "uint16": 2}
_ITEM_BYTES |= {"int32": 4, "uint32": 4, "single": 4}
_NUMERIC = {*_ITEM_BYTES, "int64", "uint64", "double"} - {"char"}


@dataclass(frozen=True)
class Variable:
    """A variable, or a field of a struct.

    Attributes
    ----------
    name : str
        As it is written in MATLAB.
    shape : tuple of int
        In MATLAB's order of axes.
    kind : {"numbers", "struct", "other"}
        What it holds.
    """

    name: str
    shape: tuple[int, ...]
    kind: str


def is_v73(path: FilePath) -> bool | None:
    """Tell version 7.3 from version 5 by the file's first bytes; None for neither.

    Other HDF5 files that are read by names count as 7.3.
    """
    if getattr(path, "is_plain_hdf5", False):
        return True
    try:
        start = starting_bytes(path, len(_V5))
    except FileFormatError:
        return None
    if start == _V73:
        return True if is_hdf5(path) else None
    return False if start == _V5 else None


def roots(path: FilePath) -> list[Variable]:
    """List the variables of a file, without the fields of structs; reads no data."""
    listed_by_itself = getattr(path, "named_arrays", None)
    if listed_by_itself is not None:
        return list(listed_by_itself.values())
    if is_v73(path):
        with open_hdf5(path) as file:
            has_classes = starting_bytes(path, len(_V73)) == _V73
            return [_root_73(file, name, has_classes) for name in _names(file)]
    listed = list_variables(path)
    if len(listed) > _MAX_VARIABLES:
        raise FileFormatError(f"{path} holds {len(listed)} variables")
    kinds = dict.fromkeys(_NUMERIC, "numbers") | {"struct": "struct"}
    for name, shape, kind in listed:
        _check_size(path, name, shape, _ITEM_BYTES.get(kind, 8))
    return [
        Variable(name, tuple(map(int, shape)), kinds.get(kind, "other"))
        for name, shape, kind in listed
    ]


def variables(path: FilePath) -> dict[str, Variable]:
    """List the numeric variables of a file, and the numeric fields of its structs."""
    found: dict[str, Variable] = {}
    for root in roots(path):
        if root.kind == "numbers":
            found[root.name] = root
        elif root.kind == "struct":
            found |= _fields(path, root.name)
    return found


def load(path: FilePath, names: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """Read numeric variables whole, by name, in MATLAB's order of axes.

    Raises
    ------
    FileFormatError
        When one is missing, no numbers, not finite or too large.
    """
    load_by_itself = getattr(path, "load", None)
    if load_by_itself is not None:
        return dict(load_by_itself(names))
    if is_v73(path):
        with open_hdf5(path) as file:
            return {name: _load_73(file, name) for name in names}
    known = {root.name: root for root in roots(path)}
    wanted = sorted({name.partition(".")[0] for name in names})
    missing = [name for name in wanted if name not in known]
    if missing:
        raise FileFormatError(
            f"{path} has no variable {missing[0]!r}; it has "
            f"{', '.join(known) or 'none'}"
        )
    loaded = _load_5(path, wanted)
    return {name: _value_5(path, loaded, name) for name in names}


def find_array(file: h5py.File, name: str) -> h5py.Dataset:
    """Find a numeric dataset of a 7.3 file, real or complex, without reading it."""
    found = find_dataset(file, name.replace(".", "/"), kinds="fiuV", max_bytes=None)
    if found.dtype.kind == "V" and found.dtype.names != ("real", "imag"):
        raise FileFormatError(
            f"{file.filename}: {name} holds {found.dtype}, no numbers"
        )
    return found


def plain(stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn MATLAB's pairs of real and imaginary part into complex numbers."""
    if stored.dtype.names is None:
        return stored
    return np.asarray(stored["real"] + 1j * stored["imag"])


def _names(group: h5py.Group) -> list[str]:
    return [n for n in member_names(group, _MAX_VARIABLES) if not n.startswith("#")]


def _root_73(group: h5py.Group, name: str, has_classes: bool) -> Variable:
    other = Variable(name, (), "other")
    if is_group(group, name):
        return Variable(name, (), "struct")
    try:
        found = find_dataset(group, name, kinds="fiuV", max_bytes=None)
    except FileFormatError:
        return other
    if has_classes and read_text_attribute(found, "MATLAB_class") not in _NUMERIC:
        return other
    return Variable(name, tuple(found.shape)[::-1], "numbers")


def _fields(path: FilePath, struct: str) -> dict[str, Variable]:
    if is_v73(path):
        with open_hdf5(path) as file:
            group = subgroup(file, struct)
            has_classes = starting_bytes(path, len(_V73)) == _V73
            fields = [_root_73(group, name, has_classes) for name in _names(group)]
    else:
        shapes = struct_fields(path, struct)
        fields = [Variable(name, shape, "numbers") for name, shape in shapes.items()]
    return {
        f"{struct}.{field.name}": Variable(
            f"{struct}.{field.name}", field.shape, field.kind
        )
        for field in fields
        if field.kind == "numbers"
    }


def _load_73(file: h5py.File, name: str) -> npt.NDArray[Any]:
    found = find_array(file, name)
    find_dataset(file, name.replace(".", "/"), kinds="fiuV")  # of a size to be read
    return _finite(file.filename, name, plain(np.asarray(found[()])).T)


def _load_5(path: FilePath, names: list[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    check_variables(path, MAX_BYTES)
    with open_binary(path) as file, _reading(path):
        return dict(
            loadmat(file, variable_names=names, verify_compressed_data_integrity=False)
        )


def _value_5(path: FilePath, loaded: dict[str, Any], name: str) -> npt.NDArray[Any]:
    value = loaded[name.partition(".")[0]]
    for field in name.split(".")[1:]:
        names = getattr(value, "dtype", np.dtype("f8")).names or ()
        if field not in names or value.size != 1:
            raise FileFormatError(
                f"{path} has no {name!r}; its struct has "
                f"{', '.join(names) or 'nothing'}"
            )
        value = value[field].flat[0]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiucb":
        raise FileFormatError(f"{path}: {name!r} does not hold numbers")
    return _finite(path, name, value)


def _finite(path: FilePath, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.size == 0:
        raise FileFormatError(f"{path}: {name!r} is empty")
    if not np.isfinite(values).all():
        raise FileFormatError(f"{path}: {name!r} holds values that are not finite")
    return values


def _check_size(path: FilePath, name: str, shape: Any, item_bytes: int) -> None:
    count, size = math.prod(int(n) for n in shape), Path(path).stat().st_size
    possible = size * _MAX_INFLATION
    if not 0 <= count * item_bytes <= min(MAX_BYTES, possible):
        raise FileFormatError(
            f"{path}: {name!r} declares shape {tuple(shape)} in "
            f"{size_text(size)}; at most {size_text(MAX_BYTES)} are read"
        )


@contextmanager
def _reading(path: FilePath) -> Iterator[None]:
    try:
        yield
    except LIBRARY_ERRORS as error:
        if isinstance(error, FileFormatError):
            raise
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path} is a damaged MATLAB file: {text}") from error
