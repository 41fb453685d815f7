"""The invertible maps a Glow flow is made of, each conditioned on the noise level.

Every layer is a map ``y = f(x; e)`` of images (B, C, H, W), where ``e`` (E,) embeds the
noise level of the whole batch, so that conditioning changes weights and not feature
maps. ``forward`` gives ``y`` and the log-determinant of its Jacobian, one number a
sample; ``inverse`` gives ``x``.

References
----------
D. P. Kingma, P. Dhariwal, "Glow: generative flow with invertible 1x1 convolutions",
NeurIPS 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_usflow.prior.conditioner import Conditioner, zero_linear
from napari_usflow.prior.convolution import convolve

__all__ = [
    "ActNorm",
    "AffineCoupling",
    "FlowStep",
    "InvertibleConv1x1",
    "squeeze",
    "unsqueeze",
]


def squeeze(x: Tensor) -> Tensor:
    """Turn 2x2 neighbourhoods into channels: (B, C, H, W) -> (B, 4C, H/2, W/2).

    The four pixels of a channel stay next to each other, so a following 1x1
    convolution can form sums and differences of neighbours.
    """
    return F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)


def unsqueeze(x: Tensor) -> Tensor:
    """Undo :func:`squeeze`."""
    return F.pixel_shuffle(x, 2)


class ActNorm(nn.Module):
    """Scale and shift a channel: ``y = s(e) * (x + b(e))``.

    ``log s = a + A e`` and ``b = c + C e``; ``a`` and ``c`` are set by the first batch
    to give zero mean and unit variance. That this has happened is a buffer, so it
    survives saving and loading.
    """

    initialised: Tensor

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.condition = zero_linear(embedding, 2 * channels)
        self.register_buffer("initialised", torch.tensor(False))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Initialise scale and shift from a batch."""
        self.bias.copy_(-x.mean(dim=(0, 2, 3)))
        self.log_scale.copy_(-x.std(dim=(0, 2, 3)).clamp_min(1e-3).log())
        self.initialised.fill_(True)

    def parameters_for(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """Return log s and b, each of shape (C,)."""
        log_scale, bias = self.condition(e).chunk(2)
        return self.log_scale + log_scale, self.bias + bias


class InvertibleConv1x1(nn.Module):
    """Mix the channels: ``y = W x`` with ``W = P L (U + diag(d))``.

    ``P`` and the signs of ``d`` are fixed, so ``log |det W| = sum log |d|`` is free and
    ``W`` can never become singular.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        p, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.register_buffer("permutation", p.contiguous())
        self.register_buffer("sign", diagonal.sign())
        self.register_buffer("identity", torch.eye(channels), persistent=False)

    identity: Tensor

    def weight(self) -> Tensor:
        """Return W, shape (C, C)."""
        lower = self.lower.tril(-1) + self.identity
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())
        return self.permutation @ lower @ upper


class AffineCoupling(nn.Module):
    """Change one half of the channels by what the other half says.

    ``(a1, a2) = split(x)``, ``(log s, t) = NN(a2, e)``, ``b1 = s a1 + t`` (the scale
    before the shift) with ``s = sigmoid(log s + 2)``, ``y = concat(b1, a2)``. The
    log-determinant is the sum of ``log s``.

    With a ``smallest_scale`` m > 0 ``s = max(m, 0.05 + 0.95 sigmoid(log s + 2))``,
    which bounds the inverse (1/s) far from the data: couplings that might shrink
    twentyfold hardly ever went below 0.7 on data, but blew up one sample in five.

    ``NN`` is a :class:`~napari_usflow.prior.conditioner.Conditioner`; its last layer
    starts at zero, so a new coupling scales by sigmoid(2) and shifts by nothing.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        depth: int,
        embedding: int,
        *,
        activation: str = "silu",
        smallest_scale: float = 0.7,
    ) -> None:
        super().__init__()
        self.net = Conditioner(
            channels // 2, channels, hidden, depth, embedding, activation
        )
        self.smallest_scale = smallest_scale
        self.compute_dtype = torch.float32

    def _scale_and_shift(self, a2: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return s, log s and t."""
        u, t = self.net(a2.to(self.compute_dtype), e).to(a2.dtype).chunk(2, dim=1)
        if self.smallest_scale == 0:
            # The logarithm of a sigmoid that has underflowed is finite.
            return torch.sigmoid(u + 2.0), F.logsigmoid(u + 2.0), t
        s = (0.05 + 0.95 * torch.sigmoid(u + 2.0)).clamp_min(self.smallest_scale)
        return s, s.log(), t

    def forward(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """Return y (B, C, H, W) and its log-determinant (B,)."""
        a1, a2 = x.chunk(2, dim=1)
        s, log_s, t = self._scale_and_shift(a2, e)
        return torch.cat([s * a1 + t, a2], dim=1), log_s.sum(dim=(1, 2, 3))

    def inverse(self, y: Tensor, e: Tensor) -> Tensor:
        """Return x (B, C, H, W)."""
        b1, a2 = y.chunk(2, dim=1)
        s, _, t = self._scale_and_shift(a2, e)
        return torch.cat([(b1 - t) / s, a2], dim=1)


class FlowStep(nn.Module):
    """Actnorm, invertible 1x1 convolution, affine coupling.

    The first two are linear in each pixel's channels and are applied as one 1x1
    convolution, ``y = W diag(s) (x + b)``. ``coupling`` is passed on to
    :class:`AffineCoupling`.
    """

    def __init__(
        self, channels: int, hidden: int, depth: int, embedding: int, **coupling: Any
    ) -> None:
        super().__init__()
        self.actnorm = ActNorm(channels, embedding)
        self.mix = InvertibleConv1x1(channels)
        self.coupling = AffineCoupling(channels, hidden, depth, embedding, **coupling)

    def _linear(self, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_scale, bias = self.actnorm.parameters_for(e)
        matrix = self.mix.weight() * log_scale.exp()
        return matrix, bias, log_scale.sum() + self.mix.log_diagonal.sum()

    def forward(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """Return y (B, C, H, W) and its log-determinant (B,)."""
        if self.training and not bool(self.actnorm.initialised):
            self.actnorm.initialise(x)
        matrix, bias, log_det = self._linear(e)
        x = convolve(x, matrix[:, :, None, None], matrix @ bias)
        y, log_det_coupling = self.coupling(x, e)
        return y, log_det_coupling + log_det * (x.shape[2] * x.shape[3])

    def inverse(self, y: Tensor, e: Tensor) -> Tensor:
        """Return x (B, C, H, W)."""
        x = self.coupling.inverse(y, e)
        matrix, bias, _ = self._linear(e)
        # Inverted in double precision: the product of the factors may be badly
        # conditioned.
        inverse = torch.linalg.inv(matrix.double()).to(y.dtype)
        return convolve(x, inverse[:, :, None, None], -bias)
