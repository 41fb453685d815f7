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
