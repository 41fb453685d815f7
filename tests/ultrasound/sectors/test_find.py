"""Sectors of drawn screens, found without being told anything."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_usflow.lab.sectors.drawn import draw_sector
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import scan_convert
from napari_usflow.ultrasound.sectors.find import find_sector

# None of the screens of the reported statistics.
SCREENS = [
    (11, "phased", 1),
    (21, "virtual apex", 1),
    (6, "curved", 1),
    (12, "large radius", 1),
    (3, "trapezoid", 1),
    (14, "phased", 4),
    # A shadow along an edge.
    (5026, "virtual apex", 1),
    (5051, "virtual apex", 1),
]


@pytest.mark.parametrize(("seed", "kind", "frames"), SCREENS)
def test_apex_is_within_two_pixels_and_angles_within_half_a_degree(
    seed: int, kind: str, frames: int
) -> None:
    drawn = draw_sector(seed, kind, frames)

    sector = find_sector(drawn.frames)

    assert sector is not None and not sector.is_linear
    assert math.dist(sector.apex, drawn.truth.apex) < 2
    np.testing.assert_allclose(
        np.degrees(sector.angles), np.degrees(drawn.truth.angles), atol=0.5
    )


def test_edges_of_a_linear_probe_are_within_two_pixels() -> None:
    drawn = draw_sector(7, "linear")

    sector = find_sector(drawn.frames)

    assert sector is not None and sector.is_linear
    np.testing.assert_allclose(sector.box, drawn.truth.box, atol=2)


def test_of_a_huge_picture_some_rows_and_columns_are_enough() -> None:
    drawn = draw_sector(11, "phased", 1)
    frame = drawn.frames[0]
    times = -(-5000 // max(frame.shape))

    sector = find_sector(frame.repeat(times, axis=0).repeat(times, axis=1))

    assert sector is not None
    assert math.dist(sector.apex, drawn.truth.apex * np.array(times)) < 2 * times
    np.testing.assert_allclose(
        np.degrees(sector.angles), np.degrees(drawn.truth.angles), atol=0.5
    )


def test_pixels_that_are_not_square_are_allowed_for() -> None:
    rng = np.random.default_rng(0)
    lines = PolarGrid((220, 90), (30.0, 0.5), (-0.5, 1.0 / 89))
    speckle = 10 * np.log10(rng.exponential(size=(1, 220, 90))) - 20
    image = UltrasoundImage(speckle, "db", lines)
    picture = scan_convert(image, spacing_mm=(0.5, 0.8))
    assert isinstance(picture.grid, PixelGrid)

    sector = find_sector(picture)

    assert sector is not None
    apex = [-o / s for o, s in zip(picture.origin_mm, picture.spacing_mm, strict=True)]
    assert math.dist(sector.apex, apex) < 2
    np.testing.assert_allclose(np.degrees(sector.angles), (-28.6, 28.6), atol=0.5)


def test_noise_without_a_background_has_no_sector() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 240), dtype=np.uint8)

    assert find_sector(noise) is None


def test_a_disc_is_no_sector() -> None:
    rng = np.random.default_rng(0)
    z, x = np.mgrid[:240, :240]
    disc = np.hypot(z - 120, (x - 120) * 1.2) < 90
    picture = np.where(disc, rng.integers(60, 200, disc.shape), 0).astype(np.uint8)

    assert find_sector(picture) is None


def test_two_fans_beside_each_other_are_not_taken_for_one() -> None:
    single = draw_sector(9, "curved").frames[0]
    double = np.concatenate([single, single], axis=1)[::2, ::2]

    sector = find_sector(double)

    assert sector is None or sector.mask(double.shape)[:, : single.shape[1] // 2].any()


def test_an_empty_picture_has_no_sector() -> None:
    assert find_sector(np.zeros((200, 200), np.uint8)) is None
