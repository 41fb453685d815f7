"""Marks that readers put on images: points, boxes, outlines, lines and frames.

A mark lies in millimetres, (axial, lateral), like a region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.profile import line_length_mm

__all__ = ["KINDS", "Mark", "MarkKind", "mark_from_record", "mark_record"]

MarkKind = Literal["point", "box", "ellipse", "polygon", "line", "frame"]
KINDS: tuple[MarkKind, ...] = get_args(MarkKind)

_LEAST = {"point": 1, "box": 4, "ellipse": 4, "polygon": 3, "line": 2, "frame": 0}
_CIRCLE = np.linspace(0, 2 * np.pi, 65)[:-1, None]


@dataclass(frozen=True)
class Mark:
    """A reader's mark with its text.

    Attributes
    ----------
    kind : {"point", "box", "ellipse", "polygon", "line", "frame"}
        Its shape; ``frame`` marks a whole frame.
    points_mm : ndarray, shape (N, 2)
        (axial, lateral): the point, the corners of a box, of the box around an ellipse
        or of a polygon, the points of a line; none of a frame.
    frame : int, optional
        The only frame that it is on; every frame without.
    text : str
        What the reader wrote.
    reader : str
        Who marked it.
    done : bool
        Whether it is ticked off.
    created : str
        When it was marked, ISO 8601.
    """

    kind: MarkKind
    points_mm: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    frame: int | None = None
    text: str = ""
    reader: str = ""
    done: bool = False
    created: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"a mark has the kind {self.kind!r}; expected one of {', '.join(KINDS)}"
            )
        points = np.asarray(self.points_mm, np.float64).reshape(-1, 2)
        object.__setattr__(self, "points_mm", points)
        if len(points) < _LEAST[self.kind] or not np.isfinite(points).all():
            raise ValueError(
                f"a {self.kind} needs at least {_LEAST[self.kind]} points with finite "
                "positions"
            )

    @property
    def length_mm(self) -> float | None:
        """Length of a line; None of other marks."""
        return line_length_mm(self.points_mm) if self.kind == "line" else None

    @property
    def area_mm2(self) -> float | None:
        """Area of a box, an ellipse or a polygon; None of other marks."""
        if self.kind not in ("box", "ellipse", "polygon"):
            return None
        z, x = (self.points_mm[:4] if self.kind == "ellipse" else self.points_mm).T
        area = abs(float(z @ np.roll(x, -1) - x @ np.roll(z, -1))) / 2
        return area * np.pi / 4 if self.kind == "ellipse" else area

    def outline_mm(self) -> npt.NDArray[np.float64]:
        """Return the corners of its shape; 64 of an ellipse."""
        if self.kind != "ellipse":
            return self.points_mm
        points = self.points_mm
        center = points[:4].mean(axis=0)
        halves = (points[1] - points[0]) / 2, (points[3] - points[0]) / 2
        around = np.cos(_CIRCLE) * halves[0] + np.sin(_CIRCLE) * halves[1]
        return np.asarray(center + around)


def mark_record(mark: Mark) -> dict[str, Any]:
    """Return a mark as values that JSON can hold."""
    return {
        "kind": mark.kind,
        "points": mark.points_mm.tolist(),
        "frame": mark.frame,
        "text": mark.text,
        "reader": mark.reader,
        "done": mark.done,
        "created": mark.created,
    }


def mark_from_record(record: Mapping[str, Any]) -> Mark:
    """Return the mark of :func:`mark_record`.

    Raises
    ------
    ValueError, KeyError, TypeError
        When it is none.
    """
    frame = record["frame"]
    return Mark(
        record["kind"],
        np.asarray(record["points"], np.float64),
        None if frame is None else int(frame),
        str(record["text"]),
        str(record["reader"]),
        bool(record["done"]),
        str(record["created"]),
    )
