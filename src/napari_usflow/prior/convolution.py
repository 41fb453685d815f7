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
from torch.nn import functional as F

__all__ = ["apply_function", "convolve", "input_gradients_only"]

_skip_weight_gradients = False
_SMALL_MAP = 16  # pixels


@contextmanager
def input_gradients_only() -> Iterator[None]:
    """Leave the weights' gradients out of a backward pass run inside.

    Autograd does not tell a custom function that only the gradient of the input is
    wanted, and the score of a density is exactly that. It holds for all threads, since
    those of a graphics card's backward pass are not the caller's: for one training in a
    process.
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
    x = x.contiguous(memory_format=torch.channels_last)
    weight = weight.to(x.dtype).contiguous(memory_format=torch.channels_last)
    return apply_function(_Convolution, x, weight, bias.to(x.dtype))


def apply_function(
    function: type[torch.autograd.Function], *arguments: Tensor | None
) -> Tensor:
    """Apply a custom function; PyTorch's ``apply`` has no types of its own."""
    result: Tensor = function.apply(*arguments)
    return result


class _Convolution(torch.autograd.Function):
    """``y = w * x + b``, linear in each argument."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if grads[0] is None:
            return None, None, None
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        need_x, need_weight, need_bias = ctx.needs_input_grad
        grad_x = apply_function(_InputGradient, grad, weight) if need_x else None
        if _skip_weight_gradients:
            return grad_x, None, None
        return (
            grad_x,
            apply_function(_WeightGradient, grad, x, weight) if need_weight else None,
            grad.sum(dim=(0, 2, 3)) if need_bias else None,
        )


class _InputGradient(torch.autograd.Function):
    """The adjoint of the convolution in ``x``, linear in ``grad`` and ``weight``."""

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
            apply_function(_Convolution, h, weight, None) if need_grad else None,
            apply_function(_WeightGradient, grad, h, weight) if need_weight else None,
        )


class _WeightGradient(torch.autograd.Function):
    """The adjoint of the convolution in ``w``, linear in ``grad`` and ``x``."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(grad, x)
        if x.shape[2] * x.shape[3] <= _SMALL_MAP:
            return _small_map_weight_gradient(grad, x, weight.shape[-1])
        pad = weight.shape[-1] // 2
        result: Tensor = torch.ops.aten.convolution_backward(
            grad,
            x,
            weight,
            None,
            [1, 1],
            [pad, pad],
            [1, 1],
            False,
            [0, 0],
            1,
            [False, True, False],
        )[1]
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if grads[0] is None:
            return None, None, None
        grad, x = ctx.saved_tensors
        need_grad, need_x, _ = ctx.needs_input_grad
        return (
            apply_function(_Convolution, x, grads[0], None) if need_grad else None,
            apply_function(_InputGradient, grad, grads[0]) if need_x else None,
            None,
        )


def _small_map_weight_gradient(grad: Tensor, x: Tensor, kernel: int) -> Tensor:
    """The weight's gradient as one matrix product: up to eight times as fast there."""
    channels, pad = x.shape[1], kernel // 2
    rows = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
    windows = padded.unfold(1, kernel, 1).unfold(2, kernel, 1)
    columns = windows.permute(0, 1, 2, 4, 5, 3).reshape(len(rows), -1)
    product = (rows.t() @ columns).view(-1, kernel, kernel, channels)
    return product.permute(0, 3, 1, 2)
