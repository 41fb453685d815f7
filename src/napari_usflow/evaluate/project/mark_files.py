"""Files of marks: CSV for a table, GeoJSON and COCO for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.project.marks import Mark
from napari_usflow.files import write_beside
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["SUFFIXES", "marks_csv", "marks_geojson", "write_coco", "write_marks"]

_COLUMNS = (
    "frame",
    "kind",
    "text",
    "reader",
    "ticked_off",
    "created",
    "axial_mm",
    "lateral_mm",
    "length_mm",
    "area_mm2",
)


def marks_csv(marks: Sequence[Mark]) -> str:
    """Return marks as CSV, a line each; positions are those of their middle."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for mark in marks:
        middle: list[Any] = ["", ""]
        if len(mark.points_mm):
            middle = [f"{value:.4f}" for value in mark.points_mm.mean(axis=0)]
        sizes = [
            "" if size is None else f"{size:.4f}"
            for size in (mark.length_mm, mark.area_mm2)
        ]
        frame = "" if mark.frame is None else mark.frame
        done = "yes" if mark.done else "no"
        told = [frame, mark.kind, mark.text, mark.reader, done, mark.created]
        writer.writerow([*told, *middle, *sizes])
    return text.getvalue()


def marks_geojson(marks: Sequence[Mark]) -> str:
    """Return marks as GeoJSON: x is lateral and y axial, both in mm."""
    import geojson

    features = []
    for mark in marks:
        places = [(float(x), float(z)) for z, x in mark.outline_mm()]
        geometry: Any = None
        if mark.kind == "point":
            geometry = geojson.Point(places[0])
        elif mark.kind == "line":
            geometry = geojson.LineString(places)
        elif mark.kind != "frame":
            geometry = geojson.Polygon([[*places, places[0]]])
        properties = {
            "kind": mark.kind,
            "frame": mark.frame,
            "text": mark.text,
            "reader": mark.reader,
            "ticked_off": mark.done,
            "created": mark.created,
        }
        features.append(geojson.Feature(geometry=geometry, properties=properties))
    collection = geojson.FeatureCollection(features)
    return str(geojson.dumps(collection, indent=1))


SUFFIXES: dict[str, Callable[[Sequence[Mark]], str]] = {
    ".csv": marks_csv,
    ".geojson": marks_geojson,
}


def write_marks(path: Path, marks: Sequence[Mark]) -> None:
    """Write marks by the ending of the name, ``.csv`` or ``.geojson``.

    Raises
    ------
    ValueError
        When the name ends otherwise.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: marks are written as {' or '.join(SUFFIXES)}")
    with write_beside(path) as beside:
        beside.write_text(kind(marks), encoding="utf-8")


def write_coco(
    folder: Path,
    marks: Sequence[Mark],
    grid: PixelGrid,
    frames: int,
    grey_frame: Callable[[int], npt.NDArray[np.uint8]],
) -> Path:
    """Write a clip and its marks for training others: pictures and a COCO file.

    The pictures are ``0000.png`` and so on; neither they nor the file say where the
    clip comes from.

    Parameters
    ----------
    folder : Path
        Made where it is not there; it must be empty.
    marks : sequence of Mark
        Along the axes of the image.
    grid : PixelGrid
        Of the image.
    frames : int
    grey_frame : callable
        Gives a frame as it is shown.

    Returns
    -------
    Path
        ``annotations.json`` in the folder.
    """
    from napari_usflow.evaluate.report.pictures import png

    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name a new folder")
    rows, columns = grid.shape
    images = []
    for index in range(frames):
        name = f"{index:04}.png"
        (folder / name).write_bytes(png(grey_frame(index), largest=None))
        images.append(
            {"id": index + 1, "file_name": name, "height": rows, "width": columns}
        )
    names = sorted({mark.text or mark.kind for mark in marks})
    annotations: list[dict[str, Any]] = []
    for mark in marks:
        on = range(frames) if mark.frame is None else [mark.frame]
        for frame in on:
            if 0 <= frame < frames:
                number = len(annotations) + 1
                category = names.index(mark.text or mark.kind) + 1
                annotations.append(
                    {
                        "id": number,
                        "image_id": frame + 1,
                        "category_id": category,
                        "iscrowd": 0,
                        **_placed(mark, grid),
                        "attributes": {
                            "kind": mark.kind,
                            "text": mark.text,
                            "reader": mark.reader,
                            "ticked_off": mark.done,
                        },
                    }
                )
    content = {
        "info": {
            "description": "napari-usflow marks",
            "pixel_mm": list(grid.spacing_mm),
        },
        "images": images,
        "categories": [
            {"id": number, "name": name, "supercategory": "mark"}
            for number, name in enumerate(names, 1)
        ],
        "annotations": annotations,
    }
    path = folder / "annotations.json"
    with write_beside(path) as beside:
        beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def _placed(mark: Mark, grid: PixelGrid) -> dict[str, Any]:
    """Return where a mark is in pixels; the first pixel reaches from 0 to 1."""
    rows, columns = grid.shape
    if mark.kind == "frame":
        return {"bbox": [0, 0, columns, rows], "area": rows * columns}
    steps = (mark.outline_mm() - grid.origin_mm) / np.asarray(grid.spacing_mm) + 0.5
    places = np.round(steps[:, ::-1], 3)
    low, high = places.min(axis=0), places.max(axis=0)
    placed: dict[str, Any] = {
        "bbox": [float(value) for value in (*low, *(high - low))],
        "area": 0.0,
    }
    if mark.kind in ("point", "line"):
        seen = [value for x, y in places for value in (float(x), float(y), 2)]
        return {**placed, "keypoints": seen, "num_keypoints": len(places)}
    outline = [float(value) for value in places.ravel()]
    area = (mark.area_mm2 or 0.0) / float(np.prod(grid.spacing_mm))
    return {**placed, "segmentation": [outline], "area": area}
