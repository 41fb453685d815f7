"""A report as a PDF, drawn by matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow import __version__
from napari_usflow.evaluate.report.content import Report
from napari_usflow.evaluate.report.pictures import Outline
from napari_usflow.files import write_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_pdf"]

_A4 = (8.27, 11.69)
_PICTURES_ACROSS = 2
_ROWS_A_PAGE, _LINES_A_PAGE, _LETTERS = 44, 76, 98


def write_pdf(path: Path, report: Report) -> None:
    """Write a report as PDF, whole or not at all."""
    from matplotlib.backends.backend_pdf import PdfPages

    with write_beside(path) as beside:
        facts = {"Title": report.title, "Creator": f"napari-usflow {__version__}"}
        with PdfPages(beside, metadata=facts) as pages:
            for figure in [
                _first_page(report),
                *_tables(report),
                *_text_pages(report),
            ]:
                pages.savefig(figure)


def _page() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=_A4)


def _first_page(report: Report) -> Figure:
    figure = _page()
    figure.text(0.07, 0.955, report.title, size=15, weight="bold")
    note = "Before and after speckle suppression. A research report, not for diagnosis."
    figure.text(0.07, 0.935, note, size=8, color="#5b6777")
    count = len(report.pictures)
    across = min(_PICTURES_ACROSS, count)
    axes = figure.subplots(-(-count // across), across, squeeze=False).ravel()
    figure.subplots_adjust(0.07, 0.27, 0.95, 0.9, wspace=0.08, hspace=0.2)
    height, width = report.size
    for place, picture in zip(axes, report.pictures, strict=False):
        rows, columns = picture.grey.shape
        aspect = (height / rows) / (width / columns)
        place.imshow(picture.grey, cmap="gray", vmin=0, vmax=255, aspect=aspect)
        place.set_title(picture.name, size=8)
        place.set_xlabel(picture.caption, size=7)
        place.set_xticks([])
        place.set_yticks([])
        for shape in report.outlines:
            _draw(place, shape)
    for place in axes[count:]:
        place.axis("off")
    facts = [f"{name}: {value}" for name, value in report.facts]
    lines = [*facts, *report.problems]
    figure.text(0.07, 0.24, _wrapped(lines), size=8, va="top", linespacing=1.5)
    return figure


def _draw(place: Any, shape: Outline) -> None:
    points = shape.points
    if shape.kind == "point":
        place.plot(*points[:, ::-1].T, "o", mfc="none", mec=shape.color, ms=5)
    else:
        rings = [points] if shape.hole is None else [points, shape.hole]
        for ring in rings:
            closed = np.vstack([ring, ring[:1]]) if shape.kind == "area" else ring
            place.plot(*closed[:, ::-1].T, color=shape.color, lw=1)
    z, x = points[np.argmin(points[:, 0])]
    place.text(x, z, shape.label, color=shape.color, size=6, ha="center", va="bottom")


def _tables(report: Report) -> list[Figure]:
    marks = ["Frame", "Kind", "Text", "Reader", "Size", "Ticked off"]
    figures = []
    for title, header, rows in (
        ("Numbers", report.header, report.rows),
        ("Marks", marks, report.marks),
    ):
        for start in range(0, len(rows), _ROWS_A_PAGE):
            figures.append(_table(title, header, rows[start : start + _ROWS_A_PAGE]))
    return figures


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Figure:
    figure = _page()
    figure.text(0.07, 0.955, title, size=13, weight="bold")
    place = figure.add_axes((0.07, 0.05, 0.88, 0.88))
    place.axis("off")
    cells = [[textwrap.shorten(cell, 40) for cell in row] for row in rows]
    table = place.table(
        cells,
        colLabels=[textwrap.fill(title, 18) for title in header],
        loc="upper center",
        cellLoc="left",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(7 if len(header) < 10 else 5)
    table.auto_set_column_width(list(range(len(header))))
    for column in range(len(header)):
        table[0, column].set_height(table[0, column].get_height() * 2)
    return figure


def _text_pages(report: Report) -> list[Figure]:
    lines = ["Methods", "", report.methods or "No method is noted.", ""]
    for step in report.steps:
        lines += [f"How {step.name} was made", ""]
        lines += [f"{name}: {value}" for name, value in step.settings]
        lines += [f"SHA-256 of {name}: {digest}" for name, digest in step.hashes]
        lines.append("Versions: " + ", ".join(" ".join(pair) for pair in step.versions))
        if step.command:
            lines += ["", "The command that repeats it:", step.command]
        lines.append("")
    text = _wrapped(lines).split("\n")
    figures = []
    for start in range(0, len(text), _LINES_A_PAGE):
        figure = _page()
        part = "\n".join(text[start : start + _LINES_A_PAGE])
        figure.text(0.07, 0.955, part, size=8, va="top", linespacing=1.35)
        figures.append(figure)
    return figures


def _wrapped(lines: Sequence[str]) -> str:
    # A dollar sign would begin a formula.
    wrapped = [textwrap.fill(line, _LETTERS) for line in lines]
    return "\n".join(wrapped).replace("$", r"\$")
