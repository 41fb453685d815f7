"""MATLAB 7.3 files as MATLAB writes them: axes in reverse, complex numbers as pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

CLASSES = {"float64": "double", "float32": "single"}


def save_v73(path: Path, variables: dict[str, Any]) -> Path:
    """Write arrays (in MATLAB's order of axes) and structs (dictionaries of arrays)."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, dict):
                group = file.create_group(name)
                group.attrs["MATLAB_class"] = np.bytes_("struct")
                for field, inner in value.items():
                    _put(group, field, inner)
            else:
                _put(file, name, value)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    return path


def _put(group: h5py.Group, name: str, value: Any) -> None:
    values = np.atleast_2d(np.asarray(value)).T
    kind = values.real.dtype.name
    if np.iscomplexobj(values):
        pairs = np.empty(values.shape, [("real", "f8"), ("imag", "f8")])
        pairs["real"], pairs["imag"] = values.real, values.imag
        values, kind = pairs, "float64"
    group[name] = values
    group[name].attrs["MATLAB_class"] = np.bytes_(CLASSES.get(kind, kind))


def cell(*values: Any) -> np.ndarray:
    """Make a cell of one row, for scipy and :func:`save_nested_v73`."""
    row = np.empty((1, len(values)), object)
    for place, value in enumerate(values):
        row[0, place] = value
    return row


def structs(*values: dict[str, Any]) -> np.ndarray:
    """Make an array of structs of one row."""
    array = np.empty((1, len(values)), [(name, object) for name in values[0]])
    for place, value in enumerate(values):
        array[0, place] = tuple(value.values())
    return array


def save_nested_v73(path: Path, content: dict[str, Any]) -> Path:
    """Write cells and structs by references, as MATLAB does."""
    with h5py.File(path, "w", userblock_size=512) as file:
        hidden, count = file.create_group("#refs#"), iter(range(10**6))

        def put(group: h5py.Group, name: str, value: Any) -> None:
            if isinstance(value, dict):
                inner = group.create_group(name)
                inner.attrs["MATLAB_class"] = np.bytes_("struct")
                for field, part in value.items():
                    put(inner, field, part)
            elif isinstance(value, str):
                put(group, name, np.array([ord(c) for c in value], np.uint16))
                group[name].attrs["MATLAB_class"] = np.bytes_("char")
            elif isinstance(value, np.ndarray) and value.dtype == object:
                group[name] = references(list(value.ravel()), value.shape)
                group[name].attrs["MATLAB_class"] = np.bytes_("cell")
            elif isinstance(value, np.ndarray) and value.dtype.names:
                inner = group.create_group(name)
                inner.attrs["MATLAB_class"] = np.bytes_("struct")
                for field in value.dtype.names:
                    parts = [element[field] for element in value.ravel()]
                    inner[field] = references(parts, value.shape)
            else:
                stored = np.atleast_2d(np.asarray(value)).T
                group[name] = stored
                kind = {"float64": "double"}.get(stored.dtype.name, stored.dtype.name)
                group[name].attrs["MATLAB_class"] = np.bytes_(kind)

        def references(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
            array = np.empty(shape[::-1], h5py.ref_dtype)
            for place, value in enumerate(values):
                name = f"r{next(count)}"
                put(hidden, name, value)
                array.flat[place] = hidden[name].ref
            return array

        for name, value in content.items():
            put(file, name, value)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    return path
