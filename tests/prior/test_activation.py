"""The activation against PyTorch's own, to the second derivative."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from napari_usflow.prior.activation import silu


def test_value_is_that_of_torch() -> None:
    x = torch.linspace(-20.0, 20.0, 101)
    assert torch.equal(silu(x), F.silu(x))


def test_first_and_second_derivatives_agree_with_finite_differences() -> None:
    x = torch.linspace(-6.0, 6.0, 25, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(silu, (x,))
    assert torch.autograd.gradgradcheck(silu, (x,))


def test_derivatives_stay_finite_far_from_zero() -> None:
    x = torch.tensor([-200.0, 200.0], requires_grad=True)
    (slope,) = torch.autograd.grad(silu(x).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert torch.equal(slope, torch.tensor([0.0, 1.0]))
    assert torch.equal(curvature, torch.zeros(2))
