"""A network against the flow and against itself, on what can be foretold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import uncertainty_events, uncertainty_measure
from napari_usflow.denoising.uncertainty.network_disagreement import (
    STRONG,
    Disagreement,
    Spread,
    smoothed_difference,
    strong_sentence,
)
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, FrameDone, Progress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

PIXEL = (0.4375, 0.4375)


class Down(Denoiser):
    """Adds a slope down the frame, whichever way that is turned; or a constant."""

    name, title, Params = "down", "Down", object

    def __init__(self, slope: float = 0.0, constant: float = 0.0) -> None:
        self.params, self.weights, self.device = None, None, "cpu"
        self._slope, self._constant = slope, constant

    def run(self, frame, run):
        yield Progress(1, 1)
        rows = np.linspace(-1, 1, frame.shape[0], dtype=np.float32)
        return frame + self._slope * rows[:, None] + np.float32(self._constant)

    def provenance(self):
        return {"method": "down"}


def image(frame: np.ndarray, values: str = "display") -> UltrasoundImage:
    grid = PixelGrid(frame.shape, PIXEL, (0.0, 0.0))
    return UltrasoundImage(frame[None].astype(np.float32), values, grid)


def found(frame: np.ndarray, measure, **settings) -> FrameDone:
    chosen = Settings(**{"sigma_db": 5.0, "value_range": (0.0, 1.0), **settings})
    *_, last = uncertainty_events(image(frame), chosen, measure)
    return last


def disagreement(network: Denoiser, flow: Denoiser) -> Disagreement:
    measure = Disagreement(network, device="cpu")
    measure._flow = flow
    return measure


def test_spread_is_that_of_the_eight_turns() -> None:
    """A slope s z turned: +-s z and +-s x, twice each; variance (z^2 + x^2) s^2 / 2.

    Its average over a Gaussian of w is larger by s^2 w^2.
    """
    axis = np.linspace(-1, 1, 41)
    w = 0.6 / 0.4375 * (axis[1] - axis[0])
    expected = 0.1 * np.sqrt((axis[:, None] ** 2 + axis**2) / 2 + w**2)

    done = found(np.full((41, 41), 0.5), Spread(Down(slope=0.1)))

    inner = slice(6, -6)
    np.testing.assert_allclose(done.data[inner, inner], expected[inner, inner], 2e-3)


def test_frame_that_is_not_square_is_turned_back_to_its_place() -> None:
    frame = np.random.default_rng(0).random((12, 19))

    assert found(frame, Spread(Down(constant=0.2))).data.max() < 1e-6


def test_offset_between_network_and_flow_does_not_count() -> None:
    frame = 0.3 + 0.4 * np.random.default_rng(0).random((24, 20))

    done = found(frame, disagreement(Down(constant=0.2), Down()))

    assert done.data.max() < 1e-6
    assert done.info["strong"]["share"] == 0


def test_below_black_there_is_nothing_to_disagree_on() -> None:
    done = found(
        np.full((24, 20), -0.5), disagreement(Down(slope=0.3), Down()), sigma_db=5.0
    )

    assert not done.data.any()


def test_slow_difference_is_given_as_it_is_and_grain_is_not() -> None:
    rows = np.broadcast_to(np.linspace(-0.3, 0.3, 61)[:, None], (61, 61))
    grain = 0.1 * (-1.0) ** np.add.outer(np.arange(62), np.arange(62))

    slow = smoothed_difference(rows, PIXEL)
    fine = smoothed_difference(grain, PIXEL)

    # Of the slope a the mean of its square over a Gaussian of s is x^2 + (a s)^2.
    around = np.hypot(rows, 0.01 * 0.6 / 0.4375)
    np.testing.assert_allclose(slow[9:-9, 9:-9], around[9:-9, 9:-9], atol=5e-4)
    # A Gaussian of s leaves 4 exp(-(pi s)^2) of what alternates along both axes: its
    # samples' spectrum is that of the Gaussian at pi, and as much at -pi.
    left = 4 * np.exp(-((np.pi * 0.3 / 0.4375) ** 2))
    np.testing.assert_allclose(fine[20:-20, 20:-20], 0.1 * left, rtol=0.15)


@pytest.mark.parametrize(
    ("sigma_db", "above_db"),
    [(5.57, 60 * STRONG), (2.0, 2.0), (0.1, 1.2)],
    ids=["range", "noise", "least"],
)
def test_share_of_strong_disagreement_is_told(sigma_db: float, above_db: float) -> None:
    """A quarter of the frame differs by 12 dB; its rims are smoothed."""

    class Quarter(Down):
        def run(self, frame, run):
            yield Progress(1, 1)
            result = frame.copy()
            result[:40, :40] += 0.2
            return result

    done = found(
        np.full((80, 80), 0.5), disagreement(Quarter(), Down()), sigma_db=sigma_db
    )

    strong = done.info["strong"]
    assert strong["above_db"] == pytest.approx(above_db)
    assert strong["share"] == pytest.approx(0.25, abs=0.045)
    sentence = strong_sentence([done.info, done.info])
    assert sentence.startswith(
        f"network and flow disagree by more than {above_db:.1f} dB on 2"
    )
    assert strong_sentence([{"sigma": 0.1}]) == ""


@pytest.mark.parametrize("sigma", [0.1, None])
def test_public_function_compares_the_network_with_the_flow(
    network_path: Path, sigma: float | None
) -> None:
    """Of a network that was never trained; the flow has the shipped prior.

    Of the results that both give when they are asked to denoise: the network is told
    no level that was only measured.
    """
    frame = np.random.default_rng(0).random((40, 36), dtype=np.float32)
    asked = {"sigma": sigma, "value_range": (0, 1), "device": "cpu"}

    told = usf.uncertainty(
        frame, method="realtime", kind="disagreement", weights=network_path, **asked
    )

    network = usf.denoise(frame, method="realtime", weights=network_path, **asked)
    flow = usf.denoise(frame, method="flow", stride=15, **asked)
    difference = np.maximum(network, 0) - np.maximum(flow, 0)
    np.testing.assert_allclose(told, smoothed_difference(difference, PIXEL), atol=1e-4)


def test_kind_that_a_method_has_not_is_refused(network_path: Path) -> None:
    with pytest.raises(ValueError, match=r"flow has no uncertainty 'spread'.*std"):
        uncertainty_measure("flow", "spread")
    with pytest.raises(ValueError, match=r"nlm has no uncertainty; best, .*flow"):
        uncertainty_measure("nlm")
    measure = uncertainty_measure("realtime", "spread", weights=network_path)
    assert measure.provenance()["network"] == network_path.stem


def test_cancel_stops_before_the_next_turn(network_path: Path) -> None:
    token = CancelToken()
    measure = uncertainty_measure(
        "realtime", "spread", weights=network_path, device="cpu"
    )
    events = uncertainty_events(
        image(np.full((20, 20), 0.5)), Settings(sigma_db=5.0), measure, token=token
    )
    assert next(events).done == 1
    token.cancel()

    with pytest.raises(Cancelled):
        next(events)


def test_every_method_with_a_spread_has_one_that_is_not_nothing(
    network_path: Path,
) -> None:
    """A mean over the eight turns would have none; its members have."""
    frame = np.random.default_rng(0).random((24, 20))
    named = [n for n in usf.methods() if "spread" in method_class(n).uncertainties]
    assert "realtime" in named

    for name in named:
        measure = uncertainty_measure(
            name, "spread", weights=network_path, device="cpu"
        )
        assert found(frame, measure).data.mean() > 1e-4


def test_network_that_is_asked_for_is_the_one_that_is_looked_at() -> None:
    named = [
        uncertainty_measure("realtime", "spread", device="cpu", noise=noise)
        for noise in ("speckle", "white")
    ]
    assert [measure.provenance()["network"] for measure in named] == [
        "realtime",
        "realtime-white",
    ]


def test_network_that_suits_the_noise_is_looked_at() -> None:
    """As for denoising: left to itself, white noise is for the network for that."""
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64)).astype(np.float32)

    auto, white = (
        usf.uncertainty(noisy, method="realtime", noise=noise, device="cpu")
        for noise in ("auto", "white")
    )

    np.testing.assert_array_equal(auto, white)
