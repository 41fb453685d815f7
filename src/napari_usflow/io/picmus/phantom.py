"""PICMUS phantoms: where the targets of an acquisition are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    open_hdf5,
    read_array,
    read_scalar,
)
from napari_usflow.io.guards.hdf5_attributes import (
    read_text_attribute,
)
from napari_usflow.io.picmus.layout import kind_group

__all__ = ["Cyst", "Phantom", "SpeckleRegion", "describe_phantom", "read_phantom"]

# The challenge's phantom class has this one point unless told otherwise; phantoms
# made of cysts keep it although nothing stands there.
_DEFAULT_POINT_MM = (20.0, 0.0)


@dataclass(frozen=True)
class Cyst:
    """An anechoic disc: centre (axial, lateral) and diameter, mm."""

    center_mm: tuple[float, float]
    diameter_mm: float


@dataclass(frozen=True)
class SpeckleRegion:
    """A rectangle of homogeneous speckle: centre and half size (axial, lateral), mm."""

    center_mm: tuple[float, float]
    half_size_mm: tuple[float, float]


@dataclass(frozen=True)
class Phantom:
    """The targets of a phantom, for the metrics.

    Attributes
    ----------
    points_mm : ndarray, shape (points, 2), float64
        Point targets (axial, lateral).
    cysts : tuple of Cyst
    speckle_regions : tuple of SpeckleRegion
        Their half size is so many times the resolution as the file states.
    axial_resolution_mm, lateral_resolution_mm : float
        Of the imaging system, as the file states them.
    n_scatterers : int
        Number of scatterers in the file (its own count may differ).
    name : str
        Title in the file.
    source : path, optional
        The file, from which :meth:`scatterers` reads.
    """

    points_mm: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    cysts: tuple[Cyst, ...] = ()
    speckle_regions: tuple[SpeckleRegion, ...] = ()
    axial_resolution_mm: float = 0.45
    lateral_resolution_mm: float = 0.45
    n_scatterers: int = 0
    name: str = ""
    source: Path | None = None

    def scatterers(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Read the scatterers: positions (N, 3) as x, y, z in m, amplitudes (N,)."""
        if self.source is None:
            raise ValueError("this phantom has no file to read scatterers from")
        with open_hdf5(self.source) as file:
            group = kind_group(file, "picmus-phantom")
            positions = read_array(group, "scatterers_positions", ndim=2).T
            amplitudes = read_array(group, "scatterers_amplitude").ravel()
        if positions.shape != (amplitudes.size, 3):
            raise FileFormatError(
                f"{self.source}: {amplitudes.size} scatterers_amplitude do not fit "
                f"scatterers_positions of shape {positions.shape[::-1]}"
            )
        return positions.astype(np.float64), amplitudes.astype(np.float64)


def read_phantom(path: FilePath) -> Phantom:
    """Read the targets of a phantom file.

    Entries of size zero, by which the file says "none", are left out; so is the
    default point (x = 0, z = 20 mm) of a phantom that has cysts.

    Raises
    ------
    FileFormatError
        When the file is damaged or no PICMUS phantom.
    """
    with open_hdf5(path) as file:
        group = kind_group(file, "picmus-phantom")
        axial, lateral = (
            1e3 * read_scalar(group, f"phantom_{side}Resolution")
            for side in ("axial", "lateral")
        )
        cysts = tuple(
            Cyst((1e3 * z, 1e3 * x), 1e3 * diameter)
            for z, x, diameter in _rows(
                group, "occlusionCenterZ", "occlusionCenterX", "occlusionDiameter"
            )
            if diameter > 0
        )
        regions = tuple(
            SpeckleRegion((1e3 * z, 1e3 * x), (times_z * axial, times_x * lateral))
            for z, x, times_z, times_x in _rows(
                group, "RoiCenterZ", "RoiCenterX", "RoiPsfTimeZ", "RoiPsfTimeX"
            )
            if times_z > 0 and times_x > 0
        )
        points = 1e3 * _rows(group, "zPts", "xPts")
        if cysts and len(points) == 1 and np.allclose(points[0], _DEFAULT_POINT_MM):
            points = points[:0]
        amplitude = find_dataset(group, "scatterers_amplitude")
        return Phantom(
            points,
            cysts,
            regions,
            axial,
            lateral,
            n_scatterers=max(amplitude.shape, default=1),
            name=read_text_attribute(group, "name"),
            source=Path(path),
        )


def _rows(group: h5py.Group, *names: str) -> npt.NDArray[np.float64]:
    """Read columns of equal length ``phantom_<name>``; give (rows, columns)."""
    columns = [
        read_array(group, f"phantom_{name}", max_bytes=2**20).ravel() for name in names
    ]
    if len({column.size for column in columns}) != 1:
        sizes = ", ".join(
            f"{column.size} {name}" for name, column in zip(names, columns, strict=True)
        )
        raise FileFormatError(f"{group.file.filename}: the columns differ: {sizes}")
    return np.stack(columns, axis=1).astype(np.float64)


def describe_phantom(phantom: Phantom) -> dict[str, Any]:
    """Summarise a phantom in plain values, for display or JSON."""
    return {
        "title": phantom.name,
        "points_mm": [
            [round(v, 4) for v in point] for point in phantom.points_mm.tolist()
        ],
        "cysts_mm": [
            {
                "center": [round(float(v), 4) for v in cyst.center_mm],
                "diameter": round(float(cyst.diameter_mm), 4),
            }
            for cyst in phantom.cysts
        ],
        "speckle_regions_mm": [
            {
                "center": [round(float(v), 4) for v in region.center_mm],
                "half_size": [round(float(v), 4) for v in region.half_size_mm],
            }
            for region in phantom.speckle_regions
        ],
        "axial_resolution_mm": round(phantom.axial_resolution_mm, 5),
        "lateral_resolution_mm": round(phantom.lateral_resolution_mm, 5),
        "scatterers": phantom.n_scatterers,
    }
