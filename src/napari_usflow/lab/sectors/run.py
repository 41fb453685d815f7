"""Accuracy of the sector search on drawn screens with a known truth."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_usflow.evaluate.tables import Scored, write_table
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.sectors.drawn import KINDS, DrawnSector, draw_sector
from napari_usflow.ultrasound.sectors.find import SURE, sector_candidate
from napari_usflow.ultrasound.sectors.geometry import Sector

__all__ = ["SectorFit", "drawn_sectors_events", "summary_lines", "write_sector_fits"]

FIRST_SEED = 1000
"""Screens below this were looked at while the search was written."""

CLIP_EVERY = 5
CLIP_FRAMES = 6

_FORMATS = {
    "apex_px": ".2f",
    "angle_deg": ".3f",
    "radius_px": ".2f",
    "box_px": ".2f",
    "confidence": ".3f",
    "seconds": ".2f",
}
_APEX_PX, _ANGLE_DEG, _EDGE_PX = 2.0, 0.5, 2.0


@dataclass(frozen=True)
class SectorFit:
    """One drawn screen; a line of the table.

    Attributes
    ----------
    seed : int
        Of the screen.
    kind : str
        What was drawn, see :data:`~napari_usflow.lab.sectors.drawn.KINDS`.
    frames : int
        More than one of a clip.
    traits : str
        What is beside and over the tissue, and how it is cut.
    answer : str
        ``sector``, ``trapezoid``, ``linear``, or ``none``.
    confidence : float
        Of the answer.
    apex_px, angle_deg, radius_px : float
        Distance of the apexes; the larger error of both angles; that of both radii (of
        a trapezoid the last one). NaN where either is linear.
    box_px : float
        Of a linear probe the largest error of the four edges; NaN of others.
    seconds : float
        Processor time.
    """

    seed: int
    kind: str
    frames: int
    traits: str
    answer: str
    confidence: float
    apex_px: float
    angle_deg: float
    radius_px: float
    box_px: float
    seconds: float

    @property
    def is_used(self) -> bool:
        """Whether it is sure enough to be used without being asked for."""
        return self.confidence >= SURE

    @property
    def is_right(self) -> bool:
        """Apex within 2 pixels and angles within 0.5 degrees, or edges in 2 pixels."""
        if self.kind == "linear":
            return self.box_px <= _EDGE_PX
        return self.apex_px <= _APEX_PX and self.angle_deg <= _ANGLE_DEG


def drawn_sectors_events(
    count: int = 200,
    *,
    first_seed: int = FIRST_SEED,
    token: CancelToken | None = None,
) -> Generator[Event, None, list[SectorFit]]:
    """Draw screens, the kinds by turns, and find their sectors.

    Parameters
    ----------
    count : int
        How many; each fifth is a clip.
    first_seed : int
        Of the first screen.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Progress, and :class:`~napari_usflow.evaluate.tables.Scored` for each screen.
    """
    token = token or CancelToken()
    fits = []
    for number in range(count):
        token.raise_if_cancelled()
        frames = CLIP_FRAMES if number % CLIP_EVERY == CLIP_EVERY - 1 else 1
        seed = first_seed + number
        drawn = draw_sector(seed, KINDS[number % len(KINDS)], frames)
        start = time.process_time()
        answer = sector_candidate(drawn.frames)
        fits.append(_fit(seed, drawn, answer, time.process_time() - start))
        yield Scored(fits[-1])
        yield Progress(number + 1, count, "screens")
    return fits


def _fit(
    seed: int, drawn: DrawnSector, answer: Sector | None, seconds: float
) -> SectorFit:
    """Compare an answer with the truth."""
    truth = drawn.truth
    apex = angle = radius = box = math.nan
    if answer is not None and not (answer.is_linear or truth.is_linear):
        apex = math.dist(answer.apex, truth.apex)
        angle = math.degrees(np.abs(np.subtract(answer.angles, truth.angles)).max())
        radii = np.abs(np.subtract(answer.radii, truth.radii))
        radius = float(radii[1:].max() if drawn.kind == "trapezoid" else radii.max())
    elif answer is not None and answer.is_linear and truth.is_linear:
        box = float(np.abs(np.subtract(answer.box, truth.box)).max())
    return SectorFit(
        seed,
        drawn.kind,
        len(drawn.frames),
        ", ".join(drawn.traits),
        "none" if answer is None else answer.kind,
        0.0 if answer is None else answer.confidence,
        apex,
        angle,
        radius,
        box,
        seconds,
    )


def write_sector_fits(fits: Sequence[SectorFit], path: Path) -> Path:
    """Write the table, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, fits, _FORMATS)
    return path


def summary_lines(fits: Sequence[SectorFit]) -> list[str]:
    """Return a Markdown table: a line for each kind and one for all."""
    names = ["drawn", "screens", "right", "used", "right of those used"]
    names += ["apex, median / 90 %", "angle, median / 90 %"]
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    for kind in (*KINDS, "all"):
        of_kind = [fit for fit in fits if kind in (fit.kind, "all")]
        used = [fit for fit in of_kind if fit.is_used]
        right = sum(fit.is_right for fit in of_kind)
        good = sum(fit.is_right for fit in used)
        lines.append(
            f"| {kind} | {len(of_kind)} | {right} | {len(used)} | {good} | "
            f"{_quantiles([fit.apex_px for fit in of_kind], '.1f', 'px')} | "
            f"{_quantiles([fit.angle_deg for fit in of_kind], '.2f', '°')} |"
        )
    return lines


def _quantiles(values: Sequence[float], form: str, unit: str) -> str:
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    middle, most = np.quantile(known, (0.5, 0.9))
    return f"{middle:{form}} / {most:{form}} {unit}"
