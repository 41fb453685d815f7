"""The posterior's standard deviation against closed forms and against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import napari_usflow as usf
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import uncertainty_events, uncertainty_measure
from napari_usflow.denoising.uncertainty.posterior_std import (
    posterior_std_events,
    posterior_variance,
)
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Note, Progress, result_of
from napari_usflow.prior import FlowPrior, load_prior
from napari_usflow.prior.glow import Glow, GlowConfig
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage


@pytest.fixture
def linear_flow() -> Glow:
    """Couplings that shift by nothing: z = A y + b, so p(y) is Gaussian."""
    torch.manual_seed(0)
    flow = Glow(GlowConfig(patch_size=8, steps=(2, 2), hidden=(8, 8))).eval()
    with torch.no_grad():
        for module in flow.modules():
            if hasattr(module, "log_scale"):
                module.log_scale.uniform_(0.2, 0.8)
    return flow.requires_grad_(False)


def test_every_pixel_probed_alone_gives_the_gaussian_posterior(
    linear_flow: Glow,
) -> None:
    sigma = 0.1
    y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    a = torch.autograd.functional.jacobian(
        lambda v: linear_flow(v.reshape(1, 1, 8, 8), sigma)[0][0], torch.zeros(64)
    )
    # -log p(y) = |A y + b|^2 / 2 + const.: the Hessian of log p is -A^T A.
    expected = sigma**2 - sigma**4 * torch.diag(a.T @ a)

    *_, found = posterior_variance(
        linear_flow, y, sigma, torch.ones_like(y), token=CancelToken(), spacing=8
    )

    torch.testing.assert_close(
        found.flatten(1), expected.expand(2, 64), rtol=1e-4, atol=1e-7
    )


def test_errors_are_as_large_as_they_are_said_to_be() -> None:
    """On a drawn scene with white Gaussian noise, with the shipped prior."""
    sigma = 0.1
    z, x = np.mgrid[:64, :64]
    clean = np.where(np.hypot(z - 28, x - 34) < 14, 0.25, 0.6) + 0.002 * z
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    frame = (clean + sigma * noise).astype(np.float32)
    token = CancelToken()

    std = result_of(
        posterior_std_events(
            load_prior(device="cpu"), frame, sigma=sigma, stride=32, token=token
        )
    )
    mean = result_of(
        create("flow", stride=32, device="cpu").run(frame, Run(sigma, token=token))
    )

    assert (std.shape, std.dtype) == (clean.shape, np.float32)
    assert np.std((mean - clean) / std) == pytest.approx(1.0, abs=0.4)
    edge = np.abs(np.hypot(z - 28, x - 34) - 14) < 1.5
    assert std[edge].mean() > 1.3 * std[~edge].mean()


def test_progress_is_whole_and_cancel_stops_between_probes() -> None:
    flow = Glow(GlowConfig(patch_size=8, steps=(1,), hidden=(4,))).eval()
    prior = FlowPrior(flow, {"pixel_mm": 0.4375}, "small", "0" * 64)
    frame = np.random.default_rng(0).random((9, 12), dtype=np.float32)

    def run(token: CancelToken):
        return posterior_std_events(
            prior, frame, sigma=0.1, stride=8, batch_size=2, token=token
        )

    done = [(e.done, e.total) for e in run(CancelToken()) if isinstance(e, Progress)]
    assert done == sorted(done) and done[-1][0] == done[-1][1]
    token = CancelToken()
    events = run(token)
    next(events), next(events)
    token.cancel()
    with pytest.raises(Cancelled):
        next(events)


def test_image_gets_a_standard_deviation_in_its_own_values(tiny_prior: Path) -> None:
    """The same picture in decibels and in grey, on a finer pixel, two frames."""
    db = -60 * np.random.default_rng(0).random((2, 24, 20), dtype=np.float32)
    spacing = (0.2, 0.4375)
    grid = PixelGrid((24, 20), spacing, (0.0, 0.0))
    asked = {"sigma": 5 / 60, "weights": tiny_prior, "device": "cpu"}

    in_db = usf.uncertainty(UltrasoundImage(db, "db", grid), **asked)
    in_grey = usf.uncertainty(
        (db + 60) * 255 / 60,
        pixel_size_mm=spacing,
        value_range=(0, 255),
        **asked,
    )

    assert (in_db.shape, in_db.dtype) == ((2, 24, 20), np.float32)
    assert (in_db > 0).all()
    assert in_grey.shape == (2, 24, 20)
    np.testing.assert_allclose(in_grey, in_db * 255 / 60, rtol=1e-3)


def test_decibels_are_given_where_they_are_asked_for(tiny_prior: Path) -> None:
    grid = PixelGrid((20, 20), (0.4375, 0.4375), (0.0, 0.0))
    grey = 255 * np.random.default_rng(0).random((1, 20, 20), dtype=np.float32)
    image = UltrasoundImage(grey, "display", grid)

    own, decibels = (
        list(
            uncertainty_events(
                image,
                Settings(dynamic_range_db=50.0),
                uncertainty_measure(weights=tiny_prior, device="cpu"),
                decibels=wanted,
            )
        )
        for wanted in (False, True)
    )

    np.testing.assert_allclose(decibels[-1].data, own[-1].data * 50 / 255, rtol=1e-5)
    said = [event.text for event in own if isinstance(event, Note)]
    assert said == [f"noise level estimated: {own[-1].info['sigma_db']:.1f} dB"]


def test_image_that_cannot_be_denoised_has_no_uncertainty(tiny_prior: Path) -> None:
    frame = np.full((12, 12), 0.5, np.float32)
    frame[3, 4] = np.inf

    with pytest.raises(ValueError, match="1 infinite"):
        usf.uncertainty(frame, sigma=0.1, value_range=(0, 1), weights=tiny_prior)


@pytest.mark.parametrize(
    ("metadata", "order", "said"),
    [
        ({"not_for_denoising": "it holds velocities"}, None, "it holds velocities"),
        ({}, [0, 2], "no frame 2 in a stack of 2"),
        ({}, [-1], "no frame -1 in a stack of 2"),
    ],
)
def test_what_is_not_denoised_has_no_uncertainty(
    tiny_prior: Path, metadata: dict[str, str], order: list[int] | None, said: str
) -> None:
    grid = PixelGrid((12, 12), (0.4375, 0.4375), (0.0, 0.0))
    frames = np.full((2, 12, 12), -20, np.float32)
    image = UltrasoundImage(frames, "db", grid, metadata=metadata)
    measure = uncertainty_measure(weights=tiny_prior)

    with pytest.raises(ValueError, match=said):
        list(uncertainty_events(image, Settings(), measure, order=order))
