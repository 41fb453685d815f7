"""PICMUS scans (pixel axes) and images (compounded envelopes)."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath, SourceFile
from napari_usflow.io.guards.hdf5 import (
    has_member,
    open_hdf5,
    read_array,
    read_long_text,
    read_scalar,
    read_text,
    subgroup,
)
from napari_usflow.io.guards.hdf5_attributes import (
    read_text_attribute,
)
from napari_usflow.io.outputs.usflow_metadata import NAME, apply_notes, unpack_notes
from napari_usflow.io.picmus.layout import detect, kind_group
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["find_scan", "read_image", "read_scan"]


def read_scan(path: FilePath) -> PixelGrid:
    """Read the pixel grid of a scan file; FileFormatError when it is not one."""
    with open_hdf5(path) as file:
        return _grid(kind_group(file, "picmus-scan"))


def _grid(group: h5py.Group) -> PixelGrid:
    axes = []
    for name in ("z_axis", "x_axis"):
        axis = read_array(group, name, max_bytes=2**23).ravel().astype(np.float64)
        steps = np.diff(axis)
        # float32 metres hold a step of 0.1 mm to a few parts in 100 000.
        if axis.size < 2 or steps.min() <= 0 or np.ptp(steps) > 0.01 * steps.mean():
            raise FileFormatError(
                f"{group.file.filename}: {name} does not rise in even steps"
            )
        axes.append(axis)
    return PixelGrid.from_axes(*axes)


def find_scan(path: FilePath) -> Path | None:
    """Find the scan file that belongs to a dataset file.

    ``A_dataset_rf.hdf5`` goes with ``A_scan.hdf5`` in the same folder, else with the
    only scan file whose name starts with ``A``.
    """
    path = Path(path)
    prefix = re.sub(r"(_dataset)?(_(rf|iq))?$", "", path.stem, flags=re.IGNORECASE)
    exact = path.with_name(f"{prefix}_scan.hdf5")
    if _is_scan(exact):
        return exact
    others = sorted(path.parent.glob(f"{glob.escape(prefix)}*.h*5"))
    scans = [other for other in others if other != path and _is_scan(other)]
    return scans[0] if len(scans) == 1 else None


def _is_scan(path: Path) -> bool:
    try:
        return not path.is_symlink() and detect(SourceFile(path)) == "picmus-scan"
    except FileFormatError:
        return False


def read_image(
    path: FilePath, *, values: Literal["db", "envelope"] | None = None
) -> UltrasoundImage:
    """Read an image file: one frame a number of plane waves, the most last.

    Parameters
    ----------
    path : path
        A file of kind *image*.
    values : {"db", "envelope"}, optional
        ``db``, the default: 20 log10(envelope / its maximum), each frame by its own
        maximum as in the challenge, never clipped; zeros as in
        :func:`~napari_usflow.ultrasound.bmode.log_compress`, while NaN, outside of the
        image, stays. ``envelope``: the linear numbers of the file. A file written here
        notes its own 0 dB and what its frames are, and gives back the values that were
        written.

    Returns
    -------
    UltrasoundImage
        ``frame_axis`` is ``plane_waves``; ``metadata["plane_waves"]`` lists their
        numbers, ascending.
    """
    if values not in (None, "db", "envelope"):
        raise ValueError(f"values must be db or envelope, got {values!r}")
    with open_hdf5(path) as file:
        group = kind_group(file, "picmus-image")
        grid = _grid(subgroup(group, "scan"))
        real = read_array(group, "data/real", ndim=(2, 3), allow_outside=True)
        counts = read_array(group, "number_plane_waves", max_bytes=2**16).ravel()
        stack = real.reshape(-1, *real.shape[-2:])
        if stack.shape != (counts.size, *grid.shape[::-1]):
            raise FileFormatError(
                f"{path}: data/real has shape {real.shape}; {counts.size} images "
                f"of {grid.shape[1]} x {grid.shape[0]} pixels (lateral, axial) were "
                "expected"
            )
        if has_member(subgroup(group, "data"), "imag"):
            imag = read_array(group, "data/imag", ndim=real.ndim, allow_outside=True)
            if imag.shape == real.shape and imag.any():
                stack = np.abs(stack + 1j * imag.reshape(stack.shape))
        metadata = _image_metadata(path, group)
        own = unpack_notes(read_long_text(group, NAME))
    if np.nanmin(stack) < 0:
        raise FileFormatError(
            f"{path}: data/real has negative values; it is no envelope"
        )
    order = np.argsort(counts, kind="stable")
    frames = stack[order].transpose(0, 2, 1).astype(np.float32)
    if values is None:
        values = "envelope" if own.get("values") == "envelope" else "db"
    if values == "db":
        reference = own.get("reference")
        if not (isinstance(reference, float) and 0 < reference < np.inf):
            reference = None
        frames = np.stack(
            [log_compress(frame, reference, allow_outside=True) for frame in frames]
        )
    metadata["plane_waves"] = [int(count) for count in counts[order]]
    image = UltrasoundImage(
        frames, values, grid, frame_axis="plane_waves", metadata=metadata
    )
    return apply_notes(image, {**own, "values": values}) if own else image


def _image_metadata(path: FilePath, group: h5py.Group) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "title": read_text_attribute(group, "name"),
    }
    for name in ("algorithm", "author", "affiliation", "creation_date"):
        metadata[name] = read_text_attribute(group, name)
    for side in ("transmit", "receive"):
        if has_member(group, f"{side}_f_number"):
            metadata[f"{side}_f_number"] = read_scalar(group, f"{side}_f_number")
        window = f"{side}_apodization_window"
        metadata[window] = read_text(group, window)
    return metadata
