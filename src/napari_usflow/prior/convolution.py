"""A 2-D convolution whose second derivatives cost what its first ones do.

Training on the error of a posterior mean differentiates a gradient. PyTorch's own
double backward of a convolution transposes whole batches of feature maps; this one
writes the three bilinear maps of a convolution (output, gradient of the input,
gradient of the weight) in terms of each other and keeps channels last throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["convolve", "input_gradients_only"]

_skip_weight_gradients = False


@contextmanager
def input_gradients_only() -> Iterator[None]:
    """Leave the weights' gradients out of a backward pass run inside.

    Autograd does not tell a custom function that only the gradient of the input is
    wanted, and the score of a density is exactly that.
    """
    global _skip_weight_gradients
    before, _skip_weight_gradients = _skip_weight_gradients, True
    try:
        yield
    finally:
        _skip_weight_gradients = before


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve with an odd kernel, zero padding to the same size.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    weight : Tensor, shape (D, C, k, k)
    bias : Tensor, shape (D,)

    Returns
    -------
    Tensor, shape (B, D, H, W), of the type of ``x``
    """
    weight = weight.to(x.dtype).contiguous(memory_format=torch.channels_last)
    result: Tensor = _Convolution.apply(x, weight, bias.to(x.dtype))
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.set_materialize_grads(False)
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if grads[0] is None:
            return None, None, None
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        need_x, need_weight, need_bias = ctx.needs_input_grad
        grad_x = _InputGradient.apply(grad, weight) if need_x else None
        if _skip_weight_gradients:
            return grad_x, None, None
        return (
            grad_x,
            _weight_gradient(grad, x, weight) if need_weight else None,
            grad.sum(dim=(0, 2, 3)) if need_bias else None,
        )


class _InputGradient(torch.autograd.Function):
    """The adjoint of a convolution in its input; linear in both arguments."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(grad, weight)
        return F.conv_transpose2d(grad, weight, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if grads[0] is None:
            return None, None
        grad, weight = ctx.saved_tensors
        h = grads[0].contiguous(memory_format=torch.channels_last)
        need_grad, need_weight = ctx.needs_input_grad
        return (
            _Convolution.apply(h, weight, None) if need_grad else None,
            _weight_gradient(grad, h, weight) if need_weight else None,
        )


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    pad = weight.shape[-1] // 2
    result: Tensor = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], 1,
        [False, True, False],
    )[1]
    return result
