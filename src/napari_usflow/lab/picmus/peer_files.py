"""Result images of other people: what ``peers.toml`` says of them, and reading them.

A result image seldom says whether its numbers are decibels, which axis is depth, or
where its pixels are, and a wrong guess gives a plausible score. So the folder has a
file ``peers.toml`` with a table for each image::

    [[image]]
    file = "theirs/4.mat"             # below the folder: .mat, .npy or HDF5
    method = "theirs"                 # name in the table
    shows = "contrast_speckle_expe"   # challenge's name of the phantom
    plane_waves = 1
    values = "envelope"               # db, envelope, or signed (its magnitude counts)
    array = "x"                       # variable or dataset; not for .npy
    axes = "zx"                       # z depth, x across, c copies that are averaged
    z_axis_m = [0.010, 0.046]         # first and last pixel, or a variable's name
    x_axis_m = [-0.018, 0.018]        # or, for both axes: grid = "scene"

Axes are in MATLAB's order for ``.mat`` and in that of the file for the others. An image
file in the challenge's own format says all but the first four itself.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io import matlab, picmus
from napari_usflow.io.guards.file_checks import (
    regular_file,
    source_file,
    starting_bytes,
    starts_like,
)
from napari_usflow.io.guards.hdf5 import is_hdf5, open_hdf5, read_array
from napari_usflow.io.guards.npy import is_npy, map_npy
from napari_usflow.io.matlab.variable_map import Quantity, parse_quantity
from napari_usflow.io.matlab.variables import load
from napari_usflow.lab.picmus.scenes import TARGETS, plane_wave_frame
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["LIST_NAME", "PeerEntry", "read_entries", "read_entry"]

Array = npt.NDArray[Any]

LIST_NAME = "peers.toml"
VALUES = ("db", "envelope", "signed")
_MAX_LIST_BYTES = 2**20
_OWN_FORMAT = ("values", "array", "axes", "grid", "z_axis_m", "x_axis_m")
_HOW = (
    "for each image a table [[image]] with file, method, shows, plane_waves, values "
    f'({", ".join(VALUES)}), axes (zx or xz), grid = "scene" or z_axis_m and '
    "x_axis_m, and array for .mat and HDF5"
)


@dataclass(frozen=True)
class PeerEntry:
    """One table of ``peers.toml``; see the module.

    Attributes
    ----------
    place : str
        File and number of the table, for messages.
    path : Path
        Of the image.
    """

    place: str
    path: Path
    method: str
    shows: str
    plane_waves: int
    values: str = ""
    array: str = ""
    axes: str = ""
    grid: str = ""
    z_axis_m: str | list[float] = ""
    x_axis_m: str | list[float] = ""


def read_entries(folder: Path) -> list[PeerEntry]:
    """Read what ``peers.toml`` says of the images in a folder.

    Raises
    ------
    FileFormatError
        When it is missing, no TOML, or says too little, too much or nonsense.
    """
    path = folder / LIST_NAME
    if not path.exists():
        raise FileFormatError(f"{folder} has no {LIST_NAME}, which holds {_HOW}")
    if regular_file(path).stat().st_size > _MAX_LIST_BYTES:
        raise FileFormatError(f"{path} is larger than {_MAX_LIST_BYTES} bytes")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is no TOML file: {error}") from error
    tables = document.pop("image", None)
    if document or not isinstance(tables, list) or not tables:
        raise FileFormatError(f"{path} must hold nothing but {_HOW}")
    entries = [
        _entry(folder, table, f"{path}, image {number}")
        for number, table in enumerate(tables, 1)
    ]
    seen: set[tuple[str, str, int]] = set()
    for entry in entries:
        key = (entry.method, entry.shows, entry.plane_waves)
        if key in seen:
            raise FileFormatError(
                f"{entry.place}: {entry.method} has another image of {entry.shows} "
                f"with {entry.plane_waves} plane waves; give it another method"
            )
        seen.add(key)
    return entries


def _entry(folder: Path, table: Any, place: str) -> PeerEntry:
    if not isinstance(table, Mapping):
        raise FileFormatError(f"{place} is no table")
    kinds = {f.name: f for f in fields(PeerEntry) if f.name not in ("place", "path")}
    unknown = [name for name in table if name not in ("file", *kinds)]
    if unknown:
        raise FileFormatError(
            f"{place}: unknown key {unknown[0]!r}; known are file, {', '.join(kinds)}"
        )
    required = ["file", *(n for n, f in kinds.items() if f.default is MISSING)]
    missing = [name for name in required if name not in table]
    if missing:
        raise FileFormatError(f"{place} has no {missing[0]}; it needs {_HOW}")
    for name, value in table.items():
        if not _fits(name, value):
            raise FileFormatError(f"{place}: {name} is {value!r}; {_EXPECTED[name]}")
    # A file of the list may be a link, and so may a folder above it.
    path = folder / table["file"]
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FileFormatError(f"{place}: {table['file']} is not below {folder}")
    said = {name: value for name, value in table.items() if name != "file"}
    return PeerEntry(place, path, **said)


_EXPECTED = {
    "file": "a path below the folder is expected",
    "method": "a name is expected, without line breaks, other than input",
    "shows": f"expected is one of {', '.join(TARGETS)}",
    "plane_waves": "a positive whole number is expected",
    "values": f"expected is one of {', '.join(VALUES)}",
    "array": "the name of a variable or dataset is expected",
    "axes": "expected are z and x, and c for copies, in the order of the array",
    "grid": 'expected is "scene"; own axes are z_axis_m and x_axis_m',
    "z_axis_m": "two numbers (first and last pixel) or a variable are expected",
    "x_axis_m": "two numbers (first and last pixel) or a variable are expected",
}


def _fits(name: str, value: Any) -> bool:
    """Return whether a value of the list can be what its name says."""
    if name == "plane_waves":
        return type(value) is int and value > 0
    if name.endswith("_axis_m") and isinstance(value, list):
        numbers = [n for n in value if type(n) in (int, float) and np.isfinite(n)]
        return len(value) == len(numbers) == 2 and numbers[0] < numbers[1]
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        return False
    if name == "axes":
        return {"z", "x"} <= set(value) <= set("zxc") and len(set(value)) == len(value)
    choices: Mapping[str, Any] = {"shows": TARGETS, "values": VALUES, "grid": ["scene"]}
    if name == "method" and value == "input":
        return False
    return name not in choices or value in choices[name]


def read_entry(entry: PeerEntry, scene: PixelGrid) -> tuple[Array, PixelGrid]:
    """Read an image.

    Parameters
    ----------
    entry : PeerEntry
    scene : PixelGrid
        Where the pixels of the challenge's own image are.

    Returns
    -------
    frame : ndarray, shape (Z, X), float32, dB
        0 is its brightest pixel.
    grid : PixelGrid
        Where its pixels are.

    Raises
    ------
    FileFormatError
        When the file is damaged, or is not what the list says of it.
    """
    path = regular_file(entry.path)
    if picmus.detect(source_file(path)) == "picmus-image":
        return _read_own_format(entry)
    for name in ("values", "axes"):
        if not getattr(entry, name):
            raise FileFormatError(
                f"{entry.place} has no {name}: {_EXPECTED[name]}; nothing is guessed"
            )
    stored = _stored(entry, path)
    if stored.ndim != len(entry.axes):
        raise FileFormatError(
            f"{path} holds an array of shape {stored.shape}, but its axes are "
            f"{entry.axes!r}"
        )
    order = [entry.axes.index(letter) for letter in "czx" if letter in entry.axes]
    ordered = np.asarray(stored, np.result_type(stored.dtype, np.float32))
    frame = ordered.transpose(order)
    if "c" in entry.axes:
        frame = frame.mean(axis=0)
    if not np.isfinite(frame).all():
        raise FileFormatError(f"{path} holds values that are not finite")
    return _decibels(entry, frame), _grid(entry, scene, frame.shape)


def _read_own_format(entry: PeerEntry) -> tuple[Array, PixelGrid]:
    said = [name for name in _OWN_FORMAT if getattr(entry, name)]
    if said:
        raise FileFormatError(
            f"{entry.place}: {entry.path} is an image file of the challenge and says "
            f"itself what it holds; leave out {', '.join(said)}"
        )
    image = picmus.read_image(entry.path, values="envelope")
    try:
        frame = plane_wave_frame(image, entry.plane_waves).data[0]
    except ValueError as error:
        raise FileFormatError(f"{entry.place}: {error}") from error
    assert isinstance(image.grid, PixelGrid)
    return log_compress(frame), image.grid


def _stored(entry: PeerEntry, path: Path) -> Array:
    """Read the array as it is stored."""
    if is_npy(path):
        if entry.array:
            raise FileFormatError(f"{entry.place}: a .npy file has one array, no name")
        return map_npy(path, kinds="uifc")
    if not entry.array:
        raise FileFormatError(
            f"{entry.place} has no array; {_EXPECTED['array']}{_listed(path)}"
        )
    return _named(path, entry.array)


def _named(path: Path, name: str) -> Array:
    if matlab.is_v73(path) is not None:
        return load(path, [name])[name]
    if is_hdf5(path):
        with open_hdf5(path) as file:
            return read_array(file, name)
    raise FileFormatError(
        f"{path} is neither a MATLAB, an HDF5 nor a NumPy file: "
        f"{starts_like(starting_bytes(path))}"
    )


def _listed(path: Path) -> str:
    if matlab.is_v73(path) is None:
        return ""
    variables = matlab.variables(path).values()
    return f"; {path} has " + ", ".join(
        f"{v.name} {'x'.join(map(str, v.shape))}" for v in variables
    )


def _decibels(entry: PeerEntry, frame: Array) -> Array:
    if np.iscomplexobj(frame) and entry.values != "signed":
        raise FileFormatError(
            f'{entry.path} holds complex values; say values = "signed"'
        )
    if entry.values == "db":
        return np.asarray(frame - frame.max(), np.float32)
    if entry.values == "envelope" and frame.min() < 0:
        raise FileFormatError(
            f"{entry.path} holds values from {frame.min():g} to {frame.max():g}, which "
            'are no envelope; say values = "db" or "signed"'
        )
    return log_compress(np.abs(frame))


def _grid(entry: PeerEntry, scene: PixelGrid, shape: tuple[int, ...]) -> PixelGrid:
    own = [entry.z_axis_m, entry.x_axis_m]
    if bool(entry.grid) == any(own) or any(own) != all(own):
        raise FileFormatError(
            f"{entry.place} must say where the pixels are, either with grid = "
            '"scene" or with both z_axis_m and x_axis_m'
        )
    if entry.grid:
        if shape != tuple(scene.shape):
            raise FileFormatError(
                f"{entry.path} has {shape[0]} x {shape[1]} pixels (z, x), but the "
                f"scene has {scene.shape[0]} x {scene.shape[1]}; give z_axis_m and "
                "x_axis_m"
            )
        return scene
    z, x = (_axis(entry, axis, n) for axis, n in zip(own, shape, strict=True))
    return PixelGrid.from_axes(z, x)


def _axis(entry: PeerEntry, said: str | list[float], count: int) -> Array:
    if isinstance(said, list):
        return np.linspace(said[0], said[1], count)
    try:
        quantity = parse_quantity(said)
    except ValueError as error:
        raise FileFormatError(f"{entry.place}: {error}") from error
    if not isinstance(quantity, Quantity) or is_npy(entry.path):
        raise FileFormatError(
            f"{entry.place}: an axis is {said!r}; give the first and the last pixel, "
            "such as [0.010, 0.046]"
        )
    name = quantity.name
    stored = name if matlab.is_v73(entry.path) is not None else name.replace(".", "/")
    axis = quantity.of(_named(entry.path, stored)).ravel()
    steps = np.diff(axis)
    if axis.size != count or (
        steps.size and (steps.min() <= 0 or np.ptp(steps) > 0.01 * steps.mean())
    ):
        raise FileFormatError(
            f"{entry.path}: {name} has {axis.size} values; {count} that rise in even "
            "steps were expected"
        )
    return axis
