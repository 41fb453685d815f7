"""Reading and writing projects."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow import __version__
from napari_usflow.evaluate.measure import Measurement
from napari_usflow.evaluate.project.marks import mark_from_record, mark_record
from napari_usflow.evaluate.project.model import Drawn, Project
from napari_usflow.evaluate.regions import Region
from napari_usflow.io.guards.file_checks import (
    FilePath,
    SourceFile,
    source_file,
)
from napari_usflow.io.project import VERSION, check_version
from napari_usflow.io.project.archive import Archive, write_archive_events
from napari_usflow.io.project.images import (
    grid_from_record,
    grid_record,
    image_record,
    read_images,
)
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.ultrasound.data import ArrayLike

__all__ = ["read_project", "write_project_events"]

_ERRORS = (KeyError, TypeError, ValueError, IndexError, AttributeError)
_MOST = 100_000


def write_project_events(
    path: Path, project: Project, *, token: CancelToken | None = None
) -> Generator[Event, None, None]:
    """Write a project, whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in ``.usflow``; a project that is there already is replaced once the new
        one is whole.
    project : Project
    token : CancelToken, optional
        Looked at between frames.
    """
    arrays: dict[str, ArrayLike] = {}
    images = []
    for number, image in enumerate(project.images):
        entry = f"images/{number}.npy"
        if image.link is None:
            if image.data is None:
                raise ValueError(f"{path} cannot be written: {image.problem}")
            arrays[entry] = image.data
        images.append(image_record(image, entry))
    regions = []
    for number, region in enumerate(project.regions):
        mask = None if region.mask is None else f"masks/{number}.npy"
        if mask is not None and region.mask is not None:
            arrays[mask] = region.mask
        regions.append(_region_record(region, mask))
    drawn = []
    for number, layer in enumerate(project.drawn):
        data = layer.data
        if isinstance(data, np.ndarray):
            arrays[entry := f"labels/{number}.npy"] = data
            data = entry
        drawn.append(
            {"kind": layer.kind, "attributes": dict(layer.attributes), "data": data}
        )
    description = {
        "format": "napari-usflow project",
        "version": VERSION,
        "saved": project.saved or datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": dict(project.versions) or {"napari-usflow": __version__},
        "images": images,
        "compared": list(project.compared),
        "regions": regions,
        "marks": [mark_record(mark) for mark in project.marks],
        "numbers": [[asdict(row) for row in rows] for rows in project.numbers],
        "frame": project.frame,
        "dynamic_range_db": project.dynamic_range_db,
        "drawn": drawn,
        "view": dict(project.view),
    }
    yield from write_archive_events(path, _plain(description), arrays, token=token)


def read_project(path: FilePath) -> Project:
    """Read a project as far as it can be read; its problems say what is missing.

    Raises
    ------
    FileFormatError
        When the file is no project, or its description is lost.
    """
    file = source_file(path)
    with file.kept_open():
        return _read(file)


def _read(file: SourceFile) -> Project:
    archive = Archive(file)
    check_version(archive)
    images = read_images(archive)
    content, problems = archive.description, list(archive.problems)
    problems += [image.problem for image in images if image.problem]

    def several(name: str, read: Any) -> list[Any]:
        records = content.get(name, [])
        if not isinstance(records, list) or len(records) > _MOST:
            problems.append(f"The list of {name} is damaged.")
            return []
        items = []
        for number, record in enumerate(records, 1):
            try:
                items.append(read(record))
            except _ERRORS as error:
                problems.append(f"Number {number} of the {name} is damaged: {error}.")
        return items

    frame, range_db = content.get("frame"), content.get("dynamic_range_db")
    if not isinstance(range_db, int | float) or not 0 < range_db < 1000:
        range_db = 60.0
    return Project(
        images,
        several("compared", int),
        several("regions", lambda record: _region(record, archive)),
        several("marks", mark_from_record),
        several("numbers", lambda rows: [_measurement(row) for row in rows]),
        frame if isinstance(frame, int) else 0,
        float(range_db),
        several("drawn", lambda record: _drawn(record, archive)),
        _mapping(content.get("view")),
        {str(k): str(v) for k, v in _mapping(content.get("versions")).items()},
        str(content.get("saved", "")),
        problems,
    )


def _region_record(region: Region, entry: str | None) -> dict[str, Any]:
    grid = region.grid
    return {
        "role": region.role,
        "kind": region.kind,
        "points": region.points_mm.tolist(),
        "name": region.name,
        "hole": None if region.hole_mm is None else region.hole_mm.tolist(),
        "frame": region.frame,
        "mask": entry,
        "grid": None if grid is None else grid_record(grid),
    }


def _region(record: Mapping[str, Any], archive: Archive) -> Region:
    hole, frame, mask = record["hole"], record["frame"], record["mask"]
    return Region(
        record["role"],
        record["kind"],
        np.asarray(record["points"], np.float64).reshape(-1, 2),
        str(record["name"]),
        None if hole is None else np.asarray(hole, np.float64).reshape(-1, 2),
        None if frame is None else int(frame),
        None if mask is None else archive.array(str(mask)).astype(bool),
        None if record["grid"] is None else grid_from_record(record["grid"]),
    )


def _measurement(record: Mapping[str, Any]) -> Measurement:
    numbers = {str(k): float(v) for k, v in _mapping(record["numbers"]).items()}
    return Measurement(
        str(record["region"]),
        str(record["role"]),
        int(record["frame"]),
        str(record["against"]),
        numbers,
    )


def _drawn(record: Mapping[str, Any], archive: Archive) -> Drawn:
    kind, data = record["kind"], record["data"]
    if kind not in ("shapes", "points", "labels"):
        raise ValueError(f"a layer of the kind {kind!r}")
    if kind == "labels":
        data = archive.array(str(data))
    elif not isinstance(data, list):
        raise ValueError("its coordinates are missing")
    return Drawn(kind, _mapping(record["attributes"]), data)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> Any:
    """Turn values into those that JSON can hold; NaN and infinity into text or None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else f"{value}"
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
