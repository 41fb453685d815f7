"""Draw what the screen of a scanner shows: a fan of known geometry, text and rulers.

The tissue is drawn on lines (speckle, cavities, bright arcs, shadows, gain) and scan
converted. Everything that a picture of a scanner may hold beside it is drawn on top.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.sectors.geometry import Sector

__all__ = ["KINDS", "DrawnSector", "draw_sector"]

KINDS = ("phased", "virtual apex", "curved", "large radius", "trapezoid", "linear")
"""Probes: what the lines of the picture look like."""

Grey = npt.NDArray[np.uint8]
Generator = np.random.Generator

_SIZES = ((480, 640), (600, 800), (768, 1024), (540, 960))
_WORDS = ("Adult Echo", "MI 1.2 TIS 0.4", "DOE^JANE 1971", "27 Hz", "C5-2 Abd", "Gn 58")


@dataclass(frozen=True)
class DrawnSector:
    """A drawn screen.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    truth : Sector
        Where the fan is.
    frames : ndarray, shape (T, Z, X), uint8
        One frame for a still.
    traits : sequence of str
        What makes it hard: ``dark``, ``cut left``, ``trace``, ``jpeg``, ...
    """

    kind: str
    truth: Sector
    frames: Grey
    traits: Sequence[str]


def draw_sector(seed: int, kind: str | None = None, frames: int = 1) -> DrawnSector:
    """Draw a screen.

    Parameters
    ----------
    seed : int
        Decides everything.
    kind : str, optional
        One of :data:`KINDS`; a random one by default.
    frames : int
        More than one give a clip: the tissue moves, the text does not.
    """
    rng = np.random.default_rng(seed)
    drawn_kind = str(rng.choice(KINDS))
    kind = kind or drawn_kind
    height, width = _SIZES[rng.integers(len(_SIZES))]
    traits: list[str] = []
    truth = _geometry(kind, height, width, rng)
    truth = _cut(truth, (height, width), rng, traits)
    look = _Look.drawn(rng, traits)
    tissue = _tissue(truth, look, rng, frames)
    background = int(rng.choice([0, 0, 0, 6, 14]))
    screens = [
        _on_screen(frame, truth, (height, width), background) for frame in tissue
    ]
    decorate = _Decoration(truth, (height, width), int(rng.integers(2**31)), traits)
    screens = [decorate(screen, share) for share, screen in enumerate(screens)]
    if rng.random() < 0.4:
        quality = int(rng.integers(60, 96))
        traits.append("jpeg")
        screens = [_through_jpeg(screen, quality) for screen in screens]
    return DrawnSector(kind, truth, np.stack(screens), tuple(dict.fromkeys(traits)))


def _geometry(kind: str, height: int, width: int, rng: Generator) -> Sector:
    """Choose a fan that fills most of a screen."""
    top = height * rng.uniform(0.05, 0.14)
    bottom = height * rng.uniform(0.84, 0.96)
    middle = width * rng.uniform(0.42, 0.58)
    depth = bottom - top
    widest = min(middle, width - middle) * rng.uniform(0.8, 0.97)
    if kind == "linear":
        half = min(widest, depth * rng.uniform(0.3, 0.7))
        return Sector.linear((top, bottom), (middle - half, middle + half))
    half_deg = {
        "phased": (28, 48),
        "virtual apex": (30, 46),
        "curved": (22, 38),
        "large radius": (10, 20),
        "trapezoid": (8, 22),
    }[kind]
    half_angle = np.radians(rng.uniform(*half_deg))
    # Of the first radius against the last.
    first = {
        "phased": rng.uniform(0, 0.04),
        "virtual apex": rng.uniform(0.05, 0.2),
        "curved": rng.uniform(0.25, 0.5),
        "large radius": rng.uniform(0.5, 0.75),
        "trapezoid": rng.uniform(0.4, 0.75),
    }[kind]
    last = min(depth / (1 - first * np.cos(half_angle)), widest / np.sin(half_angle))
    first_angle, last_angle = -half_angle, half_angle
    if rng.random() < 0.15:
        turn = np.radians(rng.uniform(-6, 6))
        first_angle, last_angle = first_angle + turn, last_angle + turn
    sector = Sector(
        (top - first * last * np.cos(half_angle), middle),
        (first_angle, last_angle),
        (first * last, last),
    )
    if kind != "trapezoid":
        return sector
    face = sector.apex[0] + sector.radii[0]
    floor = np.inf if rng.random() < 0.5 else sector.apex[0] + last * np.cos(half_angle)
    sector = replace(sector, box=(face, floor, -np.inf, np.inf))
    return replace(sector, radii=(first * last, last))


def _cut(
    sector: Sector, shape: tuple[int, int], rng: Generator, traits: list[str]
) -> Sector:
    """Cut a part off by the edge of a panel."""
    side = str(rng.choice(["none", "none", "top", "bottom", "left", "right", "sides"]))
    if side == "none" or sector.is_linear:
        return sector
    rows, columns = np.nonzero(sector.mask(shape))
    low, high = (rows.min(), columns.min()), (rows.max(), columns.max())
    part = rng.uniform(0.04, 0.14)
    top, bottom, left, right = sector.box
    # Of each straight edge enough is left to be seen.
    narrow = 2 * sector.radii[0] * np.sin(sector.angles[1])
    part_of_width = min(part, 0.25 * (1 - narrow / (high[1] - low[1])))
    if side == "top" and sector.radii[0] > 0.2 * sector.radii[1]:
        top = max(top, low[0] + 0.4 * part * (high[0] - low[0]))
    elif side == "bottom":
        bottom = min(bottom, high[0] - part * (high[0] - low[0]))
    elif side in ("left", "sides"):
        left = low[1] + part_of_width * (high[1] - low[1])
    if side in ("right", "sides"):
        right = high[1] - part_of_width * (high[1] - low[1])
    traits.append(f"cut {side}")
    return replace(sector, box=(top, bottom, left, right))


@dataclass(frozen=True)
class _Look:
    """Appearance of the tissue.

    Attributes
    ----------
    level, contrast : float
        Grey of tissue in [0, 1] and how much a decibel adds.
    gain : tuple of float
        From the first radius to the last, added to the level.
    shadows : list of (float, float, float)
        Middle and width as shares of the angles, and where they begin in depth.
    smooth : float
        Width of the speckle along depth, in samples.
    """

    level: float
    contrast: float
    gain: tuple[float, float]
    shadows: list[tuple[float, float, float]]
    smooth: float

    @classmethod
    def drawn(cls, rng: Generator, traits: list[str]) -> _Look:
        """Choose one."""
        level, gain = rng.uniform(0.3, 0.5), (0.05, rng.uniform(-0.25, 0.1))
        if rng.random() < 0.25:
            traits.append("dark")
            level = rng.uniform(0.12, 0.22)
        shadows = []
        if rng.random() < 0.3:
            traits.append("shadow at edge")
            side = rng.choice([0.03, 0.97])
            shadows.append((side, rng.uniform(0.06, 0.15), rng.uniform(0.15, 0.4)))
        for _ in range(int(rng.integers(0, 3))):
            middle = rng.uniform(0.2, 0.8)
            shadows.append((middle, rng.uniform(0.03, 0.1), rng.uniform(0.2, 0.6)))
        if rng.random() < 0.2:
            traits.append("dark at depth")
            gain = (0.1, -rng.uniform(0.3, 0.45))
        contrast = 1 / rng.uniform(45, 70)
        return cls(level, contrast, gain, shadows, rng.uniform(0.8, 2.0))


def _tissue(
    sector: Sector, look: _Look, rng: Generator, frames: int
) -> list[npt.NDArray[np.float32]]:
    """Draw the lines, (samples, lines) in [0, 1], a frame each."""
    from scipy.ndimage import gaussian_filter

    lines = int(rng.integers(96, 257))
    samples = int(min(700, max(150, 1.2 * sector.extent)))
    depth = np.linspace(0, 1, samples)[:, None]
    across = np.linspace(0, 1, lines)[None, :]
    # Cavities and bright arcs, where there is room for them.
    level_db = np.zeros((samples, lines))
    for _ in range(int(rng.integers(1, 5))):
        centre, half = rng.uniform((0.2, 0.15), (0.9, 0.85)), rng.uniform(0.05, 0.22, 2)
        inside = np.hypot((depth - centre[0]) / half[0], (across - centre[1]) / half[1])
        level_db[inside < 1] = rng.choice([-60, -60, -15, 8])
        level_db[np.abs(inside - 1) < 0.06] = rng.uniform(5, 18)
    level_db = gaussian_filter(level_db, 1.0)
    level_db += 14 * np.exp(-((depth / 0.03) ** 2))
    start, slope = look.gain[0], look.gain[1] - look.gain[0]
    level = look.level + start + slope * depth + look.contrast * level_db
    for middle, width, begins in look.shadows:
        in_shadow = 1 / (1 + np.exp((np.abs(across - middle) - width / 2) / 0.008))
        level = level - 0.9 * in_shadow / (1 + np.exp((begins - depth) / 0.015))
    drawn = []
    for number in range(frames):
        field = rng.normal(size=(2, samples, lines))
        field = gaussian_filter(field, (0, look.smooth, 0.7))
        speckle_db = 10 * np.log10(
            np.square(field).sum(0) / np.square(field).mean() / 2
        )
        moved = np.roll(level, round(3 * np.sin(number)), axis=0)
        grey = np.clip(moved + look.contrast * (speckle_db + 2.5), 0, 1)
        drawn.append(grey.astype(np.float32))
    return drawn


def _on_screen(
    lines: npt.NDArray[np.float32],
    sector: Sector,
    shape: tuple[int, int],
    background: int,
) -> Grey:
    """Scan convert the lines."""
    from scipy.ndimage import map_coordinates

    along, across = sector.shares(shape)
    places = np.stack([along * (lines.shape[0] - 1), across * (lines.shape[1] - 1)])
    grey = map_coordinates(lines, places, order=1, mode="nearest")
    screen = np.where(sector.mask(shape), 255 * grey, background)
    return np.rint(screen).astype(np.uint8)


class _Decoration:
    """Text, rulers, bars and traces; the same on each frame, but for the trace."""

    def __init__(
        self, sector: Sector, shape: tuple[int, int], seed: int, traits: list[str]
    ) -> None:
        self._sector, self._shape, self._seed = sector, shape, seed
        self._traits = traits

    def __call__(self, screen: Grey, frame: int) -> Grey:
        """Draw on a copy of a screen."""
        from PIL import Image, ImageDraw

        picture = Image.fromarray(screen)
        pen = ImageDraw.Draw(picture)
        rng = np.random.default_rng(self._seed)
        rows, columns = np.nonzero(self._sector.mask(self._shape))
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        self._text(pen, rng)
        for trait, share, draw in (
            ("ruler", 0.7, self._ruler),
            ("bar", 0.5, self._bar),
            ("header", 0.2, self._header),
            ("logo", 0.4, self._logo),
            ("trace", 0.3, self._trace),
            ("calipers", 0.3, self._calipers),
        ):
            if rng.random() < share:
                self._traits.append(trait)
                draw(pen, rng, (top, bottom, left, right), frame)
        return np.asarray(picture)

    def _text(self, pen: Any, rng: Generator) -> None:
        from PIL import ImageFont

        height, width = self._shape
        size = int(rng.integers(10, 20))
        font = ImageFont.load_default(size)
        for corner in range(4):
            x = 6 if corner % 2 == 0 else int(width - 7.5 * size)
            y = 4 if corner < 2 else height - 4 * size
            for line in range(int(rng.integers(0, 6 if corner < 2 else 3))):
                words = str(rng.choice(_WORDS))
                pen.text((x, y + line * size * 1.3), words, font=font, fill=220)

    def _ruler(self, pen: Any, rng: Generator, place: Any, frame: int) -> None:
        top, bottom, _, right = place
        x = min(right + int(rng.integers(2, 25)), self._shape[1] - 12)
        for y in np.linspace(top, bottom, int(rng.integers(6, 20))):
            pen.line((x, y, x + 8, y), fill=200)
        if rng.random() < 0.5:
            pen.line((x, top, x, bottom), fill=200)

    def _bar(self, pen: Any, rng: Generator, place: Any, frame: int) -> None:
        height, width = self._shape
        x = 8 if rng.random() < 0.5 else width - 24
        for y in range(int(0.3 * height), int(0.6 * height)):
            grey = int(255 * (0.6 - y / height) / 0.3)
            pen.line((x, y, x + 14, y), fill=grey)

    def _header(self, pen: Any, rng: Generator, place: Any, frame: int) -> None:
        pen.rectangle((0, 0, self._shape[1], int(rng.integers(12, 24))), fill=180)

    def _logo(self, pen: Any, rng: Generator, place: Any, frame: int) -> None:
        top, _, left, right = place
        size = int(rng.integers(10, 26))
        x = (left + right) // 2 - int(rng.integers(60, 140))
        pen.ellipse((x, top, x + size, top + size), fill=235)

    def _trace(self, pen: Any, rng: Generator, place: Any, frame: int) -> None:
        height, width = self._shape
        x = np.arange(0, width, 2)
        beat = (x + 7 * frame) % int(width / 4)
        y = (
            height * 0.93
            - 40 * np.exp(-(((beat - 30) / 4) ** 2))
            + rng.normal(size=x.size)
        )
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=230, width=1)

    def _calipers(self, pen: Any, rng: Generator, place: Any, frame: int) -> None:
        top, bottom, left, right = place
        for _ in range(2):
            x = int(rng.integers(left, right))
            y = int(rng.integers(top, bottom))
            pen.line((x - 5, y, x + 5, y), fill=255)
            pen.line((x, y - 5, x, y + 5), fill=255)


def _through_jpeg(screen: Grey, quality: int) -> Grey:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(screen).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
