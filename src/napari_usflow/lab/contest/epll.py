"""EPLL of deepinv, fitted here: its download is not touched."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.contest.contestants import Denoised
from napari_usflow.lab.contest.deepinv_peer import DeepinvPeer
from napari_usflow.lab.density.mixture_fit import fit_mixture

__all__ = ["Epll"]

Float = npt.NDArray[np.float32]


class Epll(DeepinvPeer):
    """Half-quadratic splitting under a Gaussian mixture of 8 x 8 patches.

    deepinv's Wiener step leaves out the means of the mixture, so a mixture without
    means is fitted.
    """

    method = "epll"
    patch_size = 8

    @classmethod
    def recipe(cls) -> dict[str, Any]:
        """See :meth:`DeepinvPeer.recipe`."""
        return {"components": 100, "iterations": 16, "first_share": 0.25}

    @classmethod
    def empty_model(cls) -> Any:
        """See :meth:`DeepinvPeer.empty_model`."""
        from deepinv.optim import EPLL

        components = cls.recipe()["components"]
        return EPLL(None, components, pretrained=None, patch_size=cls.patch_size)

    @classmethod
    def fit_events(
        cls, train: Float, held_out: Float, device: str, token: CancelToken
    ) -> Generator[Event, None, Epll]:
        """See :meth:`DeepinvPeer.fit_events`."""
        import torch

        mixture = yield from fit_mixture(
            train, held_out, **cls.recipe(), zero_mean=True, token=token, label="epll"
        )
        model = cls.empty_model()
        model.GMM.set_weights(torch.from_numpy(mixture.weights))
        model.GMM.set_cov(torch.from_numpy(mixture.covariances))
        return cls(model, device)

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        import torch
        from deepinv.physics import Denoising, GaussianNoise

        start = time.perf_counter()
        physics, result = Denoising(GaussianNoise(sigma)), np.empty_like(crops)
        for i, crop in enumerate(crops):
            token.raise_if_cancelled()
            y = torch.from_numpy(crop)[None, None].to(self._device)
            with torch.no_grad():
                result[i] = self._model(y, physics, sigma=sigma)[0, 0].cpu().numpy()
            yield Progress(i + 1, len(crops))
        seconds = (time.perf_counter() - start) / len(crops)
        text = f"{self.recipe()['components']} components of 8 x 8"
        return Denoised(result, seconds, text)
