"""Measurements of several images side by side: before, after, change."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_usflow.evaluate.measure import Measurement
from napari_usflow.evaluate.quantities import quantities
from napari_usflow.evaluate.quantities.contract import Quantity

__all__ = ["Line", "comparison_lines", "comparison_table", "number_text"]


@dataclass(frozen=True)
class Line:
    """One number of one region, in each image.

    Attributes
    ----------
    region, role, against : str
        As of :class:`Measurement`.
    frame : int
        Which frame.
    quantity : Quantity
        Which number.
    values : tuple of float
        In each image, the one before first; NaN where it is not defined.
    """

    region: str
    role: str
    against: str
    frame: int
    quantity: Quantity
    values: tuple[float, ...]

    @property
    def changes(self) -> tuple[float, ...]:
        """Each value but the first, minus the first."""
        first, *others = self.values
        # Two infinite contrasts differ by nothing that can be told.
        with np.errstate(invalid="ignore"):
            return tuple(float(np.subtract(value, first)) for value in others)


def comparison_lines(measured: Sequence[Sequence[Measurement]]) -> list[Line]:
    """Put measurements of several images side by side.

    Parameters
    ----------
    measured : sequence of sequences of Measurement
        Of each image, the one before first, all in the same regions.

    Returns
    -------
    list of Line
        The numbers that are defined in at least one image, region by region.
    """
    lines = []
    for number, first in enumerate(measured[0]):
        same = [_same(rows, number, first) for rows in measured]
        for quantity in quantities():
            values = tuple(
                float("nan") if row is None else float(getattr(row, quantity.name))
                for row in same
            )
            if not np.isnan(values).all():
                against = next((row.against for row in same if row is not None), "")
                lines.append(
                    Line(
                        first.region,
                        first.role,
                        against if quantity.compares else "",
                        first.frame,
                        quantity,
                        values,
                    )
                )
    return lines


def _same(
    rows: Sequence[Measurement], number: int, like: Measurement
) -> Measurement | None:
    """Return the measurement of the same region and frame of another image."""
    if number < len(rows):
        row = rows[number]
        if (row.region, row.frame) == (like.region, like.frame):
            return row
    wanted = (like.region, like.frame)
    return next((r for r in rows if (r.region, r.frame) == wanted), None)


def comparison_table(
    names: Sequence[str],
    measured: Sequence[Sequence[Measurement]],
    *,
    markdown: bool = True,
) -> str:
    """Write measurements of several images as one table.

    Parameters
    ----------
    names : sequence of str
        Of the images, the one before first.
    measured : sequence of sequences of Measurement
        As of :func:`comparison_lines`.
    markdown : bool
        A Markdown table; CSV otherwise, with all digits that count.
    """
    lines = comparison_lines(measured)
    framed = len({line.frame for line in lines}) > 1
    header = ["region", "role", "number", "against", names[0]]
    for name in names[1:]:
        header += [name, "change"]
    if framed:
        header.insert(0, "frame")
    rows = []
    for line in lines:
        cells = [line.region, line.role, line.quantity.title, line.against]
        if framed:
            cells.insert(0, str(line.frame))
        cells.append(_cell(line.values[0], line.quantity, markdown))
        for value, change in zip(line.values[1:], line.changes, strict=True):
            cells.append(_cell(value, line.quantity, markdown))
            cells.append(_cell(change, line.quantity, markdown, sign=True))
        rows.append(cells)
    return _markdown(header, rows) if markdown else _csv(header, rows)


def number_text(value: float, quantity: Quantity, *, sign: bool = False) -> str:
    """Write a number with the digits that are worth reading; empty where undefined."""
    if np.isnan(value):
        return ""
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:{'+' if sign else ''}.{quantity.digits}f}"
    return text.replace("-", "−")


def _cell(value: float, quantity: Quantity, markdown: bool, sign: bool = False) -> str:
    if markdown:
        return number_text(value, quantity, sign=sign)
    return "" if np.isnan(value) else f"{value:.6g}"


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    numbers = sum(name not in _TEXTS for name in header)
    rule = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    cells = [header, rule, *rows]
    return "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in cells)


_TEXTS = ("region", "role", "number", "against")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _csv(header: list[str], rows: list[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")
