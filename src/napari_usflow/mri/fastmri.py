"""MRI in the fastMRI layout (HDF5): reconstructions, and k-space.

Datasets, as the fastMRI project's ``mri_data.py`` and README name them:

- ``reconstruction_rss`` or ``reconstruction_esc``: magnitude, (slices, H, W);
- ``kspace``: complex, (slices, H, W) of a single coil or (slices, coils, H, W);
- ``ismrmrd_header``: XML with matrix, field of view and protocol;
- ``mask``: the lines that were measured, only in undersampled test files.

Where a file has a reconstruction it is used. Otherwise a slice of k-space becomes an
image by the centred orthonormal inverse FFT, a crop to the reconSpace's matrix (which
takes off the oversampling of the readout) and the root of the coils' sum of squares.
Attributes: ``pixel_size_mm`` (row, column) where there is no header; what else the
file says of itself (``acquisition``, ``source``, ``licence``, ...) is kept. Header and
``acquisition`` tell the anatomy (:mod:`.anatomy`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    member_names,
    open_hdf5,
)
from napari_usflow.io.guards.hdf5_attributes import read_plain_attributes
from napari_usflow.mri.anatomy import stated_anatomy
from napari_usflow.mri.ismrmrd import Space, read_protocol, read_spaces
from napari_usflow.mri.stack import OpenStack, check_pixel, check_slice_bytes

__all__ = ["open_fastmri", "reconstruct"]

_IMAGES = ("reconstruction_rss", "reconstruction_esc")
_MOST_ATTRIBUTES = 256
Float = npt.NDArray[np.float32]


@contextmanager
def open_fastmri(path: Path) -> Iterator[OpenStack]:
    """Open a fastMRI file, to read its slices one at a time.

    Raises
    ------
    FileFormatError
        When the file is not HDF5 or damaged, holds neither a reconstruction nor a
        fully sampled k-space of its own (links and values in other files are not
        followed), or one of its slices is too large.
    """
    with open_hdf5(path) as file:
        name = next((name for name in _IMAGES if has_member(file, name)), None)
        if name is not None:
            yield _images(path, file, name)
        elif has_member(file, "kspace"):
            yield _kspace(path, file)
        else:
            raise FileFormatError(
                f"{path}: holds no {', '.join(_IMAGES)} or kspace; found "
                f"{', '.join(member_names(file, 8)) or 'nothing'}"
            )


def _images(path: Path, file: h5py.File, name: str) -> OpenStack:
    dataset = find_dataset(file, name, max_bytes=None)
    if dataset.ndim != 3:
        raise FileFormatError(
            f"{path}: {name} has shape {dataset.shape}; it must be (slices, H, W)"
        )
    _check_pieces(f"{path}: {name}", dataset, itemsize=max(4, dataset.dtype.itemsize))
    attributes = _attributes(file)
    return OpenStack(
        f"{path}: {name}",
        path.stem,
        dataset.shape,
        _pixel_size(path, file, attributes),
        lambda index: dataset[index],
        attributes,
        _anatomy(path, file, attributes),
    )


def _kspace(path: Path, file: h5py.File) -> OpenStack:
    dataset = find_dataset(file, "kspace", kinds="c", max_bytes=None)
    if dataset.ndim not in (3, 4):
        raise FileFormatError(
            f"{path}: kspace has shape {dataset.shape}; it must be (slices, H, W) or "
            "(slices, coils, H, W)"
        )
    attributes = _attributes(file)
    if has_member(file, "mask"):
        factor = attributes.get("acceleration")
        raise FileFormatError(
            f"{path}: an undersampled test file (it has a mask"
            f"{f', acceleration {factor}' if factor is not None else ''}) without a "
            "reconstruction; its images would show artefacts. Give fully sampled files"
        )
    _check_pieces(f"{path}: kspace", dataset, itemsize=dataset.dtype.itemsize)
    rows, columns = dataset.shape[-2:]
    crop = (rows, columns)
    # What was stated by hand goes before the header, as for reconstructions.
    pixel = _stated_pixel(path, attributes)
    if has_member(file, "ismrmrd_header"):
        encoded, recon = read_spaces(path, file)
        pixel = pixel or _kspace_pixel((rows, columns), encoded, recon)
        crop = _crop_size((rows, columns), recon.matrix)
    if pixel is None:
        raise _no_pixel_size(path)

    def load(index: int) -> Float:
        measured = np.asarray(dataset[index])
        _check_sampling(f"{path}: slice {index} of kspace", measured)
        return reconstruct(measured, crop)

    return OpenStack(
        f"{path}: kspace",
        path.stem,
        (dataset.shape[0], *crop),
        pixel,
        load,
        attributes | {"reconstruction": "inverse FFT, root of the sum of squares"},
        _anatomy(path, file, attributes),
    )


def reconstruct(kspace: npt.NDArray[Any], crop: tuple[int, int]) -> Float:
    """Turn the k-space of one slice into a magnitude image.

    Parameters
    ----------
    kspace : ndarray, shape (H, W) or (coils, H, W), complex
        With the zero frequency in the middle (index n // 2).
    crop : (int, int)
        Rows and columns about the middle to keep, at most H and W.

    Returns
    -------
    ndarray, shape ``crop``, float32
        Root of the sum over coils of the squared magnitude of the orthonormal
        inverse Fourier transform.
    """
    rows, columns = (
        slice((n - c) // 2, (n - c) // 2 + c)
        for n, c in zip(kspace.shape[-2:], crop, strict=True)
    )
    energy = np.zeros(crop, np.float32)
    # A coil at a time: the transform needs room for one only.
    for coil in kspace.reshape(-1, *kspace.shape[-2:]):
        image = fft.fftshift(fft.ifft2(fft.ifftshift(coil), norm="ortho"))
        energy += np.square(np.abs(image[rows, columns]))
    return np.sqrt(energy)


def _crop_size(shape: tuple[int, int], matrix: tuple[int, int]) -> tuple[int, int]:
    if shape[1] < matrix[1]:
        # As in fastMRI's own reconstructions: some scans are narrower than their
        # matrix, and become square.
        return min(shape[0], shape[1]), shape[1]
    return min(shape[0], matrix[0]), matrix[1]


def _kspace_pixel(
    shape: tuple[int, int], encoded: Space | None, recon: Space
) -> tuple[float, float]:
    """Field of view over samples; lines of k-space lie 1 / field of view apart."""
    if encoded is None:
        return recon.pixel_mm
    # An axis of another length had its oversampling taken off before it was stored.
    rows, columns = (
        encoded.field_mm[axis] / shape[axis]
        if shape[axis] == encoded.matrix[axis]
        else recon.pixel_mm[axis]
        for axis in (0, 1)
    )
    return rows, columns


def _check_sampling(place: str, kspace: npt.NDArray[Any]) -> None:
    """Refuse missing lines between measured ones; lines outside may be padding."""
    measured = kspace.any(axis=tuple(range(kspace.ndim - 1)))
    lines = np.flatnonzero(measured)
    if lines.size and lines.size < lines[-1] - lines[0] + 1:
        raise FileFormatError(
            f"{place} is undersampled: {lines.size} of the {lines[-1] - lines[0] + 1} "
            "lines of its middle part were measured. Give fully sampled files"
        )


def _check_pieces(place: str, dataset: h5py.Dataset, *, itemsize: int) -> None:
    """Refuse slices, or chunks (read whole, if compressed), that take too much."""
    pieces = [math.prod(dataset.shape[1:])]
    if dataset.chunks:
        pieces.append(math.prod(dataset.chunks))
    check_slice_bytes(f"{place} of shape {dataset.shape}", max(pieces) * itemsize)


def _stated_pixel(path: Path, attributes: dict[str, Any]) -> tuple[float, float] | None:
    if "pixel_size_mm" not in attributes:
        return None
    stated = np.atleast_1d(attributes["pixel_size_mm"])
    if stated.dtype.kind not in "fiu":
        raise FileFormatError(f"{path}: pixel_size_mm is {stated}; expected mm")
    return check_pixel(str(path), stated)


def _pixel_size(
    path: Path, file: h5py.File, attributes: dict[str, Any]
) -> tuple[float, float]:
    stated = _stated_pixel(path, attributes)
    if stated is not None:
        return stated
    if not has_member(file, "ismrmrd_header"):
        raise _no_pixel_size(path)
    return check_pixel(str(path), read_spaces(path, file)[1].pixel_mm)


def _no_pixel_size(path: Path) -> FileFormatError:
    return FileFormatError(
        f"{path}: no pixel size; expected the attribute pixel_size_mm or an ISMRMRD "
        "header"
    )


def _anatomy(path: Path, file: h5py.File, attributes: dict[str, Any]) -> str:
    part, protocol = read_protocol(path, file)
    return stated_anatomy(
        (attributes.get("anatomy"), part), (protocol, attributes.get("acquisition"))
    )


def _attributes(file: h5py.File) -> dict[str, Any]:
    """Read the file's own attributes, leaving out those that are large or no values."""
    stored = read_plain_attributes(file, _MOST_ATTRIBUTES)
    return {name: _plain(value) for name, value in stored.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if isinstance(value, np.generic) else value
