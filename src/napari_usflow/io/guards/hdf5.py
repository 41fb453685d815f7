"""Reading HDF5 files that nobody vouches for.

An HDF5 file can name other files (external links, external storage, virtual
datasets), point at itself, and declare arrays far larger than what it holds. The
functions here look at a declaration before anything is allocated, follow hard links
only, and turn every refusal into one :class:`~napari_usflow.errors.FileFormatError`.
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

from napari_usflow.errors import FileFormatError, size_text
from napari_usflow.io.guards.file_checks import (
    FilePath,
    regular_file,
    source_file,
    starting_bytes,
    starts_like,
)
from napari_usflow.io.guards.hdf5_attributes import text_of
from napari_usflow.io.guards.hdf5_filters import missing_filter
from napari_usflow.io.guards.hdf5_pieces import (
    CheckedDataset,
    unsound_piece,
)

__all__ = [
    "MAX_ARRAY_BYTES",
    "find_dataset",
    "has_member",
    "is_group",
    "is_hdf5",
    "member_names",
    "open_hdf5",
    "read_array",
    "read_long_text",
    "read_scalar",
    "read_text",
    "subgroup",
]

MAX_ARRAY_BYTES = 256 * 2**20
"""Largest array read in one piece unless the caller states another budget."""

# Deflate shrinks by at most 1032:1, so a filtered dataset that declares more than
# this many times the bytes stored for it cannot be telling the truth.
_MAX_INFLATION = 1100
# Other filters shrink constant blocks further; a small array is let through.
_ALWAYS_READ_BYTES = 4 * 2**20
_NUMBERS = "fiu"


def is_hdf5(path: FilePath) -> bool:
    """Return whether a file carries the HDF5 signature; never raises."""
    return source_file(path).is_hdf5


@contextmanager
def open_hdf5(path: FilePath) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, and close it again.

    Raises
    ------
    FileFormatError
        When the file is missing, empty, cut short or not HDF5, and when HDF5 fails
        on something inside it while the context is open.
    """
    try:
        with source_file(path).handle(_for_reading) as file:
            yield file
    # h5py gives OSError for most of what HDF5 reports, RuntimeError for the rest.
    except (OSError, RuntimeError) as error:
        raise FileFormatError(_why_unreadable(Path(path), error)) from error


def _for_reading(path: Path) -> h5py.File:
    return h5py.File(regular_file(path), "r")


def _why_unreadable(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    if "signature not found" in text:
        return f"{path} is not an HDF5 file: {starts_like(starting_bytes(path))}"
    if "truncated file" in text:
        size = path.stat().st_size
        return (
            f"{path} is cut short: its HDF5 header declares more than the {size} bytes "
            "that are there; copy it again"
        )
    if isinstance(error, PermissionError):
        return f"{path} cannot be read: permission denied"
    return f"{path} is a damaged HDF5 file: {text}"


def has_member(group: h5py.Group, name: str) -> bool:
    """Return whether a group lists a member of that name, without following it."""
    try:
        return group.get(name, getlink=True) is not None
    except TypeError:  # a user-defined kind of link
        return True


def member_names(group: h5py.Group, limit: int) -> list[str]:
    """List at most ``limit`` names in a group, leaving out those that are no text.

    Raises
    ------
    FileFormatError
        When the group cannot be listed.
    """
    try:
        names = [name for _, name in zip(range(limit), group, strict=False)]
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise FileFormatError(f"{_place(group)} is damaged: {error}") from error
    return [name for name in names if isinstance(name, str)]


def _member(group: h5py.Group, name: str) -> Any:
    node: Any = group
    for part in name.split("/"):
        if not isinstance(node, h5py.Group):
            raise FileFormatError(f"{_place(node)} is not a group, so it has no {part}")
        try:
            link = node.get(part, getlink=True)
        except TypeError:
            link = "unknown"
        if link is None:
            raise FileFormatError(f"{_place(node)} has no {part!r}")
        if not isinstance(link, h5py.HardLink):
            target = getattr(link, "path", "an unknown place")
            if isinstance(link, h5py.ExternalLink):
                target = f"{target} in {link.filename}"
            raise FileFormatError(
                f"{_place(node)}: {part!r} is only a link to {target}; "
                "links are not followed, the data must stand here"
            )
        try:
            node = node[part]
        except (KeyError, OSError, RuntimeError) as error:
            raise FileFormatError(
                f"{_place(node)}: {part!r} is damaged: {error}"
            ) from error
    return node


def _place(node: Any) -> str:
    return f"{node.file.filename}, {node.name}"


def subgroup(group: h5py.Group, name: str) -> h5py.Group:
    """Return a group by its path; FileFormatError when it is something else."""
    member = _member(group, name)
    if not isinstance(member, h5py.Group):
        raise FileFormatError(f"{_place(member)} is not a group")
    return member


def is_group(group: h5py.Group, name: str) -> bool:
    """Return whether a member is a group that stands here; no link, nothing damaged."""
    try:
        return isinstance(_member(group, name), h5py.Group)
    except FileFormatError:
        return False


def find_dataset(
    group: h5py.Group,
    name: str,
    *,
    ndim: int | tuple[int, ...] | None = None,
    kinds: str = _NUMBERS,
    max_bytes: int | None = MAX_ARRAY_BYTES,
) -> h5py.Dataset:
    """Find a dataset that can be read without surprise, without reading it.

    Parameters
    ----------
    group : h5py.Group
        Where to look.
    name : str
        Path below ``group``; every step must be a hard link.
    ndim : int or tuple of int, optional
        Allowed numbers of dimensions.
    kinds : str
        Allowed numpy kinds: real numbers unless stated. Object, compound and
        variable-length types are never among them.
    max_bytes : int, optional
        Largest declared size; None when the caller reads it piece by piece. The
        declared size is held against the bytes stored in the file in any case.

    Raises
    ------
    FileFormatError
        When any of this does not hold.
    """
    member = _member(group, name)
    place = _place(member)
    if not isinstance(member, h5py.Dataset):
        raise FileFormatError(f"{place} is a group; a dataset was expected")
    try:
        dtype, shape = member.dtype, member.shape
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"{place} has a type that is not read: {error}"
        ) from error
    if dtype.kind not in kinds or (dtype.kind in _NUMBERS and dtype.itemsize > 8):
        raise FileFormatError(f"{place} has type {dtype}; plain numbers were expected")
    if shape is None:
        raise FileFormatError(f"{place} holds no values")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and len(shape) not in allowed:
        expected = " or ".join(map(str, allowed))
        raise FileFormatError(
            f"{place} has shape {shape}; {expected} axes were expected"
        )
    if member.is_virtual or member.external:
        raise FileFormatError(
            f"{place} keeps its values in other files; it is not read"
        )
    _check_size(member, place, max_bytes)
    return CheckedDataset(member.id)


def _check_size(found: h5py.Dataset, place: str, max_bytes: int | None) -> None:
    declared = math.prod(found.shape) * found.dtype.itemsize
    if declared == 0:
        raise FileFormatError(
            f"{place} has shape {found.shape}: there is nothing in it"
        )
    if max_bytes is not None and declared > max_bytes:
        raise FileFormatError(
            f"{place} declares shape {found.shape} ({size_text(declared)}); "
            f"at most {size_text(max_bytes)} are read here"
        )
    stored = min(found.id.get_storage_size(), Path(found.file.filename).stat().st_size)
    filtered = found.id.get_create_plist().get_nfilters() > 0
    chunk = math.prod(found.chunks) * found.dtype.itemsize if found.chunks else 0
    needed = max(declared, chunk if filtered else 0)
    possible = stored * (_MAX_INFLATION if filtered else 1)
    if filtered and stored > 0:
        possible = max(possible, _ALWAYS_READ_BYTES)
    if needed > possible:
        raise FileFormatError(
            f"{place} declares shape {found.shape} ({size_text(declared)}), "
            f"but the file stores {size_text(stored)} for it"
        )
    missing = missing_filter(found)
    if missing is not None:
        raise FileFormatError(
            f"{place} is compressed by the HDF5 filter {missing}, which is not "
            "installed; pip install hdf5plugin"
        )
    wrong = unsound_piece(found)
    if wrong is not None:
        raise FileFormatError(f"{place} is not unpacked: {wrong}")


def read_array(
    group: h5py.Group,
    name: str,
    *,
    ndim: int | tuple[int, ...] | None = None,
    max_bytes: int = MAX_ARRAY_BYTES,
    allow_outside: bool = False,
) -> npt.NDArray[Any]:
    """Read a whole numeric dataset whose values are all finite.

    Parameters and errors are those of :func:`find_dataset`. With ``allow_outside``
    some may be NaN, which is outside of an image.
    """
    dataset = find_dataset(group, name, ndim=ndim, max_bytes=max_bytes)
    try:
        values: npt.NDArray[Any] = np.asarray(dataset[()])
    except (OSError, RuntimeError) as error:
        raise FileFormatError(f"{_place(dataset)} is damaged: {error}") from error
    finite = np.isfinite(values)
    is_image = allow_outside and finite.any()
    if not (finite | np.isnan(values) if is_image else finite).all():
        raise FileFormatError(f"{_place(dataset)} holds values that are not finite")
    return values


def read_scalar(group: h5py.Group, name: str) -> float:
    """Read one number, stored with shape (), (1,), (1, 1) or more ones."""
    values = read_array(group, name, max_bytes=4096)
    if values.size != 1:
        raise FileFormatError(
            f"{_place(group)}/{name} has shape {values.shape}; one number was expected"
        )
    return float(values.item())


def read_text(group: h5py.Group, name: str) -> str:
    """Read one fixed-length string from a dataset, or "" when there is none."""
    if not has_member(group, name):
        return ""
    dataset = find_dataset(group, name, kinds="SfiuO", max_bytes=None)
    if (
        dataset.dtype.kind != "S"
        or math.prod(dataset.shape) * dataset.dtype.itemsize > 4096
    ):
        return ""
    return text_of(np.asarray(dataset[()]))


def read_long_text(group: h5py.Group, name: str, max_bytes: int = 2**24) -> str:
    """Read one fixed-length ASCII text of any length, or "" when there is none."""
    try:
        dataset = find_dataset(group, name, kinds="S", max_bytes=max_bytes)
    except FileFormatError:
        return ""
    return text_of(np.asarray(dataset[()]))
