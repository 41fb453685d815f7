"""OBNLM as a denoiser: grey values, what h means, and what stays the same."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.blockwise_nlm import BlockMeans
from napari_usflow.denoising.algorithms.obnlm import OBNLM
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create, denoise
from napari_usflow.jobs import CancelToken, Note, result_of


def run(frame: np.ndarray, sigma: float = 0.1, **params) -> np.ndarray:
    denoiser = create("obnlm", **params)
    return result_of(denoiser.run(frame, Run(sigma)))


@pytest.fixture
def noisy(step_image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.1, step_image.shape)
    return (step_image + noise).astype(np.float32)


def test_is_the_filter_of_8_bit_grey_raised_by_100(noisy: np.ndarray) -> None:
    """With h in multiples of the noise of eta, 25.5 / sqrt(227.5), at mid grey."""
    u = 255 * np.clip(noisy.astype(np.float64), 0, None) + 100
    filter_ = BlockMeans(search=7, block=3, step=2, h=0.8 * 25.5 / np.sqrt(227.5))
    expected = (result_of(filter_.run(u, u, CancelToken())) - 100) / 255

    filtered = run(np.clip(noisy, 0, None), 0.1, h=0.8, center="one")

    np.testing.assert_allclose(filtered, expected, atol=1e-5)


@pytest.mark.parametrize(
    "params", [{}, {"center": "one", "h": 0.9}, {"mean_test": 0.8}]
)
def test_noise_falls_to_a_third_and_the_edge_stays(noisy: np.ndarray, params) -> None:
    clean = run(noisy, **params)

    ground, disk = clean[:10], clean[26:38, 26:38]
    assert ground.std() < 0.033 and disk.std() < 0.033
    assert disk.mean() - ground.mean() == pytest.approx(0.5, abs=0.03)


def test_more_noise_is_met_with_more_smoothing(noisy: np.ndarray) -> None:
    removed = [float((noisy - run(noisy, sigma)).std()) for sigma in (0.02, 0.06, 0.1)]

    assert removed[0] < removed[1] < removed[2]


def test_what_lies_below_black_is_averaged_but_compared_as_black() -> None:
    """A null outweighs no neighbour, and its own depth is not cut off."""
    frame = np.full((30, 30), -0.2, np.float32)
    frame[15, 15] = -1.0

    filtered = run(frame, center="one")

    # All blocks look alike, so each pixel is the plain mean of 15 x 15.
    assert filtered[15, 15] == pytest.approx(-0.2 - 0.8 / 225, abs=1e-6)


@pytest.mark.parametrize(("gain", "offset"), [(3.0, 0.0), (1.0, -17.0), (0.2, 5.0)])
def test_gain_and_offset_do_not_matter_if_the_range_follows(
    noisy: np.ndarray, gain: float, offset: float
) -> None:
    run_ = partial(denoise, method="obnlm", sigma=0.1)
    plain = run_(noisy, value_range=(0.0, 1.0))

    other = run_(gain * noisy + offset, value_range=(offset, gain + offset))

    np.testing.assert_allclose((other - offset) / gain, plain, atol=2e-5)


def test_step_larger_than_a_block_is_reduced_and_said(noisy: np.ndarray) -> None:
    denoiser = create("obnlm", block_radius=1, step=5)

    events = list(denoiser.run(noisy, Run(0.1)))

    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == [
        "blocks of 3 px every 5 px would leave gaps: a step of 3 px is used"
    ]
    np.testing.assert_array_equal(
        run(noisy, block_radius=1, step=5), run(noisy, block_radius=1, step=3)
    )


def test_docstring_says_whose_method_it_is() -> None:
    assert "independent implementation" in str(OBNLM.__doc__)
    assert "patent family of INRIA" in str(OBNLM.__doc__)
