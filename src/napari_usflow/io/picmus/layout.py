"""Layout shared by the four kinds of PICMUS files, and their differences."""

from __future__ import annotations

import h5py

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.guards.hdf5 import (
    has_member,
    member_names,
    open_hdf5,
    subgroup,
)

__all__ = [
    "GROUP",
    "IMAGE_CLASS_VERSION",
    "IMAGE_FILE_VERSION",
    "SIGNAL_FORMATS",
    "TYPES",
    "detect",
    "find_group",
    "kind_group",
]

GROUP = "US/US_DATASET0000"
"""Where writers put their data; readers take any child of ``/US``."""

TYPES = {"US": 0, "SR": 1}
"""Values of the group attribute ``type``: ultrasound data, reconstructed image."""

SIGNAL_FORMATS = {"RF": 0, "IQ": 1, "ENV": 2}
"""Values of the attribute ``signal_format``; scans and phantoms say 1 to no purpose."""

IMAGE_FILE_VERSION = "v.0.0.41"
"""Root attribute ``version`` of an image file."""

IMAGE_CLASS_VERSION = "v0.10"
"""Group attribute ``version`` of an image file."""

_MAX_GROUPS = 16
_MEMBERS = {
    "picmus-image": ("data", "scan"),
    "picmus-dataset": ("data", "angles", "probe_geometry"),
    "picmus-scan": ("x_axis", "z_axis"),
    "picmus-phantom": ("scatterers_positions",),
}


def detect(file: SourceFile) -> str | None:
    """Name the kind of a PICMUS file, or None when it is not one; reads no data."""
    if not file.is_hdf5:
        return None
    with open_hdf5(file) as hdf5:
        group = find_group(hdf5)
    return group[1] if group else None


def find_group(file: h5py.File) -> tuple[str, str] | None:
    """Return the first group of a known kind below ``/US``, and that kind."""
    if not has_member(file, "US"):
        return None
    parent = subgroup(file, "US")
    for name in member_names(parent, _MAX_GROUPS):
        group = subgroup(parent, name)
        for kind, members in _MEMBERS.items():
            if all(has_member(group, member) for member in members):
                return f"US/{name}", kind
    return None


def kind_group(file: h5py.File, kind: str) -> h5py.Group:
    """Return the group of a file that is of the expected kind.

    Raises
    ------
    FileFormatError
        When the file is of another kind or no PICMUS file.
    """
    group = find_group(file)
    if group is None or group[1] != kind:
        what = group[1] if group else "no PICMUS file"
        raise FileFormatError(f"{file.filename} is {what}; {kind} was expected")
    return subgroup(file, group[0])
