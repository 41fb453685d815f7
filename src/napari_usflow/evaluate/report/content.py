"""Content of a report: pictures, numbers, marks, and the provenance of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.evaluate.measure import Measurement
from napari_usflow.evaluate.measure_table import comparison_lines, number_text
from napari_usflow.evaluate.project.marks import Mark
from napari_usflow.evaluate.project.model import Project
from napari_usflow.evaluate.report.methods_text import methods_paragraph
from napari_usflow.evaluate.report.pictures import (
    Outline,
    frame_on,
    limits_of,
    outlines,
    shades,
)
from napari_usflow.evaluate.report.repeat import (
    command_of,
    model_card,
    settings_rows,
    weights_of,
)
from napari_usflow.io.project.images import StoredImage
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["Picture", "Report", "Step", "report_of"]


@dataclass(frozen=True)
class Picture:
    """A compared image on the pixels of the one before.

    Attributes
    ----------
    name, caption : str
        Of the layer, and what its black and white are.
    grey : ndarray, shape (Z, X), uint8
    """

    name: str
    caption: str
    grey: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Step:
    """Provenance of a result.

    Attributes
    ----------
    name : str
        Of the result.
    settings, versions : list of (str, str)
    hashes : list of (str, str)
        What, and its SHA-256.
    command : str
        That makes it again; empty where that is not known.
    card : str
        Model card, Markdown; empty without a shipped model.
    """

    name: str
    settings: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    hashes: list[tuple[str, str]]
    command: str
    card: str


@dataclass(frozen=True)
class Report:
    """A report, before it is laid out.

    Attributes
    ----------
    title : str
    facts : list of (str, str)
        Of the image before.
    pictures : list of Picture
        The one before first.
    size : (float, float)
        Height and width in the unit of the image.
    unit : str
    outlines : list of Outline
        Regions and marks of the frame, in pixels of the pictures.
    header, rows : list of str, list of list of str
        The table of numbers.
    explained : list of (str, str)
        What each number is good for.
    marks : list of list of str
        Frame, kind, text, reader, size, ticked off.
    steps : list of Step
    methods : str
        A paragraph for a paper.
    problems : sequence of str
        What could not be read of the project.
    """

    title: str
    facts: list[tuple[str, str]]
    pictures: list[Picture]
    size: tuple[float, float]
    unit: str
    outlines: list[Outline]
    header: list[str]
    rows: list[list[str]]
    explained: list[tuple[str, str]]
    marks: list[list[str]]
    steps: list[Step]
    methods: str
    problems: Sequence[str]


def report_of(project: Project, *, title: str = "") -> Report:
    """Put together what a report of a project says.

    Parameters
    ----------
    project : Project
    title : str, optional
        The name of the image before by default.

    Raises
    ------
    FileFormatError
        When no image of the project can be shown.
    """
    images = project.compared_images()
    if not images:
        problems = " ".join(project.problems)
        raise FileFormatError(
            f"the project has no image that a report could show. {problems}".strip()
        )
    before = images[0]
    grid = before.grid
    assert isinstance(grid, PixelGrid)
    numbers = project.measured()
    names = [image.name for image in images]
    header, rows, explained = _table(names, numbers)
    made = [image for image in images if image.provenance.get("method")]
    height, width = np.multiply(grid.shape, grid.spacing_mm)
    return Report(
        title or before.name,
        _facts(project, before, grid),
        [_picture(project, image, before) for image in images],
        (float(height), float(width)),
        "mm" if before.in_mm else "px",
        outlines(project, before),
        header,
        rows,
        explained,
        [_mark_row(mark) for mark in project.marks],
        [_step(image, source_name(before)) for image in made],
        methods_paragraph(project, made, numbers),
        project.problems,
    )


def _facts(
    project: Project, image: StoredImage, grid: PixelGrid
) -> list[tuple[str, str]]:
    unit = "mm" if image.in_mm else "px"
    rows, columns = grid.shape
    facts = [
        ("Image", image.name),
        ("File", source_name(image)),
        ("Pixels", f"{rows} × {columns} (depth × width)"),
        ("Pixel", "{:.4g} × {:.4g} ".format(*grid.spacing_mm) + unit),
    ]
    if image.frames > 1:
        shown = f"{project.frame_of(image) + 1} of {image.frames}"
        if image.frame_interval_s and image.frame_axis == "t":
            shown += f", at {project.frame_of(image) * image.frame_interval_s:.3f} s"
        facts.append(("Frame", shown))
    if image.values == "display":
        facts.append(("Dynamic range", f"{project.dynamic_range_db:g} dB"))
    if digest := image.provenance.get("source_sha256"):
        facts.append(("SHA-256 of the file", str(digest)))
    if project.saved:
        facts.append(("Project saved", project.saved))
    return [(name, value) for name, value in facts if value]


def source_name(image: StoredImage) -> str:
    """Return the name of the file that an image comes from, without its folder."""
    note: Any = image.provenance
    while isinstance(note, Mapping):
        source = note.get("source")
        if isinstance(source, str):
            pure = PureWindowsPath(source) if "\\" in source else PurePath(source)
            return pure.name
        note = source
    return ""


def _picture(project: Project, image: StoredImage, before: StoredImage) -> Picture:
    frame = frame_on(project, image, before)
    low, high = limits_of(image, frame)
    unit = " dB" if image.values == "db" else ""
    caption = f"black {low:g}{unit}, white {high:g}{unit}"
    return Picture(image.name, caption, shades(frame, image))


def _table(
    names: Sequence[str], numbers: Sequence[Sequence[Measurement]]
) -> tuple[list[str], list[list[str]], list[tuple[str, str]]]:
    header = ["Region", "Number", "Against", names[0]]
    for name in names[1:]:
        header += [name, "Change"]
    rows: list[list[str]] = []
    explained: dict[str, str] = {}
    for line in comparison_lines(numbers):
        quantity = line.quantity
        explained[quantity.title] = quantity.help
        cells = [line.region, quantity.title, line.against]
        cells.append(number_text(line.values[0], quantity))
        for value, change in zip(line.values[1:], line.changes, strict=True):
            cells.append(number_text(value, quantity))
            cells.append(number_text(change, quantity, sign=True))
        rows.append(cells)
    return header, rows, list(explained.items())


def _mark_row(mark: Mark) -> list[str]:
    size = ""
    if mark.length_mm is not None:
        size = f"{mark.length_mm:.2f} mm"
    elif mark.area_mm2 is not None:
        size = f"{mark.area_mm2:.2f} mm²"
    frame = "all" if mark.frame is None else str(mark.frame + 1)
    return [frame, mark.kind, mark.text, mark.reader, size, "yes" if mark.done else ""]


def _step(image: StoredImage, source: str) -> Step:
    note = image.provenance
    versions = note.get("versions")
    hashes = []
    if (weights := weights_of(note)) is not None:
        hashes.append((f"{weights[0]} {weights[1]}", weights[2]))
    return Step(
        image.name,
        settings_rows(note),
        [(str(k), str(v)) for k, v in versions.items()]
        if isinstance(versions, Mapping)
        else [],
        hashes,
        command_of(note, source or "INPUT", "OUTPUT.tif"),
        model_card(note),
    )
