"""The network of a coupling: which scale and shift the other half of a map suggests.

Glow's own network (3x3, 1x1 and 3x3 convolutions) sees a few pixels around each. With a
``depth`` it also has a dip: a small U-Net at coarser resolutions that starts as
nothing, so that the couplings of a fine level see the whole patch.

The noise level enters as gain and offset of every convolution's output. As one level
holds for a whole batch, that goes into the weights, and no pass over the feature maps
is spent on it. Of a flow without noise levels gain and offset are learned constants,
in place of the actnorms inside Glow's network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_usflow.prior.activation import activation_of
from napari_usflow.prior.convolution import convolve

__all__ = ["Conditioner", "zero_linear"]


class Conditioner(nn.Module):
    """Scale and shift of a coupling from a map and the noise level.

    The last layer starts at zero: a new coupling changes nothing but a constant.
    SiLU is smooth, which suits the score of the density: that is a derivative of this
    network. Glow's own activation is ReLU.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    hidden : int
        Channels in between.
    depth : int
        How often the dip halves the map; 0 for none.
    embedding : int
        Size of the noise-level embedding, 0 for none.
    activation : str
        See :func:`~napari_usflow.prior.activation.activation_of`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int,
        depth: int,
        embedding: int,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        self._activation = activation_of(activation)
        self.enter = _Convolution(inputs, hidden, 3, embedding)
        self.dip = _Dip(hidden, hidden, depth, embedding, activation) if depth else None
        self.mix = _Convolution(hidden, hidden, 1, embedding)
        self.leave = _Convolution(hidden, outputs, 3, embedding, zero=True)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W) at a noise embedding (E,)."""
        h = self._activation(self.enter(x, e))
        if self.dip is not None:
            h = self.dip(h, e)
        h = self._activation(self.mix(h, e))
        result: Tensor = self.leave(h, e)
        return result


class _Convolution(nn.Module):
    """A convolution whose output is scaled and shifted by the noise level."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        embedding: int,
        *,
        zero: bool = False,
    ) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, kernel)
        self.weight = plain.weight
        self.bias = nn.Parameter(torch.zeros(outputs))
        if zero:
            nn.init.zeros_(self.weight)
        self.condition = zero_linear(embedding, 2 * outputs)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        log_gain, offset = self.condition(e).chunk(2)
        gain = log_gain.exp()
        return convolve(
            x, self.weight * gain[:, None, None, None], self.bias * gain + offset
        )


class _Dip(nn.Module):
    """``h + up(block(down(h)))``, the block at half the resolution, or deeper."""

    def __init__(
        self, outer: int, inner: int, depth: int, embedding: int, activation: str
    ) -> None:
        super().__init__()
        self._activation = activation_of(activation)
        self.down = _Convolution(4 * outer, inner, 1, embedding)
        self.deeper = (
            _Dip(inner, 2 * inner, depth - 1, embedding, activation)
            if depth > 1
            else None
        )
        self.first = _Convolution(inner, inner, 3, embedding)
        self.second = _Convolution(inner, inner, 3, embedding)
        self.up = _Convolution(inner, 4 * outer, 1, embedding, zero=True)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        d = self.down(_halve(h), e)
        if self.deeper is not None:
            d = self.deeper(d, e)
        d = d + self.second(self._activation(self.first(d, e)), e)
        return h + _double(self.up(self._activation(d), e))


def _halve(x: Tensor) -> Tensor:
    """Turn 2x2 neighbourhoods into channels: (B, C, H, W) -> (B, 4C, H/2, W/2).

    The channels of a pixel stay together (channels last), which PyTorch's own
    ``pixel_unshuffle`` does not: it takes twenty times as long.
    """
    b, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(b, h // 2, 2, w // 2, 2, c).transpose(2, 3)
    return x.reshape(b, h // 2, w // 2, 4 * c).permute(0, 3, 1, 2)


def _double(x: Tensor) -> Tensor:
    """Undo :func:`_halve`."""
    b, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(b, h, w, 2, 2, c // 4).transpose(2, 3)
    return x.reshape(b, 2 * h, 2 * w, c // 4).permute(0, 3, 1, 2)


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """Build a linear layer that gives zero until it is trained.

    Without inputs it is a bias alone.
    """
    # PyTorch warns of layers without inputs, so it gets one, which is taken away.
    layer = nn.Linear(max(inputs, 1), outputs)
    layer.weight = nn.Parameter(torch.zeros(outputs, inputs))
    nn.init.zeros_(layer.bias)
    return layer
