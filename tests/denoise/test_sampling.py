"""The way to the prior's pixel and back."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoise.sampling import PRIOR_PIXEL_MM, Sampling, remove_grid


def test_prior_pixel_is_14_mm_over_32() -> None:
    assert PRIOR_PIXEL_MM == 0.4375


@pytest.mark.parametrize(
    ("spacing", "mode", "name", "steps"),
    [
        ((0.4375, 0.4375), "polyphase", "none", (1, 1)),
        ((0.39, 0.48), "polyphase", "none", (1, 1)),
        ((0.141, 0.141), "polyphase", "polyphase", (2, 2)),
        ((0.0739, 0.0986), "polyphase", "polyphase", (4, 3)),
        ((0.05, 0.3), "polyphase", "polyphase", (6, 1)),
        ((0.2, 0.9), "polyphase", "resample+polyphase", (2, 1)),
        ((0.9, 0.9), "polyphase", "resample", (1, 1)),
        ((0.141, 0.141), "resample", "resample", (1, 1)),
        ((0.141, 0.141), "none", "none", (1, 1)),
    ],
)
def test_way_follows_from_the_pixel(spacing, mode, name, steps) -> None:
    sampling = Sampling.choose((256, 200), spacing, mode)

    assert (sampling.name, sampling.steps) == (name, steps)


@pytest.mark.parametrize("mode", ["polyphase", "resample"])
@pytest.mark.parametrize("spacing", [0.06, 0.12, 0.141, 0.2, 0.25, 0.3, 0.6, 1.0])
def test_images_have_about_the_priors_pixel(mode: str, spacing: float) -> None:
    shape = (300, 260)
    sampling = Sampling.choose(shape, (spacing, spacing), mode)

    parts = sampling.split(np.zeros(shape, np.float32))

    for part in parts:
        pixel = np.multiply(shape, spacing) / part.shape
        # Interleaved images may be finer, down to 0.85 of two thirds of it.
        finest = 0.56 if mode == "polyphase" else 0.83
        assert (finest * PRIOR_PIXEL_MM <= pixel).all()
        assert (pixel <= 1.17 * PRIOR_PIXEL_MM).all()


@pytest.mark.parametrize(
    ("spacing", "mode", "excess"),
    [
        (0.4375, "polyphase", 1.0),
        (0.6, "polyphase", 1.0),
        (0.141, "resample", 1.0),
        (0.4375 / 1.5, "polyphase", 1.4),
        (0.4375 / 3, "polyphase", 1.4),
        (0.4375 / 1.5**0.5, "polyphase", 1.4**0.5),
    ],
)
def test_speckle_counts_for_more_the_finer_the_pixel_reached(
    spacing: float, mode: str, excess: float
) -> None:
    sampling = Sampling.choose((256, 256), (spacing, spacing), mode)
    assert sampling.speckle_excess == pytest.approx(excess)


@pytest.mark.parametrize("mode", ["polyphase", "resample"])
@pytest.mark.parametrize("spacing", [(0.141, 0.141), (0.05, 0.3), (0.9, 0.9)])
def test_smooth_image_comes_back_in_its_place(mode, spacing) -> None:
    shape = (240, 90)
    z, x = (np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    # A blob 6 mm wide is smooth at any of the pixels.
    middle = z[-1] / 2, x[-1] / 2
    distance = (z[:, None] - middle[0]) ** 2 + (x[None] - middle[1]) ** 2
    image = (-40 + 30 * np.exp(-distance / 18)).astype(np.float32)
    sampling = Sampling.choose(shape, spacing, mode)

    back = sampling.merge(sampling.split(image))

    assert back.shape == shape
    # Beyond the outermost new pixels, half a millimetre, their value is continued.
    assert np.abs(back - image)[5:-5, 5:-5].max() < 0.5


@pytest.mark.parametrize("steps", [(3, 3), (2, 2), (4, 1)])
def test_differences_between_interleaved_images_vanish(steps) -> None:
    rng = np.random.default_rng(0)
    offsets = rng.normal(0, 1, steps)
    image = -30 + np.tile(offsets, (60 // steps[0], 60 // steps[1]))

    even = remove_grid(image.astype(np.float32), steps)

    inside = even[6:-6, 6:-6]
    assert inside.std() < 1e-4
    assert inside.mean() == pytest.approx(-30 + offsets.mean(), abs=1e-4)


def test_point_keeps_its_height_and_width() -> None:
    rng = np.random.default_rng(0)
    image = -40 + np.tile(rng.normal(0, 0.3, (3, 3)), (20, 20))
    image[30, 30] = -10

    even = remove_grid(image.astype(np.float32), (3, 3))

    assert even[30, 30] == pytest.approx(-10, abs=0.5)
    assert even[30, 27:30].max() < -38


@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (5, 3)])
def test_tiny_images_survive_any_pixel(shape) -> None:
    image = np.random.default_rng(0).normal(-30, 5, shape).astype(np.float32)
    for spacing in (0.01, 0.141, 0.3, 3.0):
        for mode in ("polyphase", "resample", "none"):
            sampling = Sampling.choose(shape, (spacing, spacing), mode)

            back = sampling.merge(sampling.split(image))

            assert back.shape == shape and np.isfinite(back).all()
