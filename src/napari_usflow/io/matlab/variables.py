"""The numeric variables of a MATLAB file, version 5 to 7.2 or 7.3 (HDF5).

Arrays are given in MATLAB's order of axes, whichever the file is. What is in structs
and cells is named as in MATLAB: ``a.b.c``, ``TX(2).Delay``, ``RcvData{1}``. Tables and
objects are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
)
from napari_usflow.io.guards.hdf5_attributes import (
    read_text_attribute,
)
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS
from napari_usflow.io.matlab.references import numbers_within, place_of, struct_count
from napari_usflow.io.matlab.steps import steps_of
from napari_usflow.io.matlab.version5 import (
    check_variables,
    list_variables,
    nested_numbers,
)

__all__ = [
    "MAX_BYTES",
    "Variable",
    "element_count",
    "find_array",
    "is_v73",
    "load",
    "roots",
    "small_values",
    "variables",
]

MAX_BYTES = 2**30
"""Most that is read of a version 5 file, whose variables can only be read whole."""

_V5 = b"MATLAB 5.0 MAT-file"
_V73 = b"MATLAB 7.3 MAT-file"
_MAX_VARIABLES = 512
_SMALL_BYTES = 2**22
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
    kind : {"numbers", "struct", "cell", "other"}
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
            return [_root_73(file, name, name, has_classes) for name in _names(file)]
    listed = list_variables(path)
    if len(listed) > _MAX_VARIABLES:
        raise FileFormatError(f"{path} holds {len(listed)} variables")
    kinds = dict.fromkeys(_NUMERIC, "numbers") | {
        "struct": "struct",
        "cell": "cell",
    }
    for name, shape, kind in listed:
        _check_size(path, name, shape, _ITEM_BYTES.get(kind, 8))
    return [
        Variable(name, tuple(map(int, shape)), kinds.get(kind, "other"))
        for name, shape, kind in listed
    ]


def variables(path: FilePath) -> dict[str, Variable]:
    """List the numeric variables of a file, and the numbers in structs and cells."""
    named: dict[str, Variable] = {}
    for root in roots(path):
        if root.kind == "numbers":
            named[root.name] = root
        elif root.kind in ("struct", "cell"):
            named |= _within(path, root.name)
    return named


def load(
    path: FilePath, names: Collection[str], *, finite: bool = True
) -> dict[str, npt.NDArray[Any]]:
    """Read numeric variables whole, by name, in MATLAB's order of axes.

    Parameters
    ----------
    path : path
        A MAT file.
    names : collection of str
        See :mod:`~napari_usflow.io.matlab.steps`.
    finite : bool
        Refuse NaN and infinities.

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
            return {name: _load_73(file, name, finite) for name in names}
    known = {root.name: root for root in roots(path)}
    wanted = sorted({steps_of(name)[0] for name in names})
    missing = [name for name in wanted if name not in known]
    if missing:
        raise FileFormatError(
            f"{path} has no variable {missing[0]!r}; it has "
            f"{', '.join(known) or 'none'}"
        )
    loaded = _load_5(path, wanted)
    return {name: _value_5(path, loaded, name, finite) for name in names}


def element_count(path: FilePath, root: str) -> int:
    """Return how many elements an array of structs has; 0 when there is none."""
    if is_v73(path):
        with open_hdf5(path) as file:
            return struct_count(file, root)
    known = {variable.name: variable for variable in roots(path)}
    is_struct = root in known and known[root].kind == "struct"
    return math.prod(known[root].shape) if is_struct else 0


def small_values(
    path: FilePath, wanted: Collection[str]
) -> Callable[[str], npt.NDArray[Any] | None]:
    """Return a function that reads small values within some variables, by name.

    It returns None for what is not there; numbers and characters otherwise, in
    MATLAB's order of axes.
    """
    if is_v73(path):
        return partial(_small_73, path)
    known = {root.name for root in roots(path)}
    loaded = _load_5(path, sorted(known & set(wanted)))
    return partial(_small_5, path, loaded)


def _small_73(path: FilePath, name: str) -> npt.NDArray[Any] | None:
    try:
        with open_hdf5(path) as file:
            place = place_of(file, name)
            stored = find_dataset(file, place, max_bytes=_SMALL_BYTES)
            return np.asarray(stored[()]).T
    except FileFormatError:
        return None


def _small_5(
    path: FilePath, loaded: dict[str, Any], name: str
) -> npt.NDArray[Any] | None:
    try:
        value = _value_within(path, loaded, name)
    except (FileFormatError, KeyError):
        return None
    return value if isinstance(value, np.ndarray) and value.size else None


def find_array(file: h5py.File, name: str) -> h5py.Dataset:
    """Find a numeric dataset of a 7.3 file, real or complex, without reading it."""
    dataset = find_dataset(file, place_of(file, name), kinds="fiuV", max_bytes=None)
    if dataset.dtype.kind == "V" and dataset.dtype.names != ("real", "imag"):
        raise FileFormatError(
            f"{file.filename}: {name} holds {dataset.dtype}, no numbers"
        )
    return dataset


def plain(stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn MATLAB's pairs of real and imaginary part into complex numbers."""
    if stored.dtype.names is None:
        return stored
    return np.asarray(stored["real"] + 1j * stored["imag"])


def _names(group: h5py.Group) -> list[str]:
    return [n for n in member_names(group, _MAX_VARIABLES) if not n.startswith("#")]


def _root_73(file: h5py.File, name: str, place: str, has_classes: bool) -> Variable:
    if is_group(file, place):
        return Variable(name, (), "struct")
    try:
        dataset = find_dataset(file, place, kinds="fiuVO", max_bytes=None)
    except FileFormatError:
        return Variable(name, (), "other")
    kind = read_text_attribute(dataset, "MATLAB_class")
    if kind == "cell" and dataset.dtype.kind == "O":
        return Variable(name, tuple(dataset.shape)[::-1], "cell")
    if (has_classes and kind not in _NUMERIC) or dataset.dtype.kind == "O":
        return Variable(name, (), "other")
    return Variable(name, tuple(dataset.shape)[::-1], "numbers")


def _within(path: FilePath, root: str) -> dict[str, Variable]:
    """List the numbers in a struct or a cell."""
    if not is_v73(path):
        shapes = nested_numbers(path, root)
        return {
            name: Variable(name, shape, "numbers") for name, shape in shapes.items()
        }
    has_classes = starting_bytes(path, len(_V73)) == _V73
    with open_hdf5(path) as file:
        inside = [
            _root_73(file, name, place, has_classes)
            for name, place in numbers_within(file, root)
        ]
    return {
        variable.name: variable for variable in inside if variable.kind == "numbers"
    }


def _load_73(file: h5py.File, name: str, finite: bool) -> npt.NDArray[Any]:
    dataset = find_array(file, name)
    find_dataset(file, place_of(file, name), kinds="fiuV")  # of a size to be read
    return _checked(file.filename, name, plain(np.asarray(dataset[()])).T, finite)


def _load_5(path: FilePath, names: list[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    check_variables(path, MAX_BYTES)
    with open_binary(path) as file, _reading(path):
        return dict(
            loadmat(file, variable_names=names, verify_compressed_data_integrity=False)
        )


def _value_5(
    path: FilePath, loaded: dict[str, Any], name: str, finite: bool
) -> npt.NDArray[Any]:
    value = _value_within(path, loaded, name)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiucb":
        raise FileFormatError(f"{path}: {name!r} does not hold numbers")
    return _checked(path, name, value, finite)


def _value_within(path: FilePath, loaded: dict[str, Any], name: str) -> Any:
    """Return what a name leads to in the loaded variables of a version 5 file."""
    root, steps = steps_of(name)
    value, way = loaded[root], root
    for step in steps:
        names = getattr(value, "dtype", np.dtype("f8")).names or ()
        if step.kind == "field":
            if step.name not in names or value.size != 1:
                raise FileFormatError(
                    f"{path} has no {name!r}; {way} has {', '.join(names) or 'nothing'}"
                )
            value, way = value[step.name].flat[0], f"{way}.{step.name}"
            continue
        flat = value.ravel(order="F") if isinstance(value, np.ndarray) else value
        holds = bool(names) if step.kind == "element" else flat.dtype.kind == "O"
        if not holds or not 1 <= step.index <= flat.size:
            raise FileFormatError(
                f"{path} has no {name!r}; {way} has {np.size(value)} elements"
            )
        at = step.index - 1
        value = flat[at : at + 1] if step.kind == "element" else flat[at]
    return value


def _checked(
    path: FilePath, name: str, values: npt.NDArray[Any], finite: bool
) -> npt.NDArray[Any]:
    if values.size == 0:
        raise FileFormatError(f"{path}: {name!r} is empty")
    if finite and not np.isfinite(values).all():
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
