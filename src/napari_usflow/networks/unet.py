"""The network: a U-Net at half resolution that estimates the noise.

Space-to-depth (Shi and others 2016; FFDNet, Zhang and others 2018) brings four pixels
into the channels, which makes the network four times cheaper; residual blocks on three
scales see 100 pixels and more around each. The noise level is a fifth channel, 0 where
it is not known. The activations within a block are bounded, so that no chain of blocks
can amplify an unusual image without limit. Before a map is halved and after it is
doubled it passes a binomial filter (anti-aliasing: Zhang, ICML 2019), for the result to
move with the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_usflow.networks.architecture import UNetConfig

__all__ = ["LARGEST_ACTIVATION", "Blur", "UNet", "UNetConfig"]


LARGEST_ACTIVATION = 16.0
"""Networks hardly reach it on the noise that they were trained for. Without a bound
they reach hundreds on another kind of noise, and one of them 1e5."""


class _Block(nn.Module):
    """Two convolutions beside the identity; begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        _silence(self.second)

    def forward(self, x: Tensor, between: Callable[[], None]) -> Tensor:
        between()
        change = self.first(x)
        # Without a gradient, memory is reused: a new array costs as much as the sum.
        inplace = not torch.is_grad_enabled()
        change = functional.silu(change, inplace=inplace)
        if inplace:
            change.clamp_max_(LARGEST_ACTIVATION)
        else:
            change = change.clamp_max(LARGEST_ACTIVATION)
        between()
        result: Tensor = self.second(change)
        return result.add_(x)


class Blur(nn.Module):
    """Binomial filter of three taps along both axes, for each channel."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", torch.outer(taps, taps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter maps (B, C, H, W)."""
        channels = x.shape[1]
        weight = self.kernel.to(x).expand(channels, 1, 3, 3)
        return functional.conv2d(x, weight, padding=1, groups=channels)


class _Blocks(nn.ModuleList):
    """Some of them, one after the other."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__(_Block(channels) for _ in range(count))

    def forward(self, x: Tensor, between: Callable[[], None]) -> Tensor:
        for block in self:
            x = block(x, between)
        return x


def _nothing() -> None:
    """Default check between two convolutions: nothing."""


class UNet(nn.Module):
    """Estimates the noise of an image and takes it away.

    Parameters
    ----------
    config : UNetConfig
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, blocks = config.channels, config.blocks
        self.head = nn.Conv2d(5, channels[0], 3, padding=1)
        self.before = nn.ModuleList(map(_Blocks, channels[:-1], blocks[:-1]))
        self.after = nn.ModuleList(map(_Blocks, channels[:-1], blocks[:-1]))
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(channels)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(channels)
        )
        self.blur = Blur() if config.antialias else nn.Identity()
        self.middle = _Blocks(channels[-1], blocks[-1])
        self.tail = nn.Conv2d(channels[0], 4, 3, padding=1)
        _silence(self.tail)
        nn.Module.to(self, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        noisy: Tensor,
        sigma: Tensor,
        between: Callable[[], None] = _nothing,
    ) -> Tensor:
        """Denoise.

        Parameters
        ----------
        noisy : Tensor, shape (B, 1, Z, X)
            Of any size.
        sigma : Tensor, shape (B,)
            Noise standard deviations in the values of ``noisy``; 0 where unknown.
        between : callable
            Called before each convolution of a block; may raise, to stop half-way.
        """
        rows, columns = noisy.shape[-2:]
        padded = _padded(noisy, self.config.multiple)
        x = self.head(self._input(padded, sigma))
        skips = []
        for before, down in zip(self.before, self.down, strict=True):
            x = before(x, between)
            skips.append(x)
            x = down(self.blur(x))
        x = self.middle(x, between)
        for index in reversed(range(len(skips))):
            x = self.blur(self.up[index](x)).add_(skips[index])
            x = self.after[index](x, between)
        noise = functional.pixel_shuffle(self.tail(x), 2)
        return (padded - noise.to(padded.dtype))[..., :rows, :columns]

    def _input(self, padded: Tensor, sigma: Tensor) -> Tensor:
        """Return four pixels and the noise level in five channels (B, 5, Z/2, X/2).

        Of the type of the weights, which may be narrower than the image's.
        """
        pixels = functional.pixel_unshuffle(padded.to(self.head.weight.dtype), 2)
        batch, _, rows, columns = pixels.shape
        x = torch.empty(
            (batch, 5, rows, columns),
            dtype=pixels.dtype,
            device=pixels.device,
            memory_format=torch.channels_last,
        )
        x[:, :4] = pixels
        x[:, 4] = sigma.to(x).view(-1, 1, 1)
        return x


def _silence(layer: nn.Conv2d) -> None:
    for weights in layer.parameters():
        nn.init.zeros_(weights)


def _padded(image: Tensor, multiple: int) -> Tensor:
    """Continue an image (B, 1, Z, X) by its mirror image, down and to the right."""
    for axis in (-2, -1):
        size = image.shape[axis]
        wanted = multiple * math.ceil(size / multiple)
        index = torch.arange(wanted, device=image.device)
        period = max(1, 2 * (size - 1))
        index = index % period
        index = torch.where(index < size, index, period - index)
        if wanted > size:
            image = image.index_select(axis, index)
    return image
