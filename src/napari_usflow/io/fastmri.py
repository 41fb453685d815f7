"""MRI magnitude stacks in the fastMRI layout (HDF5), the data priors are trained on.

Datasets: ``reconstruction_rss`` or ``reconstruction_esc``, float32, (slices, H, W).
Attributes: ``pixel_size_mm`` (row, column), ``acquisition``, ``patient_id``,
``source``, ``licence`` where the file has them. The pixel size of an original fastMRI
file is read from its ISMRMRD header (``ismrmrd_header``, XML: the field of view of
reconSpace over its matrix).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError

__all__ = ["MriStack", "find_files", "read_stack"]

_IMAGES = ("reconstruction_rss", "reconstruction_esc")
_LARGEST_BYTES = 4 * 2**30
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
        When the file is not HDF5, holds no reconstruction, is too large, or has NaN.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FileFormatError(f"{path}: not a readable HDF5 file ({error})") from error
    with file:
        links = (file.get(name, getlink=True) for name in _IMAGES)
        names = [
            name
            for name, link in zip(_IMAGES, links, strict=True)
            if isinstance(link, h5py.HardLink)
        ]
        if not names:
            raise FileFormatError(
                f"{path}: holds no {' or '.join(_IMAGES)}; found "
                f"{', '.join(sorted(file)) or 'nothing'}"
            )
        dataset = file[names[0]]
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 3:
            raise FileFormatError(f"{path}: {names[0]} must be (slices, H, W)")
        if dataset.size * 4 > _LARGEST_BYTES:
            raise FileFormatError(
                f"{path}: {names[0]} declares shape {dataset.shape}, more than "
                f"{_LARGEST_BYTES // 2**30} GiB"
            )
        slices = dataset.astype(np.float32)[...]
        attributes = {key: _plain(value) for key, value in file.attrs.items()}
        pixel = _pixel_size(path, file, attributes)
    if not np.isfinite(slices).all():
        raise FileFormatError(f"{path}: {names[0]} holds NaN or infinite values")
    scale = float(np.percentile(slices, 99.9))
    if scale <= 0:
        raise FileFormatError(f"{path}: {names[0]} is empty (all values are 0)")
    return MriStack(slices / np.float32(scale), pixel, path.stem, attributes)


def _pixel_size(
    path: Path, file: h5py.File, attributes: dict[str, Any]
) -> tuple[float, float]:
    if "pixel_size_mm" in attributes:
        values = np.atleast_1d(attributes["pixel_size_mm"]).astype(float)
    elif "ismrmrd_header" in file:
        try:
            root = ET.fromstring(file["ismrmrd_header"][()])
            space = root.find(f".//{_ISMRMRD}encoding/{_ISMRMRD}reconSpace")
            assert space is not None
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
        except (ET.ParseError, ValueError, AssertionError, ZeroDivisionError) as error:
            raise FileFormatError(
                f"{path}: its ISMRMRD header gives no pixel size ({error})"
            ) from error
    else:
        raise FileFormatError(
            f"{path}: no pixel size; expected the attribute pixel_size_mm or an "
            "ISMRMRD header"
        )
    if values.size > 2 or not (np.isfinite(values) & (values > 0)).all():
        raise FileFormatError(f"{path}: pixel size {values.tolist()} mm makes no sense")
    return float(values[0]), float(values[-1])


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if isinstance(value, np.generic) else value
