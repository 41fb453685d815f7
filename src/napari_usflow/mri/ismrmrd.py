"""The ISMRMRD header of a fastMRI file: spaces in pixels and millimetres, protocol.

The header is XML (namespace http://www.ismrm.org/ISMRMRD). Of each encoding's
encodedSpace (what was measured) and reconSpace (what is shown) the matrix and the
field of view are used; x is the readout, the rows of fastMRI's arrays, and y the
phase encoding, their columns.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.hdf5 import find_dataset, has_member
from napari_usflow.io.guards.hdf5_heaps import check_heaps

__all__ = ["Space", "read_protocol", "read_spaces"]

_LARGEST_BYTES = 2**20
_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"


@dataclass(frozen=True)
class Space:
    """Matrix and field of view (mm), rows first."""

    matrix: tuple[int, int]
    field_mm: tuple[float, float]

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Row and column spacing."""
        return (
            self.field_mm[0] / self.matrix[0],
            self.field_mm[1] / self.matrix[1],
        )


def read_spaces(path: Path, file: h5py.File) -> tuple[Space | None, Space]:
    """Read encodedSpace (None when it is missing) and reconSpace.

    Raises
    ------
    FileFormatError
        When the header is no text of reasonable length, or gives no reconSpace.
    """
    header = _header(path, file)
    try:
        root = ET.fromstring(header)
        recon = _space(root, "reconSpace")
        if recon is None:
            raise ValueError("it has no reconSpace")
        return _space(root, "encodedSpace"), recon
    except (ET.ParseError, ValueError, OverflowError) as error:
        raise FileFormatError(
            f"{path}: its ISMRMRD header gives no pixel size ({error})"
        ) from error


def read_protocol(path: Path, file: h5py.File) -> tuple[str, str]:
    """Read the body part and the protocol's name; empty where they are not stated."""
    if not has_member(file, "ismrmrd_header"):
        return "", ""
    try:
        root = ET.fromstring(_header(path, file))
    except (ET.ParseError, FileFormatError):
        # Where the header is needed for lengths, that is said.
        return "", ""
    part, protocol = (
        root.findtext("/".join(_NAMESPACE + tag for tag in tags), "").strip()
        for tags in (
            ("studyInformation", "bodyPartExamined"),
            ("measurementInformation", "protocolName"),
        )
    )
    return part, protocol


def _space(root: ET.Element, name: str) -> Space | None:
    space = root.find(f".//{_NAMESPACE}encoding/{_NAMESPACE}{name}")
    if space is None:
        return None

    def numbers(kind: str) -> list[float]:
        return [
            float(space.findtext(f"{_NAMESPACE}{kind}/{_NAMESPACE}{axis}", ""))
            for axis in "xy"
        ]

    matrix, field_mm = numbers("matrixSize"), numbers("fieldOfView_mm")
    values = np.array([matrix, field_mm])
    if not (np.isfinite(values) & (values > 0)).all() or min(matrix) < 1:
        raise ValueError(f"{name} has matrix {matrix} and field of view {field_mm} mm")
    return Space(
        (int(matrix[0]), int(matrix[1])), (float(field_mm[0]), float(field_mm[1]))
    )


def _header(path: Path, file: h5py.File) -> bytes:
    """Read the header, one text, after a look at its length."""
    dataset = find_dataset(
        file, "ismrmrd_header", ndim=0, kinds="SO", max_bytes=_LARGEST_BYTES
    )
    if dataset.dtype.kind == "O":
        check_heaps(file)
        # A text of variable length is a reference of 16 bytes that starts with its
        # length (HDF5 File Format Specification, IV.A.2.d); reading allocates that.
        offset = dataset.id.get_offset()
        if h5py.check_string_dtype(dataset.dtype) is None or offset is None:
            raise FileFormatError(f"{path}: ismrmrd_header is no plain text")
        with path.open("rb") as raw:
            raw.seek(offset)
            length = int.from_bytes(raw.read(4), "little")
        if length > _LARGEST_BYTES:
            raise FileFormatError(
                f"{path}: ismrmrd_header declares {size_text(length)}; at most "
                f"{size_text(_LARGEST_BYTES)} are read here"
            )
    return bytes(dataset[()])
