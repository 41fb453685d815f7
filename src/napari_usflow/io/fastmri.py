"""MRI magnitude stacks in the fastMRI layout (HDF5), the data priors are trained on.

Datasets: ``reconstruction_rss`` or ``reconstruction_esc``, float32, (slices, H, W).
Attributes: ``pixel_size_mm`` (row, column), ``acquisition``, ``patient_id``,
``source``, ``licence`` where the file has them. The pixel size of an original fastMRI
file is read from its ISMRMRD header (``ismrmrd_header``, XML: the field of view of
reconSpace over its matrix).
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.hdf5 import (
    find_dataset,
    has_member,
    member_names,
    open_hdf5,
    size_text,
)

__all__ = ["MriStack", "find_files", "read_stack"]

_IMAGES = ("reconstruction_rss", "reconstruction_esc")
_LARGEST_BYTES = 4 * 2**30
_LARGEST_HEADER_BYTES = 2**20
_MOST_ATTRIBUTE_VALUES = 4096
_ISMRMRD = "{http://www.ismrm.org/ISMRMRD}"


@dataclass(frozen=True)
class MriStack:
    """A stack of magnitude slices.

    Attributes
    ----------
    slices : ndarray, shape (slices, H, W), float32
        Magnitude divided by the stack's 99.9th percentile, so tissue lies in [0, 1].
    pixel_size_mm : (float, float)
        Row and column spacing.
    name : str
        The file's name without its ending.
    attributes : dict
        What the file says of itself (acquisition, source, licence, ...).
    """

    slices: npt.NDArray[np.float32]
    pixel_size_mm: tuple[float, float]
    name: str
    attributes: dict[str, Any] = field(default_factory=dict)


def find_files(paths: list[Path]) -> list[Path]:
    """List the HDF5 files among paths and directly inside folders, sorted."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.suffix in (".h5", ".hdf5"))
        else:
            found.append(path)
    if not found:
        names = ", ".join(str(p) for p in paths)
        raise FileFormatError(
            f"{names}: no .h5 or .hdf5 file found; give MRI files in the fastMRI "
            "layout or a folder of them"
        )
    return found


def read_stack(path: Path) -> MriStack:
    """Read one stack.

    Raises
    ------
    FileFormatError
        When the file is not HDF5 or damaged, holds no reconstruction of its own
        (links and values in other files are not followed), is too large, or has NaN.
    """
    with open_hdf5(path) as file:
        name = next((name for name in _IMAGES if has_member(file, name)), None)
        if name is None:
            raise FileFormatError(
                f"{path}: holds no {' or '.join(_IMAGES)}; found "
                f"{', '.join(member_names(file, 8)) or 'nothing'}"
            )
        dataset = find_dataset(file, name, max_bytes=None)
        if dataset.ndim != 3:
            raise FileFormatError(
                f"{path}: {name} has shape {dataset.shape}; it must be (slices, H, W)"
            )
        if dataset.size * 4 > _LARGEST_BYTES:
            raise FileFormatError(
                f"{path}: {name} declares shape {dataset.shape}, more than "
                f"{size_text(_LARGEST_BYTES)}"
            )
        slices = dataset.astype(np.float32)[...]
        attributes = _attributes(file)
        pixel = _pixel_size(path, file, attributes)
    if not np.isfinite(slices).all():
        raise FileFormatError(f"{path}: {name} holds NaN or infinite values")
    scale = float(np.percentile(slices, 99.9))
    if scale <= 0:
        raise FileFormatError(f"{path}: {name} is empty (all values are 0)")
    return MriStack(slices / np.float32(scale), pixel, path.stem, attributes)


def _pixel_size(
    path: Path, file: h5py.File, attributes: dict[str, Any]
) -> tuple[float, float]:
    if "pixel_size_mm" in attributes:
        stated = np.atleast_1d(attributes["pixel_size_mm"])
        if stated.dtype.kind not in "fiu":
            raise FileFormatError(f"{path}: pixel_size_mm is {stated}; expected mm")
        values = stated.ravel().astype(float)
    elif has_member(file, "ismrmrd_header"):
        header = _header(path, file)
        try:
            root = ET.fromstring(header)
            space = root.find(f".//{_ISMRMRD}encoding/{_ISMRMRD}reconSpace")
            if space is None:
                raise ValueError("it has no reconSpace")
            values = np.array(
                [
                    float(
                        space.findtext(f"{_ISMRMRD}fieldOfView_mm/{_ISMRMRD}{axis}", "")
                    )
                    / float(
                        space.findtext(f"{_ISMRMRD}matrixSize/{_ISMRMRD}{axis}", "")
                    )
                    for axis in "xy"
                ]
            )
        except (ET.ParseError, ValueError, ZeroDivisionError) as error:
            raise FileFormatError(
                f"{path}: its ISMRMRD header gives no pixel size ({error})"
            ) from error
    else:
        raise FileFormatError(
            f"{path}: no pixel size; expected the attribute pixel_size_mm or an "
            "ISMRMRD header"
        )
    if values.size not in (1, 2) or not (np.isfinite(values) & (values > 0)).all():
        raise FileFormatError(f"{path}: pixel size {values.tolist()} mm makes no sense")
    return float(values[0]), float(values[-1])


def _header(path: Path, file: h5py.File) -> bytes:
    """Read the ISMRMRD header, one text, after a look at its length."""
    found = find_dataset(
        file, "ismrmrd_header", ndim=0, kinds="SO", max_bytes=_LARGEST_HEADER_BYTES
    )
    if found.dtype.kind == "O":
        # A text of variable length is a reference of 16 bytes that starts with its
        # length (HDF5 File Format Specification, IV.A.2.d); reading allocates that.
        offset = found.id.get_offset()
        if h5py.check_string_dtype(found.dtype) is None or offset is None:
            raise FileFormatError(f"{path}: ismrmrd_header is no plain text")
        with path.open("rb") as raw:
            raw.seek(offset)
            length = int.from_bytes(raw.read(4), "little")
        if length > _LARGEST_HEADER_BYTES:
            raise FileFormatError(
                f"{path}: ismrmrd_header declares {size_text(length)}; at most "
                f"{size_text(_LARGEST_HEADER_BYTES)} are read here"
            )
    return bytes(found[()])


def _attributes(file: h5py.File) -> dict[str, Any]:
    """Read the file's own attributes, leaving out those that are large or no values."""
    attributes = {}
    for name in file.attrs:
        try:
            shape = file.attrs.get_id(name).shape
            if shape is not None and math.prod(shape) <= _MOST_ATTRIBUTE_VALUES:
                attributes[name] = _plain(file.attrs[name])
        except (TypeError, ValueError):  # a type that numpy does not have
            continue
    return attributes


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if isinstance(value, np.generic) else value
