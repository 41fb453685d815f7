"""PatchNR of deepinv, fitted here: its download is not touched."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_usflow.device import choose_device
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.contest.contestants import Denoised
from napari_usflow.lab.contest.deepinv_peer import DeepinvPeer
from napari_usflow.lab.contest.mri_crops import mean_psnr

__all__ = ["PatchNr"]

Float = npt.NDArray[np.float32]


class PatchNr(DeepinvPeer):
    """MAP under a normalizing flow of 6 x 6 patches, as deepinv and its authors do it.

    ``argmin_x |x - y|^2 / (2 sigma^2) + weight / S^2 sum_i -log p(P_i x)`` over all
    overlapping patches of S x S pixels, by Adam from the smoothed crop.
    """

    method = "patchnr"
    patch_size = 6

    STEPS, BATCH, RATE = 4000, 512, 1e-3
    """Of the fit."""

    WEIGHTS, TUNED_ON = (0.15, 0.3, 0.6, 1.2), 2
    """Of the prior; the best is chosen in every cell, on so many of its crops."""

    ROUNDS, STEP = 150, 0.02
    """Adam's iterations and learning rate on a crop."""

    PATCHES = 1000
    """Drawn anew in each of them."""

    @classmethod
    def recipe(cls) -> dict[str, Any]:
        """See :meth:`DeepinvPeer.recipe`."""
        return {"steps": cls.STEPS, "batch": cls.BATCH, "rate": cls.RATE}

    @classmethod
    def empty_model(cls) -> Any:
        """See :meth:`DeepinvPeer.empty_model`."""
        from deepinv.optim import PatchNR

        return PatchNR(pretrained=None, patch_size=cls.patch_size)

    @classmethod
    def fit_events(
        cls, train: Float, held_out: Float, device: str, token: CancelToken
    ) -> Generator[Event, None, PatchNr]:
        """See :meth:`DeepinvPeer.fit_events`; grey steps of 1/255 are dequantised."""
        import torch

        place, rng = choose_device(device), np.random.default_rng(0)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = cls.empty_model().to(place)
        optimizer = torch.optim.Adam(model.parameters(), cls.RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cls.STEPS)
        for step in range(cls.STEPS):
            token.raise_if_cancelled()
            batch = train[rng.integers(len(train), size=cls.BATCH)]
            batch = batch + rng.uniform(0, 1 / 255, batch.shape).astype(np.float32)
            loss = model.fn(torch.from_numpy(batch)[None].to(place)).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 100.0)
            optimizer.step()
            schedule.step()
            yield Progress(step + 1, cls.STEPS, "patchnr")
        return cls(model, device)

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        scores, few = {}, slice(self.TUNED_ON)
        for number, weight in enumerate(self.WEIGHTS):
            tried = self._minimise(crops[few], sigma, weight, token)
            scores[weight] = mean_psnr(clean[few], tried)
            yield Progress(number + 1, 2 * len(self.WEIGHTS))
        best = max(scores, key=lambda weight: scores[weight])
        start = time.perf_counter()
        result = self._minimise(crops, sigma, best, token)
        seconds = (time.perf_counter() - start) / len(crops)
        yield Progress(1, 1)
        text = f"weight {best:g}; best of {len(scores)} on {len(crops[few])} crops"
        return Denoised(result, seconds, text)

    def _minimise(
        self, crops: Float, sigma: float, prior_weight: float, token: CancelToken
    ) -> Float:
        import torch
        from deepinv.optim import PatchPrior

        prior = PatchPrior(
            self._model.fn, self.PATCHES, patch_size=self.patch_size, pad=True
        )
        y = torch.from_numpy(crops)[:, None].to(self._device)
        # The flow knows no noise: far from images its gradient leads nowhere.
        smooth = gaussian_filter(crops, (0, 1.5, 1.5))[:, None]
        x = torch.from_numpy(smooth).to(self._device).requires_grad_(True)
        optimizer = torch.optim.Adam([x], self.STEP)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda i: 0.5 * (1 + math.cos(math.pi * i / self.ROUNDS))
        )
        weight = prior_weight * crops[0].size / self.patch_size**2
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for _ in range(self.ROUNDS):
                token.raise_if_cancelled()
                misfit = (x - y).square().sum() / (2 * sigma**2)
                loss = misfit + weight * prior.fn(x).sum()
                (x.grad,) = torch.autograd.grad(loss, x)
                optimizer.step()
                schedule.step()
        return np.asarray(x.detach()[:, 0].cpu().numpy())
