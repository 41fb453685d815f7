"""Shapes and points in files: GeoJSON in millimetres, and the layer as it was.

Other programs find outlines with x lateral and y axial, in mm. What GeoJSON has no
place for (the kind of a shape, the layer's scale and units, its colours) is beside
them, so that a layer comes back as it went.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.content import LayerData
from napari_usflow._napari.layers.placement import affine_of, has_lengths
from napari_usflow.errors import FileFormatError
from napari_usflow.files import write_beside

if TYPE_CHECKING:
    from napari.layers import Points, Shapes

__all__ = ["SHAPE_SUFFIX", "is_shape_file", "read_shapes", "write_shapes"]

SHAPE_SUFFIX = ".geojson"

_FORMAT = "napari-usflow shapes 1"
_KEY = "usflow"
_MOST_BYTES = 32 * 2**20
_CIRCLE = np.linspace(0, 2 * np.pi, 65)[:-1, None]
_PLACE = ("name", "scale", "translate", "rotate", "shear", "affine")
_KINDS = {"line", "path", "polygon", "rectangle", "ellipse", "points"}


def write_shapes(path: Path, layer: Shapes | Points) -> None:
    """Write the shapes or points of a layer.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    matrix, offset = affine_of(layer)
    is_points = type(layer).__name__ == "Points"
    kinds = ["points"] * len(layer.data) if is_points else list(layer.shape_type)
    table = layer.features.to_dict("records")
    features = []
    for index, (data, kind) in enumerate(zip(layer.data, kinds, strict=True)):
        corners = np.atleast_2d(np.asarray(data, float))
        positions = corners[:, -2:] @ matrix.T + offset
        row = table[index] if index < len(table) else {}
        features.append(
            {
                "type": "Feature",
                "geometry": _geometry(kind, positions),
                "properties": {**row, "shape": kind, "corners": corners.tolist()},
            }
        )
    content = {
        "type": "FeatureCollection",
        "features": features,
        _KEY: {
            "format": _FORMAT,
            "kind": "points" if is_points else "shapes",
            "in_mm": has_lengths(layer),
            **_place_of(layer),
            **_look_of(layer, is_points),
        },
    }
    text = json.dumps(content, indent=1, default=_plain)
    with write_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def is_shape_file(path: Path) -> bool:
    """Return whether a file holds shapes or points that were written here."""
    try:
        return path.suffix.lower() == SHAPE_SUFFIX and bool(_content(path))
    except (FileFormatError, OSError):
        return False


def read_shapes(path: Path) -> LayerData:
    """Read the layer of a file that :func:`write_shapes` has written.

    Raises
    ------
    FileFormatError
        When the file is another one, or damaged.
    """
    content = _content(path)
    try:
        return _layer_of(path, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{path} is damaged: its shapes cannot be read ({error}); save them again"
        ) from error


def _layer_of(path: Path, content: Mapping[str, Any]) -> LayerData:
    note = content[_KEY]
    shapes = [feature["properties"] for feature in content["features"]]
    kind = "points" if note["kind"] == "points" else "shapes"
    corners = [np.asarray(shape.pop("corners"), float) for shape in shapes]
    names = [str(shape.pop("shape")) for shape in shapes]
    count = len(note["scale"])
    if not all(c.ndim == 2 and c.shape[1] == count for c in corners):
        raise ValueError("corners of another number of axes than the layer has")
    if not all(np.isfinite(c).all() for c in corners) or not {*names} <= _KINDS:
        raise ValueError("corners that are not finite, or shapes of an unknown kind")
    kwargs: dict[str, Any] = {name: note[name] for name in _PLACE}
    kwargs |= {
        "name": str(note["name"]),
        "units": [str(unit) for unit in note["units"]],
    }
    kwargs["axis_labels"] = [str(label) for label in note["axis_labels"]]
    kwargs["metadata"] = {"usflow": {**dict(note["noted"]), "file": str(path)}}
    columns = {name for shape in shapes for name in shape}
    if shapes and columns:
        kwargs["features"] = {
            name: [shape.get(name) for shape in shapes] for name in sorted(columns)
        }
    if kind == "points":
        data: Any = np.concatenate(corners) if corners else np.empty((0, count))
        kwargs["symbol"] = str(note["symbol"])
        kwargs["size"] = float(note["size"])
        kwargs["face_color"] = np.asarray(note["face_color"], float)
    else:
        data = corners
        kwargs["shape_type"] = names
        for name in ("edge_color", "face_color"):
            kwargs[name] = np.asarray(note[name], float)
        kwargs["edge_width"] = [float(width) for width in note["edge_width"]]
    if not corners:
        for name in ("shape_type", "edge_color", "face_color", "edge_width"):
            kwargs.pop(name, None)
        kwargs["ndim"] = count
    return data, kwargs, kind


def _content(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _MOST_BYTES:
        raise FileFormatError(
            f"{path} is larger than {_MOST_BYTES >> 20} MiB; shapes are expected"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        is_ours = content[_KEY]["format"] == _FORMAT
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} has no shapes that were written here") from error
    if not is_ours:
        raise FileFormatError(f"{path} has no shapes that were written here")
    mapping: Mapping[str, Any] = content
    return mapping


def _geometry(kind: str, positions: npt.NDArray[np.float64]) -> dict[str, Any]:
    if kind == "ellipse":
        center = positions[:4].mean(axis=0)
        first = (positions[1] - positions[0]) / 2
        second = (positions[3] - positions[0]) / 2
        positions = center + np.cos(_CIRCLE) * first + np.sin(_CIRCLE) * second
    outline = [[round(float(x), 6), round(float(z), 6)] for z, x in positions]
    if kind == "points":
        return {"type": "Point", "coordinates": outline[0]}
    if kind in ("line", "path"):
        return {"type": "LineString", "coordinates": outline}
    return {"type": "Polygon", "coordinates": [[*outline, outline[0]]]}


def _place_of(layer: Shapes | Points) -> dict[str, Any]:
    noted = layer.metadata.get("usflow")
    return {
        **{name: getattr(layer, name) for name in _PLACE if name != "affine"},
        "affine": np.asarray(layer.affine.affine_matrix),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
        "noted": noted if isinstance(noted, dict) else {},
    }


def _look_of(layer: Any, is_points: bool) -> dict[str, Any]:
    if not is_points:
        return {
            "edge_color": layer.edge_color,
            "face_color": layer.face_color,
            "edge_width": list(layer.edge_width),
        }
    symbols = {str(getattr(symbol, "value", symbol)) for symbol in layer.symbol}
    return {
        "symbol": symbols.pop() if symbols else "disc",
        "size": float(np.mean(layer.size)) if len(layer.data) else 1.0,
        "face_color": layer.face_color,
    }


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
