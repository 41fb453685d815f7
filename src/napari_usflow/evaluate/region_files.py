"""Files of regions: GeoJSON with x lateral and y axial, in mm, or a PICMUS phantom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.evaluate.regions import ROLES, Kind, Region, phantom_regions
from napari_usflow.files import write_beside
from napari_usflow.io.guards.file_checks import regular_file

__all__ = ["read_regions", "write_regions"]

_MOST_BYTES = 32 * 2**20
_CIRCLE = np.linspace(0, 2 * np.pi, 65)


def write_regions(path: Path, regions: Sequence[Region]) -> None:
    """Write regions as GeoJSON: x is lateral and y axial, both in mm.

    An ellipse becomes a polygon of 64 corners. Masks have no outline and are refused.
    """
    content = {"type": "FeatureCollection", "features": list(map(_feature, regions))}
    with write_beside(path) as beside:
        beside.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _feature(region: Region) -> dict[str, Any]:
    if region.kind == "mask":
        raise ValueError(
            f"region {region.name!r} is painted, and GeoJSON holds outlines only; draw "
            "it as a shape"
        )
    outline = _outline(region.kind, region.points_mm)
    geometry: dict[str, Any] = {"type": "Point", "coordinates": outline[0]}
    if region.kind == "line":
        geometry = {"type": "LineString", "coordinates": outline}
    elif region.kind != "point":
        rings = [[*outline, outline[0]]]
        if region.hole_mm is not None:
            hole = _outline(region.kind, region.hole_mm)
            rings.append([*hole, hole[0]])
        geometry = {"type": "Polygon", "coordinates": rings}
    properties: dict[str, Any] = {"role": region.role, "name": region.name}
    if region.frame is not None:
        properties["frame"] = region.frame
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _outline(kind: Kind, points: npt.NDArray[np.float64]) -> list[list[float]]:
    if kind == "ellipse":
        center = points[:4].mean(axis=0)
        first, second = (points[1] - points[0]) / 2, (points[3] - points[0]) / 2
        turns = _CIRCLE[:-1, None]
        points = center + np.cos(turns) * first + np.sin(turns) * second
    return [[round(float(x), 6), round(float(z), 6)] for z, x in points]


def read_regions(path: Path) -> list[Region]:
    """Read regions of a GeoJSON file, or the targets of a PICMUS phantom.

    Raises
    ------
    FileFormatError
        When the file is neither, or a feature has no role or no usable shape.
    """
    from napari_usflow.io.picmus import read_phantom

    path = Path(path)
    if path.suffix.lower() in (".hdf5", ".h5"):
        return phantom_regions(read_phantom(path))
    if regular_file(path).stat().st_size > _MOST_BYTES:
        raise FileFormatError(
            f"{path} is larger than {_MOST_BYTES >> 20} MiB; regions are expected"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = list(content["features"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(
            f"{path} is no GeoJSON; a FeatureCollection of regions with a role, or a "
            "PICMUS phantom, is expected"
        ) from error
    regions = []
    for number, feature in enumerate(features, 1):
        try:
            regions.append(_region(feature, number))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FileFormatError(
                f"{path}: feature {number} is no region ({error}); a Point, LineString "
                f"or Polygon with a role ({', '.join(ROLES)}) is expected"
            ) from error
    return regions


def _region(feature: Any, number: int) -> Region:
    geometry, properties = feature["geometry"], feature.get("properties") or {}
    kind, coordinates = geometry["type"], geometry["coordinates"]
    role = properties["role"]
    name = str(properties.get("name") or f"{role} {number}")
    frame = properties.get("frame")
    frame = None if frame is None else int(frame)
    if kind == "Point":
        return Region(role, "point", _mm([coordinates]), name, frame=frame)
    if kind == "LineString":
        return Region(role, "line", _mm(coordinates), name, frame=frame)
    if kind != "Polygon":
        raise ValueError(f"a {kind}")
    outer, *holes = coordinates
    hole = _mm(holes[0][:-1]) if holes else None
    return Region(role, "polygon", _mm(outer[:-1]), name, hole, frame)


def _mm(coordinates: Any) -> npt.NDArray[np.float64]:
    return np.array([[pair[1], pair[0]] for pair in coordinates], float)
