from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_usflow.ultrasound.resample import (
    polyphase_merge,
    polyphase_split,
    resample_from,
    resample_to,
)

SPACING = (0.074, 0.099)
PIXEL = 0.4375
SHAPE = (301, 187)

Image = npt.NDArray[np.float32]


def centred_axes(
    shape: tuple[int, int], spacing: tuple[float, float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates of pixel centres in mm, 0 in the middle of the image."""
    z, x = (
        s * (np.arange(n) - (n - 1) / 2) for n, s in zip(shape, spacing, strict=True)
    )
    return z[:, None], x[None]


def smooth_image(shape: tuple[int, int], spacing: tuple[float, float]) -> Image:
    """Waves of at least four coarse pixels a period."""
    z, x = centred_axes(shape, spacing)
    period = 4 * PIXEL
    waves = np.sin(2 * np.pi * z / period + 0.3) * np.cos(
        2 * np.pi * x / (1.3 * period)
    )
    return (-30 + 10 * waves).astype(np.float32)


def test_coarse_shape_is_the_nearest_that_covers_the_field() -> None:
    coarse = resample_to(np.zeros(SHAPE, np.float32), SPACING, PIXEL)

    # 22.27 mm / 0.4375 mm = 50.9 and 18.51 mm / 0.4375 mm = 42.3.
    assert coarse.shape == (51, 42)
    assert coarse.dtype == np.float32


def test_a_ramp_is_sampled_at_the_places_of_the_new_pixels() -> None:
    z, x = centred_axes(SHAPE, SPACING)
    ramp = (2 * z - 3 * x).astype(np.float32)

    coarse = resample_to(ramp, SPACING, PIXEL)

    z, x = centred_axes(coarse.shape, (PIXEL, PIXEL))
    inside = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(coarse[inside], (2 * z - 3 * x)[inside], atol=1e-3)


def test_a_ramp_comes_back_in_its_place() -> None:
    z, x = centred_axes(SHAPE, SPACING)
    ramp = (2 * z - 3 * x).astype(np.float32)

    back = resample_from(resample_to(ramp, SPACING, PIXEL), SHAPE, SPACING, PIXEL)

    inside = np.s_[24:-24, 20:-20]
    np.testing.assert_allclose(back[inside], ramp[inside], atol=2e-3)


@pytest.mark.parametrize("sampling", ["point", "antialias"])
def test_a_point_stays_where_it_is_to_a_hundredth_of_a_pixel(sampling: str) -> None:
    place = (1.23, -2.04)
    z, x = centred_axes(SHAPE, SPACING)
    blob = np.exp(-((z - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * 0.6**2))

    coarse = resample_to(blob.astype(np.float32), SPACING, PIXEL, sampling=sampling)
    back = resample_from(coarse, SHAPE, SPACING, PIXEL)

    for image, spacing in ((coarse, (PIXEL, PIXEL)), (back, SPACING)):
        z, x = centred_axes(image.shape, spacing)
        centre = np.array([(image * z).sum(), (image * x).sum()]) / image.sum()
        np.testing.assert_allclose(centre, place, atol=0.01 * min(SPACING))


def test_pixels_that_coincide_are_taken_unchanged() -> None:
    image = np.random.default_rng(0).normal(-30, 6, (33, 48)).astype(np.float32)

    coarse = resample_to(image, (0.1, 0.2), (0.3, 0.6))

    # Of three pixels the middle one has the centre of the new one.
    np.testing.assert_allclose(coarse, image[1::3, 1::3], atol=1e-4)


@pytest.mark.parametrize("domain", ["db", "envelope"])
def test_the_same_pixel_changes_nothing(domain: str) -> None:
    image = np.random.default_rng(0).normal(-30, 6, (20, 30)).astype(np.float32)

    same = resample_to(image, (0.3, 0.3), 0.3, domain=domain)

    np.testing.assert_allclose(same, image, atol=1e-3)
    np.testing.assert_allclose(
        resample_from(same, image.shape, (0.3, 0.3), 0.3), image, atol=2e-3
    )


def test_waves_of_four_coarse_pixels_survive_the_round_trip() -> None:
    image = smooth_image(SHAPE, SPACING)

    back = resample_from(resample_to(image, SPACING, PIXEL), SHAPE, SPACING, PIXEL)

    inside = np.s_[24:-24, 20:-20]
    # A cubic cardinal spline through n samples a period lets through 1 / (n - 1)^4 of
    # the first images on both sides: 2.5 % at 4 samples and 0.6 % at 5.2.
    assert np.abs(back - image)[inside].max() < 0.035 * 10


def test_antialiasing_removes_what_the_coarse_pixel_cannot_hold() -> None:
    rows = np.where(np.arange(120) % 2, -20.0, 20.0)
    stripes = np.repeat(rows[:, None], 120, axis=1).astype(np.float32)

    averaged = resample_to(stripes, (0.1, 0.1), 0.5, sampling="antialias")
    sampled = resample_to(stripes, (0.1, 0.1), 0.5, sampling="point")

    assert np.abs(averaged[2:-2]).max() < 0.1
    assert np.abs(sampled[2:-2]).min() > 19


def test_the_envelope_domain_averages_amplitudes() -> None:
    rows = np.where(np.arange(121) % 2, -40.0, 0.0)
    stripes = np.repeat(rows[:, None], 121, axis=1).astype(np.float32)

    def middle(domain: str) -> float:
        coarse = resample_to(
            stripes, (0.1, 0.1), 1.1, domain=domain, sampling="antialias"
        )
        return float(coarse[5, 5])

    assert middle("db") == pytest.approx(-20, abs=0.1)
    assert middle("envelope") == pytest.approx(20 * np.log10(0.505), abs=0.1)


def test_the_envelope_domain_stays_above_the_darkest_pixel() -> None:
    image = np.full((40, 40), -90.0, np.float32)
    image[20, 20] = 0

    coarse = resample_to(image, (0.1, 0.1), 0.17, domain="envelope")

    assert np.isfinite(coarse).all()
    assert coarse.min() >= -90.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0.0, 0.1), 0.4), "spacing must be positive"),
        (((0.1, 0.1), -0.4), "pixel must be positive"),
        (((0.1, 0.1), np.nan), "pixel must be positive"),
    ],
)
def test_sizes_must_be_positive(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resample_to(np.zeros((8, 8), np.float32), *arguments)


def test_unknown_options_are_named() -> None:
    image = np.zeros((8, 8), np.float32)
    with pytest.raises(ValueError, match="domain must be db or envelope, got 'log'"):
        resample_to(image, (0.1, 0.1), 0.2, domain="log")
    with pytest.raises(ValueError, match="sampling must be"):
        resample_to(image, (0.1, 0.1), 0.2, sampling="nearest")


def test_a_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="2-D"):
        resample_to(np.zeros((2, 8, 8), np.float32), (0.1, 0.1), 0.2)


def test_a_coarse_image_of_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has shape \(51, 42\)"):
        resample_from(np.zeros((50, 42), np.float32), SHAPE, SPACING, PIXEL)


@settings(deadline=None, max_examples=60)
@given(shape=st.tuples(st.integers(1, 17), st.integers(1, 17)), data=st.data())
def test_splitting_and_merging_is_the_identity_for_any_shape(
    shape: tuple[int, int], data: st.DataObject
) -> None:
    steps = (
        data.draw(st.integers(1, shape[0])),
        data.draw(st.integers(1, shape[1])),
    )
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)

    images = polyphase_split(image, steps)

    assert len(images) == steps[0] * steps[1]
    np.testing.assert_array_equal(polyphase_merge(images, steps), image)


def test_interleaved_images_are_ordered_by_row_then_column() -> None:
    image = np.arange(35, dtype=np.float32).reshape(5, 7)

    images = polyphase_split(image, (2, 3))

    np.testing.assert_array_equal(images[1], image[0::2, 1::3])
    np.testing.assert_array_equal(images[3], image[1::2, 0::3])


def test_split_images_do_not_share_memory_with_the_image() -> None:
    image = np.zeros((4, 4), np.float32)

    polyphase_split(image, (1, 2))[0][...] = 1

    assert not image.any()


def test_more_steps_than_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        polyphase_split(np.zeros((3, 8), np.float32), (4, 1))


def test_images_that_do_not_interleave_are_refused() -> None:
    images = polyphase_split(np.zeros((5, 5), np.float32), (2, 2))
    with pytest.raises(ValueError, match="got 3"):
        polyphase_merge(images[:3], (2, 2))
    with pytest.raises(ValueError, match="interleaved image 3"):
        polyphase_merge([*images[:3], images[0]], (2, 2))
