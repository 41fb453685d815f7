"""Training a network: the step, and what the result is judged by."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_usflow.networks.precision import fast_arithmetic
from napari_usflow.networks.unet import UNet
from napari_usflow.training.events import Estimated, Previewed, Validated
from napari_usflow.training.network.configs import MARGIN, NetworkConfig
from napari_usflow.training.network.pairs import (
    TOLD_SHARE,
    Pairs,
    gaussian_pairs,
    speckle_pairs,
)
from napari_usflow.training.trainer import (
    EVALUATION_BATCH,
    VALIDATION_SIGMAS,
    Trainer,
    psnr_db,
)
from napari_usflow.training.trial import Phase, try_phases

__all__ = ["NetworkTrainer", "Objective", "draw_pairs", "estimate_network"]

_PREVIEW_SIGMA = 0.2
_PREVIEWS = 8
_ABSURD = 0.5
_USUAL_INPUTS = 576
_SHIFTED_SHARE = 4
_SHIFT_BORDER = 16


class Objective(nn.Module):
    """The loss of a batch; a module, so that several processes can share its step.

    The squared error of a pixel, divided by the noise level: it grows about as that,
    and every level then counts alike. Errors of more than half the value range count
    linearly (Huber): the network's answer to what it has never seen may be absurd, and
    one such picture must not decide the step.

    A quarter of the pairs is shown again, moved by a pixel against the network's coarse
    ones, and the difference between the two results is part of the loss.

    Parameters
    ----------
    network : UNet
    bfloat16 : bool
        Whether convolutions may compute in it.
    shift_weight : float
        How much that difference counts.
    """

    def __init__(
        self, network: UNet, bfloat16: bool, shift_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.network, self._bfloat16 = network, bfloat16
        self._shift_weight = shift_weight

    def forward(
        self,
        noisy: Tensor,
        clean: Tensor,
        told: Tensor,
        sigma: Tensor,
        weight: Tensor,
    ) -> Tensor:
        """Return the loss of pairs (B, 1, S, S) and their noise levels (B,)."""
        with _arithmetic(self._bfloat16, noisy.device):
            result = self.network(noisy, told)
        error = functional.huber_loss(
            result.float(), clean, reduction="none", delta=_ABSURD
        )
        loss: Tensor = (2 * weight * error / sigma.view(-1, 1, 1, 1)).mean()
        if self._shift_weight:
            moved = self._change_by_shift(noisy, told, result, sigma)
            loss = loss + self._shift_weight * moved
        return loss

    def _change_by_shift(
        self, noisy: Tensor, told: Tensor, result: Tensor, sigma: Tensor
    ) -> Tensor:
        """Return how far results change when their images move by a pixel.

        The last pairs of the batch, which have speckle. Near the border the network
        sees another continuation of the image, so that it is left out.
        """
        count = -(-len(noisy) // _SHIFTED_SHARE)
        with _arithmetic(self._bfloat16, noisy.device):
            moved = self.network(noisy[-count:, :, 1:, 1:], told[-count:])
        border = min(_SHIFT_BORDER, noisy.shape[-1] // 4)
        inner = slice(border, -border)
        change = moved.float() - result.float()[-count:, :, 1:, 1:]
        relative = change[..., inner, inner].square() / sigma[-count:].view(-1, 1, 1, 1)
        mean: Tensor = relative.mean()
        return mean


class NetworkTrainer(Trainer[NetworkConfig, UNet]):
    """The state of a network's run.

    See :class:`~napari_usflow.training.trainer.Trainer`.
    Its patches have a margin of :data:`~.configs.MARGIN` pixels around them.
    """

    def _built(self) -> UNet:
        return UNet(self.config.network)

    def _objective(self) -> nn.Module:
        return Objective(self.model, self.config.bfloat16, self.config.shift_weight)

    def _optimizer(self) -> torch.optim.Optimizer:
        # A step of Adam moves each weight alike, whatever their number: the more
        # inputs a convolution has, the further it moves the output.
        groups: dict[float, list[nn.Parameter]] = {}
        for weights in self.model.parameters():
            inputs = weights[0].numel() if weights.ndim > 1 else _USUAL_INPUTS
            groups.setdefault(min(1.0, _USUAL_INPUTS / inputs), []).append(weights)
        return torch.optim.AdamW(
            [{"params": group, "scale": scale} for scale, group in groups.items()],
            lr=self.config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=self.config.weight_decay,
        )

    def _gradient(self, rng: np.random.Generator) -> float:
        patches = self.sampler.draw(self.config.share(self.fabric.world_size), rng)
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        pairs = draw_pairs(torch.from_numpy(patches), self.config, generator)
        loss: Tensor = self.objective(*_on(pairs, self.fabric.device))
        self.fabric.backward(loss)
        return float(loss.detach())

    @cached_property
    def _speckle(self) -> Pairs:
        """The held-out patches as tissue, the same pairs at each validation."""
        generator = torch.Generator().manual_seed(4)
        pairs = speckle_pairs(self._held_out[:, 0], generator)
        return replace(pairs, told=torch.zeros_like(pairs.told))

    def _judge(self) -> Validated:
        clean = _inner(self._held_out)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
        psnr = {}
        for sigma in VALIDATION_SIGMAS:
            level = torch.full((len(clean),), sigma)
            denoised = self._denoise(clean + sigma * noise, level)
            psnr[sigma] = float(psnr_db(denoised.clamp(0, 1), clean).mean())
        speckle, wanted = self._speckle, self._speckle.clean
        denoised = self._denoise(speckle.noisy, speckle.told)
        denoised = _with_fitted_offset(denoised, wanted)
        despeckled = psnr_db(denoised.clamp(0, 1), wanted.clamp(0, 1))
        return Validated(self.step, None, psnr, float(despeckled.mean()))

    def _denoise(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Return the results of the averaged weights, on the CPU."""
        results = []
        for images, levels in zip(
            noisy.split(EVALUATION_BATCH), sigma.split(EVALUATION_BATCH), strict=True
        ):
            with _arithmetic(self.config.bfloat16, self.fabric.device):
                clean = self.average(
                    images.to(self.fabric.device), levels.to(self.fabric.device)
                )
            results.append(clean.float().cpu())
        return torch.cat(results)

    def preview(self) -> Previewed:
        """Denoise held-out patches with white noise and others with speckle."""
        clean = _inner(self._held_out)[:_PREVIEWS]
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
        speckle = self._speckle
        wanted = torch.cat([clean, speckle.clean[-_PREVIEWS:]])
        shown = torch.cat([clean + _PREVIEW_SIGMA * noise, speckle.noisy[-_PREVIEWS:]])
        level = torch.full((len(clean),), _PREVIEW_SIGMA)
        with torch.no_grad():
            denoised = self._denoise(
                shown, torch.cat([level, speckle.told[-_PREVIEWS:]])
            )
        real, noisy, cleaned = (
            t[:, 0].clamp(0, 1).numpy() for t in (wanted, shown, denoised)
        )
        return Previewed(self.step, _PREVIEW_SIGMA, real, real[:0], noisy, cleaned)


def draw_pairs(
    patches: Tensor, config: NetworkConfig, generator: torch.Generator
) -> Pairs:
    """Make the pairs of a step: some with white noise, the others with speckle.

    Parameters
    ----------
    patches : Tensor, shape (B, 1, S + 2 MARGIN, S + 2 MARGIN)
        In [0, 1].
    config : NetworkConfig
    generator : torch.Generator
    """
    share = config.gaussian_fraction * len(patches)
    count = int(share + float(torch.rand((), generator=generator)))
    made = []
    if count:
        white = _inner(patches[:count])[:, 0]
        # A network for both kinds is not told which it is.
        told = 1.0 if count == len(patches) else TOLD_SHARE
        made.append(gaussian_pairs(white, generator, told_share=told))
    if count < len(patches):
        made.append(speckle_pairs(patches[count:, 0], generator))
    return Pairs(
        torch.cat([pairs.noisy for pairs in made]),
        torch.cat([pairs.clean for pairs in made]),
        torch.cat([pairs.told for pairs in made]),
        torch.cat([pairs.sigma for pairs in made]),
        torch.cat([pairs.weight for pairs in made]),
    )


def estimate_network(
    config: NetworkConfig, device: torch.device, step: int, processes: int
) -> Estimated:
    """Time and memory of the steps from ``step`` on; their pairs are part of it."""
    network = UNet(config.network).to(device).train()
    objective = Objective(network, config.bfloat16, config.shift_weight)
    size = config.drawn_size

    def loss(count: int) -> Tensor:
        pairs = draw_pairs(torch.rand(count, 1, size, size), config, generator)
        value: Tensor = objective(*_on(pairs, device))
        return value

    generator = torch.Generator().manual_seed(0)
    phases = [Phase(max(0, config.steps - step), loss)]
    return try_phases(network, phases, device, config.share(processes), 1, processes)


def _arithmetic(bfloat16: bool, device: torch.device) -> AbstractContextManager[Any]:
    return fast_arithmetic(device) if bfloat16 else nullcontext()


def _on(pairs: Pairs, device: torch.device) -> tuple[Tensor, ...]:
    parts = (pairs.noisy, pairs.clean, pairs.told, pairs.sigma, pairs.weight)
    return tuple(part.to(device) for part in parts)


def _inner(patches: Tensor) -> Tensor:
    return patches[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _with_fitted_offset(result: Tensor, clean: Tensor) -> Tensor:
    """Add to each image what brings it nearest to the clean one, where that is seen.

    The level that a filter leaves speckle on is a convention, and not its quality.
    """
    seen = (clean > 0).to(clean)
    pixels = seen.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
    return result + ((clean - result) * seen).sum(dim=(1, 2, 3), keepdim=True) / pixels
