"""Where the layouts of zea files keep their data, their scan and their probe."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import h5py

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5 import has_member, member_names, subgroup

__all__ = [
    "IMAGES",
    "Container",
    "find_container",
    "find_containers",
    "find_kind",
    "member_group",
    "parse_acquisition",
]

IMAGES = ("image", "envelope_data", "beamformed_data", "image_sc")
"""Members of ``data`` that hold an image, the one to be shown first."""

_MAX_TRACKS = 4096
_ACQUISITION = re.compile(
    r"((?:track|event)_\d{1,9})?(?:(?:/|^)\s*(\d{1,4}(?:\.\d{1,9})?)\s*MHz)?",
    re.IGNORECASE | re.ASCII,
)
_MARKS = ("probe_geometry", "n_el", "n_ax", "n_frames", "polar_angles", "t0_delays")


@dataclass(frozen=True)
class Container:
    """The groups of one acquisition.

    Attributes
    ----------
    data : h5py.Group
        ``raw_data`` and images.
    scan, probe : h5py.Group, optional
        How it was acquired, and with what.
    name : str
        Of its event or track; empty where the file has but one.
    """

    data: h5py.Group
    scan: h5py.Group | None
    probe: h5py.Group | None
    name: str = ""


def member_group(parent: h5py.Group, name: str) -> h5py.Group | None:
    """Return a subgroup, None where there is no such member."""
    return subgroup(parent, name) if has_member(parent, name) else None


def find_containers(file: h5py.File) -> list[Container]:
    """Find the acquisitions of a file that hold something; none in no zea file.

    Raises
    ------
    FileFormatError
        When groups it needs are only links, or damaged.
    """
    containers = []
    for place in _places(file):
        data = member_group(place, "data")
        if data is None or not any(
            has_member(data, name) for name in ("raw_data", *IMAGES)
        ):
            continue
        scan = member_group(place, "scan")
        if scan is None and place is not file:
            scan = member_group(file, "scan")
        # Other programs too call a group "data" and an array "image" or "raw_data".
        if not _is_marked(file, scan):
            return []
        name = "" if place is file else str(place.name).rpartition("/")[2]
        containers.append(Container(data, scan, member_group(file, "probe"), name))
    return containers


def find_container(
    file: h5py.File, names: Collection[str], track: str = ""
) -> Container | None:
    """Find the first acquisition with one of some members, or that of a track.

    Raises
    ------
    ValueError
        When a track is asked for that the file does not have, or has without them.
    """
    containers = [
        container
        for container in find_containers(file)
        if any(has_member(container.data, name) for name in names)
    ]
    matching = [c for c in containers if not track or c.name == track]
    if track and not matching:
        tracks = ", ".join(c.name for c in containers if c.name) or "none"
        raise ValueError(
            f"{file.filename} has no track {track!r} with {' or '.join(names)}; it has "
            f"{tracks}"
        )
    return matching[0] if matching else None


def parse_acquisition(text: str | None) -> tuple[str, float | None]:
    """Take ``track_1``, ``5.2MHz`` or ``track_1/5.2MHz`` apart: a track, and Hz.

    Raises
    ------
    ValueError
        When it is none of these.
    """
    match = _ACQUISITION.fullmatch((text or "").strip())
    if match is None:
        raise ValueError(
            f"{text!r} is no acquisition of a zea file; write a track such as track_1, "
            "a frequency such as 5.2MHz, or track_1/5.2MHz"
        )
    return match[1] or "", 1e6 * float(match[2]) if match[2] else None


def find_kind(file: h5py.File) -> str | None:
    """Name the kind of an open file, None when it is not a zea file."""
    containers = find_containers(file)
    if not containers:
        return None
    has_image = any(has_member(c.data, name) for c in containers for name in IMAGES)
    return "zea-image" if has_image else "zea-raw"


def _places(file: h5py.File) -> list[h5py.Group]:
    if has_member(file, "tracks"):
        parent = subgroup(file, "tracks")
        return [subgroup(parent, name) for name in _numbered(parent, "track")]
    if has_member(file, "data"):
        return [file]
    return [subgroup(file, name) for name in _numbered(file, "event")]


def _numbered(group: h5py.Group, stem: str) -> list[str]:
    names = member_names(group, _MAX_TRACKS + 1)
    if len(names) > _MAX_TRACKS:
        raise FileFormatError(
            f"{group.file.filename}, {group.name} has more than {_MAX_TRACKS} members"
        )
    members = {
        int(match[1]): name
        for name in names
        if (match := re.fullmatch(rf"{stem}_(\d{{1,9}})", name))
    }
    return [members[number] for number in sorted(members)]


def _is_marked(file: h5py.File, scan: h5py.Group | None) -> bool:
    if "zea_version" in file.attrs or "probe" in file.attrs:
        return True
    return scan is not None and any(has_member(scan, mark) for mark in _MARKS)
