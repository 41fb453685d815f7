"""The mathematics of the flow: inverse, density, gradients, posterior mean."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from napari_usflow.prior.conditioner import Conditioner
from napari_usflow.prior.convolution import convolve, input_gradients_only
from napari_usflow.prior.glow import Glow, GlowConfig
from napari_usflow.prior.layers import squeeze, unsqueeze
from toy_models import randomise

CONFIGS = {
    "one level": GlowConfig(patch_size=8, steps=(3,), hidden=(16,)),
    "two levels": GlowConfig(patch_size=8, steps=(2, 2), hidden=(8, 12)),
    "dips": GlowConfig(patch_size=8, steps=(2, 2), hidden=(8, 12), depth=(2, 1)),
    "as published": GlowConfig(
        patch_size=8,
        steps=(2, 2),
        hidden=(8, 12),
        conditional=False,
        activation="relu",
        smallest_scale=0.0,
    ),
    "three levels": GlowConfig(patch_size=32, steps=(2, 2, 2), hidden=(16, 16, 16)),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def flow(request: pytest.FixtureRequest) -> Glow:
    torch.manual_seed(1)
    return randomise(Glow(request.param))


def patches(flow: Glow, count: int = 3) -> torch.Tensor:
    size = flow.config.patch_size
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.4])
def test_inverse_undoes_forward_at_every_noise_level(flow: Glow, sigma: float) -> None:
    y = patches(flow)
    z, _ = flow(y, sigma)
    torch.testing.assert_close(flow.inverse(z, sigma), y, atol=1e-5, rtol=0)


def test_forward_undoes_inverse(flow: Glow) -> None:
    z = torch.randn(3, flow.dimension, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(flow(flow.inverse(z))[0], z, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sigma", [0.02, 0.3])
def test_log_determinant_is_that_of_the_autograd_jacobian(
    toy_flow: Glow, sigma: float
) -> None:
    flow = toy_flow.double()
    flow.set_compute_dtype(torch.float64)
    y = patches(flow, 1).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda v: flow(v.reshape(1, 1, 8, 8), sigma)[0][0], y.flatten()
    )
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(flow(y, sigma)[1][0], expected, atol=1e-6, rtol=0)


def test_noise_level_changes_the_density(toy_flow: Glow) -> None:
    y = patches(toy_flow, 1)
    assert (
        abs(float((toy_flow.log_prob(y, 0.01) - toy_flow.log_prob(y, 0.4)).detach()))
        > 0.1
    )


def test_density_of_a_linear_flow_is_the_gaussian_one() -> None:
    flow, covariance, mean = _whitening_flow(sigma=0.2)
    y = patches(flow, 4).double()
    normal = torch.distributions.MultivariateNormal(mean, covariance)
    expected = normal.log_prob(y.flatten(1))
    torch.testing.assert_close(flow.log_prob(y, 0.2), expected, atol=1e-8, rtol=0)


def test_posterior_mean_of_a_gaussian_prior_is_the_wiener_estimate() -> None:
    sigma = 0.2
    flow, covariance, mean = _whitening_flow(sigma)
    y = patches(flow, 4).double()
    clean = covariance - sigma**2 * torch.eye(flow.dimension, dtype=torch.float64)
    gain = clean @ torch.linalg.inv(covariance)
    expected = mean + (y.flatten(1) - mean) @ gain.T
    estimate, _ = flow.posterior_mean(y, sigma)
    torch.testing.assert_close(estimate.flatten(1), expected, atol=1e-8, rtol=0)


def test_posterior_mean_trains_every_weight(toy_flow: Glow) -> None:
    y = patches(toy_flow)
    estimate, _ = toy_flow.posterior_mean(y, 0.1, create_graph=True)
    estimate.square().mean().backward()
    idle = [
        name
        for name, p in toy_flow.named_parameters()
        if p.grad is None or not bool(p.grad.abs().sum() > 0)
    ]
    # A channel's scale adds a constant to log p, but it also scales z.
    assert not idle


def test_gradient_of_the_posterior_mean_agrees_with_finite_differences(
    toy_flow: Glow,
) -> None:
    flow = toy_flow.double()
    flow.set_compute_dtype(torch.float64)
    y = patches(flow, 2).double()
    weight = flow.levels[0][0].coupling.net.enter.weight

    def loss() -> torch.Tensor:
        return flow.posterior_mean(y, 0.3, create_graph=True)[0].square().mean()

    flow.zero_grad()
    loss().backward()
    assert weight.grad is not None
    gradient, step = weight.grad[0, 0, 1, 1].item(), 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0, 1, 1] += sign * step
        values.append(loss().item())
        with torch.no_grad():
            weight[0, 0, 1, 1] -= sign * step
    assert gradient == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_actnorm_makes_its_first_batch_standard_and_stays_so_after_loading() -> None:
    torch.manual_seed(0)
    flow = Glow(GlowConfig(patch_size=8, steps=(1,), hidden=(8,))).train()
    y = 3.0 + 2.0 * torch.rand(64, 1, 8, 8)
    flow(y)
    norm = flow.levels[0][0].actnorm
    normalised = (squeeze(y) + norm.bias[:, None, None]) * norm.log_scale.exp()[
        :, None, None
    ]
    assert normalised.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (normalised.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-3

    other = Glow(flow.config).train()
    other.load_state_dict(flow.state_dict())
    other(100.0 + y)

    torch.testing.assert_close(other.levels[0][0].actnorm.bias, norm.bias)


def test_new_flow_scales_by_the_papers_sigmoid() -> None:
    flow = Glow(GlowConfig(patch_size=8, steps=(1,), hidden=(8,))).eval()
    s, _, t = flow.levels[0][0].coupling._scale_and_shift(
        torch.rand(1, 2, 4, 4), torch.zeros(32)
    )
    offset = flow.levels[0][0].coupling.net.leave.bias.chunk(2)[0]
    sigmoid = torch.sigmoid(offset + 2.0)
    expected = (0.05 + 0.95 * sigmoid)[:, None, None].expand(2, 4, 4)
    torch.testing.assert_close(s[0], expected)
    assert t.abs().max() < 0.5


def test_published_coupling_scales_by_the_sigmoid_itself() -> None:
    # van de Schaft and van Sloun, section III-C: s = S(log s + 2), with no floor.
    flow = randomise(Glow(CONFIGS["as published"]))
    coupling = flow.levels[0][0].coupling
    a2 = torch.rand(3, 2, 4, 4)
    u, shift = coupling.net(a2, torch.zeros(0)).chunk(2, dim=1)

    s, log_s, t = coupling._scale_and_shift(a2, torch.zeros(0))

    torch.testing.assert_close(s, 1 / (1 + torch.exp(-(u + 2))))
    torch.testing.assert_close(log_s, s.log())
    torch.testing.assert_close(t, shift)


def test_log_determinant_of_a_published_coupling_never_overflows() -> None:
    coupling = Glow(CONFIGS["as published"]).levels[0][0].coupling
    with torch.no_grad():
        coupling.net.leave.condition.bias.chunk(2)[1][:2] = -200.0
    log_det = coupling(torch.rand(1, 4, 4, 4), torch.zeros(0))[1]
    # Two channels of 4 x 4 pixels, log sigmoid(-198) = -198.
    assert log_det.item() == pytest.approx(-198 * 2 * 16)


def test_log_determinant_of_the_published_flow_is_that_of_the_jacobian() -> None:
    flow = randomise(Glow(CONFIGS["as published"])).double()
    flow.set_compute_dtype(torch.float64)
    y = patches(flow, 1).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda v: flow(v.reshape(1, 1, 8, 8))[0][0], y.flatten()
    )
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(flow(y)[1][0], expected, atol=1e-6, rtol=0)


def test_flow_without_noise_levels_has_no_weights_for_them() -> None:
    flow = Glow(CONFIGS["as published"])
    assert not [name for name, _ in flow.named_parameters() if name.startswith("embed")]
    assert all(
        layer.weight.numel() == 0
        for layer in flow.modules()
        if isinstance(layer, torch.nn.Linear)
    )


def test_squeeze_keeps_neighbours_together() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert squeeze(x)[0, :, 0, 0].tolist() == [0.0, 1.0, 4.0, 5.0]
    assert torch.equal(unsqueeze(squeeze(x)), x)


@pytest.mark.parametrize("size", [(5, 6), (3, 4)], ids=["map", "small map"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_convolution_and_its_two_derivatives_are_those_of_torch(
    kernel: int, size: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(0)
    x, w, b = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, *size), (4, 3, kernel, kernel), (4,))
    )
    torch.testing.assert_close(
        convolve(x, w, b), F.conv2d(x, w, b, padding=kernel // 2)
    )
    assert torch.autograd.gradcheck(convolve, (x, w, b))
    assert torch.autograd.gradgradcheck(convolve, (x, w, b))


def test_input_gradients_only_ends_with_its_block() -> None:
    x = torch.rand(1, 1, 4, 4, requires_grad=True)
    w = torch.rand(1, 1, 3, 3, requires_grad=True)
    y = convolve(x, w, torch.zeros(1))
    with input_gradients_only():
        torch.autograd.grad(y.sum(), x, retain_graph=True)
    assert torch.autograd.grad(y.sum(), w)[0].abs().sum() > 0


def test_checkpointing_changes_no_gradient(toy_flow: Glow) -> None:
    z = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    gradients = []
    for checkpointing in (False, True):
        latents = z.clone().requires_grad_(True)
        toy_flow.inverse(
            latents, 0.1, checkpointing=checkpointing
        ).square().sum().backward()
        gradients.append(latents.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_patch_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be halved 3 times"):
        GlowConfig(patch_size=12, steps=(1, 1, 1), hidden=(8, 8, 8))


def _whitening_flow(sigma: float) -> tuple[Glow, torch.Tensor, torch.Tensor]:
    """A flow without couplings' shifts is linear: z = A y + b, so y is Gaussian."""
    torch.manual_seed(4)
    flow = Glow(GlowConfig(patch_size=8, steps=(2, 2), hidden=(8, 8))).double().eval()
    with torch.no_grad():
        for module in flow.modules():
            if isinstance(module, Conditioner):
                module.leave.weight.zero_()
            if hasattr(module, "log_scale"):
                # Large scales, so that the noise is a part of the covariance.
                module.log_scale.fill_(math.log(1.6) + 0.1)
                module.bias.uniform_(-0.3, 0.3)
        zero = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
        b = flow(zero, sigma)[0][0]
        a = torch.autograd.functional.jacobian(
            lambda v: flow(v.reshape(1, 1, 8, 8), sigma)[0][0], zero.flatten()
        )
        inverse = torch.linalg.inv(a)
    return flow, inverse @ inverse.T, -inverse @ b
