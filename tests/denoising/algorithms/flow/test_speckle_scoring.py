"""The flow under the speckle likelihood, on speckle whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create, denoise
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Progress, result_of
from napari_usflow.ultrasound.simulate.speckle import simulate_speckle
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

SIGMA = SPECKLE_DB / 60


def run(method: str, frame: np.ndarray, *, seed: int = 0, **params) -> np.ndarray:
    denoiser = create(method, device="cpu", **params)
    return result_of(denoiser.run(frame, Run(SIGMA, seed=seed)))


def speckled(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    return simulate_speckle(picture, seed=seed) / 60 + 1


def stripes() -> np.ndarray:
    """Three pixels wide, 18 dB apart: the point-spread function fills them."""
    x = np.arange(48)
    return np.tile(0.6 + 0.15 * np.sign(np.cos(2 * np.pi * x / 6)), (48, 1))


@pytest.fixture(scope="module")
def deconvolved() -> np.ndarray:
    """Made of the stripes' speckle with the width that is measured in it."""
    return run("flow-speckle", speckled(stripes()), stride=24)


def test_pure_speckle_comes_out_flat_and_at_its_level() -> None:
    frame = speckled(np.full((48, 48), 0.6))

    clean = run("flow-speckle", frame, stride=24)

    assert 60 * clean[8:-8, 8:-8].std() < 0.8
    # Of a homogeneous frame the mean of the decibels is kept.
    assert 60 * (clean.mean() - frame.mean()) == pytest.approx(0.0, abs=0.01)
    assert 60 * (frame - clean).std() == pytest.approx(SPECKLE_DB, rel=0.05)


def test_speckle_likelihood_and_deconvolution_each_lower_the_error(
    deconvolved: np.ndarray,
) -> None:
    picture = stripes()
    frame = speckled(picture)

    gaussian, speckle, both = (
        np.std(clean - picture)  # the level is free
        for clean in (
            run("flow", frame, stride=24),
            run("flow-speckle", frame, stride=24, deconvolve=False),
            deconvolved,
        )
    )

    assert speckle < 0.98 * gaussian
    assert both < 0.98 * speckle


def test_point_spread_function_that_is_told_serves_like_the_measured_one(
    deconvolved: np.ndarray,
) -> None:
    """Told the simulation's own width it does as well; told half of it, worse."""
    picture = stripes()
    frame = speckled(picture)
    full_width = 2 * np.sqrt(2 * np.log(2))

    told, half = (
        np.std(run("flow-speckle", frame, stride=24, **widths) - picture)
        for widths in (
            {
                "point_spread_axial_mm": share * full_width * 0.25,
                "point_spread_lateral_mm": share * full_width * 0.3,
            }
            for share in (1.0, 0.5)
        )
    )

    assert told < 1.01 * np.std(deconvolved - picture)
    assert half > 1.05 * told


def test_widths_are_told_in_millimetres_of_the_frames_own_pixel() -> None:
    frame = speckled(np.full((32, 32), 0.5))
    clean = []
    for scale in (1.0, 0.5):
        width = {
            "point_spread_axial_mm": 0.7 * scale,
            "point_spread_lateral_mm": 0.9 * scale,
        }
        denoiser = create("flow-speckle", device="cpu", passes=1, stride=32, **width)
        clean.append(
            result_of(
                denoiser.run(frame, Run(SIGMA, pixel_mm=(0.4 * scale, 0.5 * scale)))
            )
        )

    np.testing.assert_allclose(clean[0], clean[1], atol=1e-6)


def test_same_seed_gives_the_same_frame_and_progress_ends() -> None:
    frame = speckled(np.full((40, 33), 0.5))
    denoiser = create("flow-speckle", device="cpu", passes=1, stride=32)

    events = list(denoiser.run(frame, Run(SIGMA, seed=3)))

    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done) and done[-1] == events[-1].total
    first, second = (
        run("flow-speckle", frame, seed=3, passes=1, stride=32) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_cancel_stops_in_a_later_pass() -> None:
    token = CancelToken()
    denoiser = create("flow-speckle", device="cpu", stride=32, batch_size=1)
    events = denoiser.run(speckled(np.full((32, 32), 0.5)), Run(SIGMA, token=token))
    next(events), next(events)
    token.cancel()
    with pytest.raises(Cancelled):
        next(events)


def test_dynamic_range_of_the_image_counts() -> None:
    """The same decibels in other value ranges give the same decibels."""
    frame_db = simulate_speckle(np.full((40, 40), 0.6), seed=0)
    clean = [
        denoise(
            frame_db,
            method="flow-speckle",
            sigma=SPECKLE_DB / span,
            value_range=(-span, 0.0),
            passes=1,
            device="cpu",
        )
        for span in (60.0, 80.0)
    ]

    assert clean[0].mean() == pytest.approx(clean[1].mean(), abs=0.1)
    assert clean[1].std() < 0.3 * frame_db.std()
