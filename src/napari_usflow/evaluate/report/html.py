"""A report as one HTML page that needs no script, font or file of others."""

from __future__ import annotations

import base64
from importlib import resources
from pathlib import Path
from typing import Any

from napari_usflow import __version__
from napari_usflow.evaluate.regions import ROLE_COLORS
from napari_usflow.evaluate.report.content import Report
from napari_usflow.evaluate.report.pictures import MARK_COLOR, Outline, png
from napari_usflow.files import write_beside

__all__ = ["html_page", "write_html"]


def html_page(report: Report) -> str:
    """Return the page."""
    from jinja2 import Environment, StrictUndefined

    page = resources.files("napari_usflow.evaluate.report") / "page.html"
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string(page.read_text(encoding="utf-8"))
    rows, columns = report.pictures[0].grey.shape
    pictures = [
        {
            "name": picture.name,
            "caption": picture.caption,
            "data": base64.b64encode(png(picture.grey)).decode("ascii"),
        }
        for picture in report.pictures
    ]
    return template.render(
        report=report,
        pictures=pictures,
        shapes=[_svg(shape, rows, columns) for shape in report.outlines],
        colors={**ROLE_COLORS, "mark": MARK_COLOR},
        version=__version__,
        ratio=report.size[1] / report.size[0],
        size="{:.4g} × {:.4g} ".format(*report.size) + report.unit,
    )


def write_html(path: Path, report: Report) -> None:
    """Write the page, whole or not at all."""
    page = html_page(report)
    with write_beside(path) as beside:
        beside.write_text(page, encoding="utf-8")


def _svg(shape: Outline, rows: int, columns: int) -> dict[str, Any]:
    """Return a shape in per mille of the picture's width and height."""

    def placed(points: Any) -> list[tuple[float, float]]:
        return [
            (
                round(1000 * (float(x) + 0.5) / columns, 2),
                round(1000 * (float(z) + 0.5) / rows, 2),
            )
            for z, x in points
        ]

    def path(points: list[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)

    points = placed(shape.points)
    drawn = path(points)
    if shape.kind == "area":
        drawn += "Z" + ("" if shape.hole is None else path(placed(shape.hole)) + "Z")
    top = min(points, key=lambda point: point[1])
    return {
        "kind": shape.kind,
        "path": drawn,
        "color": shape.color,
        "label": shape.label,
        "x": top[0] / 10,
        "y": top[1] / 10,
    }
