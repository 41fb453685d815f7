"""deepinv's own BM3D, which is free software; the one of its authors is not."""

from __future__ import annotations

import time
from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from napari_usflow.device import choose_device
from napari_usflow.interop.deepinv import load_deepinv
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.contest.contestants import Contestant, Denoised

__all__ = ["DeepinvBm3d"]

Float = npt.NDArray[np.float32]


class DeepinvBm3d(Contestant):
    """BM3D in torch (deepinv, BSD-3-Clause; wants ptwt for its wavelets).

    Parameters
    ----------
    device : str
        See :func:`napari_usflow.device.choose_device`.
    """

    method = "deepinv-bm3d"

    def __init__(self, device: str = "auto") -> None:
        self._device = choose_device(device)
        models = load_deepinv().models
        self._model = models.BM3D(use_legacy=False, device=self._device)

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        import torch

        start, result = time.perf_counter(), np.empty_like(crops)
        for i, crop in enumerate(crops):
            token.raise_if_cancelled()
            image = torch.from_numpy(crop).to(self._device)[None, None]
            with torch.no_grad():
                result[i] = self._model(image, sigma)[0, 0].cpu().numpy()
            yield Progress(i + 1, len(crops))
        return Denoised(result, (time.perf_counter() - start) / len(crops))
