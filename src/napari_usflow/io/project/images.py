"""The images of a project: what is stored of each, and what is read back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from napari_usflow.errors import FileFormatError, UsflowError
from napari_usflow.io.guards.file_checks import own_file
from napari_usflow.io.project.archive import Archive
from napari_usflow.ultrasound.data import (
    ArrayLike,
    PixelGrid,
    UltrasoundImage,
    Values,
)

__all__ = [
    "Link",
    "StoredImage",
    "as_ultrasound",
    "file_sha256",
    "grid_from_record",
    "grid_record",
    "image_record",
    "read_images",
]

Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]
IN_PLACE: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))

_MOST_IMAGES = 1000


@dataclass(frozen=True)
class Link:
    """An image that stays in its own file, beside the project.

    Attributes
    ----------
    file : str
        Its bare name, in the folder of the project.
    sha256 : str
        Of the file.
    number : int
        Which image of the file.
    """

    file: str
    sha256: str
    number: int = 0


@dataclass(frozen=True)
class StoredImage:
    """An image of a project.

    Attributes
    ----------
    name : str
        Of its layer.
    data : array or None
        (Z, X), (T, Z, X) or what else a layer shows; None where it cannot be read.
    values : {"db", "envelope", "display"} or None
        What its numbers are; None where nobody knows.
    value_range : (float, float) or None
        Which of them are black and white.
    grid : PixelGrid or None
        Where its pixels are along its own axes; None for what is not measured, such as
        colour.
    in_mm : bool
        Whether the grid is in millimetres; otherwise it is in pixels.
    own : ((float, float, float), (float, float, float))
        Matrix and offset from positions (axial, lateral) of regions and marks to
        positions along its own axes.
    frame_axis, frame_interval_s
        As of :class:`~napari_usflow.ultrasound.data.UltrasoundImage`.
    result_of : int or None
        Number of the image that it was made of.
    provenance : dict
        How it was made, and where it comes from.
    look : dict
        How a window shows it.
    link : Link or None
        Where its data are when they are not in the project.
    problem : str
        Why there are no data.
    """

    name: str
    data: ArrayLike | None
    values: Values | None = None
    value_range: tuple[float, float] | None = None
    grid: PixelGrid | None = None
    in_mm: bool = False
    own: Matrix = IN_PLACE
    frame_axis: str = "t"
    frame_interval_s: float | None = None
    result_of: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    look: Mapping[str, Any] = field(default_factory=dict)
    link: Link | None = None
    problem: str = ""

    @property
    def frames(self) -> int:
        """Number of frames."""
        shape = () if self.data is None else self.data.shape
        return int(shape[0]) if len(shape) == 3 else 1


def image_record(image: StoredImage, entry: str) -> dict[str, Any]:
    """Return what the description says of an image.

    Parameters
    ----------
    image : StoredImage
    entry : str
        Where its data are in the archive; not used for a link.
    """
    grid, link = image.grid, image.link
    return {
        "name": image.name,
        "data": None if link else entry,
        "link": link and {"file": link.file, "sha256": link.sha256, "n": link.number},
        "values": image.values,
        "value_range": image.value_range,
        "grid": None if grid is None else grid_record(grid),
        "in_mm": image.in_mm,
        "own": image.own,
        "frame_axis": image.frame_axis,
        "frame_interval_s": image.frame_interval_s,
        "result_of": image.result_of,
        "provenance": dict(image.provenance),
        "look": dict(image.look),
    }


def read_images(archive: Archive) -> list[StoredImage]:
    """Read the images of a project; one that cannot be read says why."""
    records = archive.description.get("images", [])
    if not isinstance(records, list) or len(records) > _MOST_IMAGES:
        raise FileFormatError(f"{archive.path}: the list of images is damaged")
    images = []
    for number, record in enumerate(records):
        try:
            images.append(_image(record, archive))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            problem = f"Image {number + 1} is damaged: {error}."
            images.append(StoredImage(f"image {number + 1}", None, problem=problem))
    return images


def _image(record: Any, archive: Archive) -> StoredImage:
    values, grid = record["values"], record["grid"]
    if values is not None and values not in get_args(Values):
        raise ValueError(f"its values are {values!r}")
    low_high, interval = record["value_range"], record["frame_interval_s"]
    result_of = record["result_of"]
    image = StoredImage(
        str(record["name"]),
        None,
        values,
        None if low_high is None else _numbers(low_high, 2),
        None if grid is None else grid_from_record(grid),
        bool(record["in_mm"]),
        (_numbers(record["own"][0], 3), _numbers(record["own"][1], 3)),
        str(record["frame_axis"]),
        None if interval is None else float(interval),
        None if result_of is None else int(result_of),
        _mapping(record["provenance"]),
        _mapping(record["look"]),
    )
    try:
        if record["link"] is not None:
            link = record["link"]
            image = replace(
                image, link=Link(str(link["file"]), str(link["sha256"]), int(link["n"]))
            )
            data: ArrayLike = _linked(image, archive.path.parent)
        else:
            data = archive.array(str(record["data"]))
        if image.grid is not None and tuple(data.shape[-2:]) != image.grid.shape:
            raise FileFormatError("its shape is not the one that was stored")
    except UsflowError as error:
        return replace(image, problem=f"Image {image.name!r} is left out: {error}.")
    return replace(image, data=data)


def _linked(image: StoredImage, folder: Path) -> ArrayLike:
    """Read an image from its own file, which must lie beside the project."""
    from napari_usflow.io import image_events
    from napari_usflow.io.formats import open_file
    from napari_usflow.jobs import result_of

    link = image.link
    assert link is not None
    name = Path(link.file).name
    if name != link.file or not name:
        raise FileFormatError(f"{link.file!r} does not lie beside the project")
    path = own_file(folder / name, folder)
    if file_sha256(path) != link.sha256:
        raise FileFormatError(f"{path} is not the file that was linked")
    opened = open_file(path)
    if opened.kind == "usflow-project":
        raise FileFormatError(f"{path} is a project itself")
    images = result_of(image_events(opened))
    if not 0 <= link.number < len(images):
        raise FileFormatError(f"{path} has no image {link.number + 1}")
    data = images[link.number].data
    return data[0] if data.shape[0] == 1 else data


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_ultrasound(image: StoredImage) -> UltrasoundImage:
    """Return a stored image for scripts and commands.

    Raises
    ------
    ValueError
        When it cannot be read, or is no grey image with known values.
    """
    if image.data is None:
        raise ValueError(image.problem)
    if image.grid is None or image.values is None:
        raise ValueError(
            f"image {image.name!r} is no grey image, or nobody knows its values"
        )
    data: ArrayLike = image.data
    if len(data.shape) == 2:
        data = np.asarray(data)[np.newaxis]
    noted = {**image.provenance, "name": image.name}
    for name, value in (("value_range", image.value_range), ("values", image.values)):
        if value is not None:
            noted[name] = value
    if not image.in_mm:
        noted["pixel_size_known"] = False
    return UltrasoundImage(
        data,
        image.values,
        image.grid,
        image.frame_axis,
        image.frame_interval_s,
        noted,
    )


def grid_record(grid: PixelGrid) -> dict[str, Any]:
    """Return a grid as values that JSON can hold."""
    return {"shape": grid.shape, "step": grid.spacing_mm, "origin": grid.origin_mm}


def grid_from_record(record: Mapping[str, Any]) -> PixelGrid:
    """Return the grid of :func:`grid_record`; ValueError when it is none."""
    rows, columns = (int(n) for n in record["shape"])
    step, origin = _numbers(record["step"], 2), _numbers(record["origin"], 2)
    return PixelGrid((rows, columns), step, origin)


def _numbers(values: Sequence[Any], count: int) -> Any:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"{count} finite numbers are expected")
    return numbers


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a mapping is expected")
    return value
