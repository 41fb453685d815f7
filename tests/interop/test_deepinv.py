"""A method under deepinv's contract for denoisers."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

import napari_usflow as usf
from napari_usflow.interop.deepinv import load_deepinv

SIGMA = 0.1


@pytest.fixture
def clean() -> torch.Tensor:
    """Three grey images of bars, (3, 1, 32, 40)."""
    bars = 0.3 + 0.4 * ((torch.arange(40) // 10) % 2).float()
    return bars.expand(3, 1, 32, 40).clone()


def noisy(clean: torch.Tensor, sigma: float = SIGMA) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return clean + sigma * torch.randn(clean.shape, generator=generator)


@pytest.mark.parametrize("method", ["best", "realtime", "nlm", "tv"])
def test_noise_is_less_and_shape_and_type_are_kept(method: str, clean) -> None:
    result = usf.DeepinvDenoiser(method)(noisy(clean), SIGMA)

    assert (result.shape, result.dtype, result.device) == (
        clean.shape,
        clean.dtype,
        clean.device,
    )
    assert (result - clean).std() < 0.6 * SIGMA


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_type_of_numbers_is_that_of_the_input(dtype: torch.dtype, clean) -> None:
    assert usf.DeepinvDenoiser("tv")(clean.to(dtype), SIGMA).dtype == dtype


@pytest.mark.parametrize(
    "sigma",
    [
        SIGMA,
        torch.tensor(SIGMA),
        torch.tensor([SIGMA]),
        torch.full((3,), SIGMA),
        torch.full((3, 1, 1, 1), SIGMA),
    ],
    ids=["float", "scalar", "one", "each", "broadcast"],
)
def test_every_form_of_the_noise_level_means_the_same(sigma, clean) -> None:
    denoiser = usf.DeepinvDenoiser("nlm")

    result = denoiser(noisy(clean), sigma)

    torch.testing.assert_close(result, denoiser(noisy(clean), SIGMA))


def test_each_image_has_its_own_level(clean) -> None:
    denoiser, images = usf.DeepinvDenoiser("nlm"), noisy(clean)

    result = denoiser(images, torch.tensor([0.0, 0.05, 0.2]))

    torch.testing.assert_close(result[0], images[0])
    torch.testing.assert_close(result[1:2], denoiser(images[1:2], 0.05))
    torch.testing.assert_close(result[2:], denoiser(images[2:], 0.2))


def test_channels_are_denoised_one_by_one(clean) -> None:
    denoiser, images = usf.DeepinvDenoiser("nlm"), noisy(clean)

    together = denoiser(images.transpose(0, 1), SIGMA)

    torch.testing.assert_close(together.transpose(0, 1), denoiser(images, SIGMA))


def test_no_gradient_passes_through(clean) -> None:
    images = noisy(clean).requires_grad_()

    assert not usf.DeepinvDenoiser("tv")(images, SIGMA).requires_grad


@pytest.mark.parametrize(
    ("shape", "sigma", "said"),
    [
        ((32, 32), 0.1, "expected .B, C, H, W."),
        ((2, 1, 32, 32), [0.1, 0.1, 0.1], "each of the 2 images"),
        ((2, 1, 32, 32), -0.1, "expected one number >= 0"),
    ],
)
def test_wrong_shapes_and_levels_are_named(shape, sigma, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        usf.DeepinvDenoiser("tv")(torch.zeros(shape), torch.tensor(sigma))


def test_unknown_method_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no method 'magic'"):
        usf.DeepinvDenoiser("magic")


@pytest.mark.skipif(not find_spec("deepinv"), reason="deepinv is not installed")
def test_solver_of_deepinv_takes_it(clean) -> None:
    deepinv = load_deepinv()
    denoiser = usf.DeepinvDenoiser("nlm")
    assert isinstance(denoiser, deepinv.models.Denoiser)
    mask = (torch.rand(clean.shape[1:], generator=torch.Generator()) > 0.4).float()
    physics = deepinv.physics.Inpainting(clean.shape[1:], mask=mask)
    seen = physics(clean)
    solver = deepinv.optim.optim_builder(
        iteration="PGD",
        prior=deepinv.optim.PnP(denoiser),
        data_fidelity=deepinv.optim.L2(),
        max_iter=30,
        params_algo={"stepsize": 1.0, "g_param": 0.05},
    )

    solved = solver(seen, physics)

    assert (solved - clean).norm() < 0.5 * (seen - clean).norm()
