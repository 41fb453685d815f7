"""The latent MAP solver against closed forms and against what breaks it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.denoising.algorithms.flow.latent_solver import LatentSolver
from napari_usflow.denoising.contract import Run
from napari_usflow.jobs import result_of
from napari_usflow.prior import load_prior
from napari_usflow.prior.glow import Glow, GlowConfig


@pytest.fixture
def linear_flow() -> Glow:
    """Couplings that shift by nothing: z = A y + b."""
    torch.manual_seed(0)
    flow = Glow(GlowConfig(patch_size=8, steps=(2, 2), hidden=(8, 8))).eval()
    with torch.no_grad():
        for module in flow.modules():
            if hasattr(module, "log_scale"):
                module.log_scale.uniform_(0.2, 0.8)
                module.bias.uniform_(-0.2, 0.2)
    return flow.requires_grad_(False)


def test_map_under_a_linear_flow_is_the_wiener_filter(linear_flow: Glow) -> None:
    sigma = 0.3
    flow = linear_flow
    y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    zero = torch.zeros(64)
    b = flow.inverse(zero[None])[0].flatten()
    a = torch.autograd.functional.jacobian(
        lambda z: flow.inverse(z[None])[0].flatten(), zero
    )
    prior_covariance = a @ a.T
    gain = prior_covariance @ torch.linalg.inv(
        prior_covariance + sigma**2 * torch.eye(64)
    )
    expected = b + (y.flatten(1) - b) @ gain.T

    solver = LatentSolver(
        flow, y, weight=sigma**2, prior_sigma=0.01, learning_rate=0.05
    )
    for _ in range(600):
        solver.step()

    torch.testing.assert_close(solver.result().flatten(1), expected, atol=5e-3, rtol=0)


def test_best_iterate_never_gets_worse(linear_flow: Glow) -> None:
    y = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    solver = LatentSolver(
        linear_flow, y, weight=0.01, prior_sigma=0.01, learning_rate=0.5
    )
    for _ in range(30):
        solver.step()
    assert all(b <= a for a, b in zip(solver.history, solver.history[1:], strict=False))
    at_best = solver.objective(solver.best_z)
    torch.testing.assert_close(at_best, solver.best, rtol=1e-4, atol=1e-4)


def test_last_step_counts(linear_flow: Glow) -> None:
    y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    solver = LatentSolver(
        linear_flow, y, weight=0.01, prior_sigma=0.01, learning_rate=0.05
    )
    start = linear_flow.inverse(torch.zeros(2, 64))
    solver.step()
    assert not torch.equal(solver.result(), start)


def test_start_from_the_code_of_noise_stays_finite() -> None:
    # From f(noise) at a high learning rate the inverse of a Glow overflows.
    flow = load_prior(device="cpu").flow
    generator = torch.Generator().manual_seed(0)
    y = 0.5 + 0.4 * torch.randn(4, 1, 32, 32, generator=generator)
    solver = LatentSolver(
        flow, y, weight=0.75 * 0.16, prior_sigma=0.01, learning_rate=0.05
    )
    solver.start_from(y)
    for _ in range(25):
        solver.step()
    assert torch.isfinite(solver.result()).all()
    assert torch.isfinite(solver.best).all()


def test_patch_that_overflows_recovers_and_others_are_not_disturbed(
    linear_flow: Glow,
) -> None:
    y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    alone = LatentSolver(
        linear_flow, y[1:], weight=0.1, prior_sigma=0.01, learning_rate=0.02
    )
    both = LatentSolver(
        linear_flow, y, weight=0.1, prior_sigma=0.01, learning_rate=0.02
    )
    for solver in (alone, both):
        solver.step()
    before = both.best_z[0].clone()
    with torch.no_grad():
        both.z[0] = torch.nan
    for solver in (alone, both):
        solver.step()
    assert torch.isfinite(both.z).all()
    torch.testing.assert_close(both.best_z[0], before)
    torch.testing.assert_close(both.best_z[1], alone.best_z[0])


def test_each_patch_ends_at_its_own_plateau(linear_flow: Glow) -> None:
    y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y[0] = linear_flow.inverse(torch.zeros(1, 64))[0]  # z = 0 is its answer

    solver = LatentSolver(
        linear_flow, y, weight=0.01, prior_sigma=0.01, learning_rate=0.05
    )
    ended = []
    while not solver.finished and len(ended) < 2000:
        before = solver.z.clone()
        solver.step()
        ended.append((solver.z == before).all(dim=1).tolist())

    # The first stops moving while the second goes on.
    assert [True, False] in ended
    assert solver.finished
    steps = len(solver.history)
    solver.step()
    assert len(solver.history) == steps


def test_patch_ends_where_its_residual_is_small_enough(linear_flow: Glow) -> None:
    y = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    enough = 0.5 * 64 * 0.1**2
    solver = LatentSolver(
        linear_flow, y, weight=1e-4, prior_sigma=0.01, learning_rate=0.02, enough=enough
    )
    while not solver.finished:
        solver.step()

    misfit = (solver.result() - y).square().flatten(1).sum(dim=1)
    assert solver.explained.all()
    # The first latents below it, not the best that could be had.
    assert (misfit <= enough * 1.001).all() and (misfit > 0.5 * enough).all()


def test_denoiser_lowers_the_error_of_a_noisy_step() -> None:
    from napari_usflow.denoising.denoise import create

    clean = np.full((32, 32), 0.3, np.float32)
    clean[:, 16:] = 0.7
    noise = np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    frame = clean + np.float32(0.1) * noise
    denoiser = create("flow-map", iterations=20, stride=32, device="cpu")
    result = result_of(denoiser.run(frame, Run(0.1)))
    assert np.square(result - clean).mean() < 0.4 * np.square(frame - clean).mean()


def test_speckle_likelihood_smooths_speckle_and_keeps_its_level() -> None:
    from napari_usflow.denoising.denoise import create

    rng = np.random.default_rng(0)
    speckle = np.log(rng.exponential(size=(32, 32))) / (6 * np.log(10))
    frame = (0.6 + speckle).astype(np.float32)
    clean = {
        likelihood: result_of(
            create(
                "flow-map", likelihood=likelihood, iterations=12, stride=32,
                device="cpu",
            ).run(frame, Run(5.57 / 60))
        )
        for likelihood in ("gaussian", "speckle")
    }  # fmt: skip

    assert clean["speckle"].std() < 0.5 * frame.std()
    # The level is that of the frame, not of its mean intensity.
    assert clean["speckle"].mean() == pytest.approx(frame.mean(), abs=0.1 / 60)
    assert not np.array_equal(clean["speckle"], clean["gaussian"])


def test_speckle_misfit_of_many_looks_is_the_squared_difference() -> None:
    from napari_usflow.denoising.algorithms.flow.latent_map import _misfit
    from napari_usflow.denoising.algorithms.flow.speckle_likelihood import (
        SpeckleLikelihood,
    )

    sigma = 0.2 / 60
    y = torch.linspace(-sigma, sigma, 9)
    misfit = _misfit(SpeckleLikelihood.of_noise(sigma, 60.0), sigma)

    torch.testing.assert_close(misfit(y, 0 * y), y**2, rtol=0.03, atol=1e-12)
