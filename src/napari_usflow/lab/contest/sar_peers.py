"""Peers from radar, where speckle is the same: SAR2SAR and MuLoG.

Both read a crop in [0, 1] as 60 dB of intensity and know fully developed speckle, so
that they are no peers under white noise. SAR2SAR (Dalsasso, Denis and Tupin, IEEE
JSTARS 2021; package deepdespeckling, MIT) is a network that was trained on Sentinel-1;
its weights come with the package, of which only torch and NumPy are needed (``pip
install --no-deps deepdespeckling``). MuLoG (Deledalle et al., IEEE TIP 2017; package
mulog, CeCILL) is plug-and-play ADMM in the logarithm with BM3D as its denoiser.
Nothing is downloaded.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Generator
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.device import choose_device
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.contest.contestants import Contestant, Denoised

__all__ = ["Mulog", "Sar2Sar", "SarPeer", "looks_of"]

Float = npt.NDArray[np.float32]

_RANGE_DB = 60.0
# Natural logarithms of the amplitudes that SAR2SAR takes for 0 and 1.
_SAR_BLACK, _SAR_WHITE = -1.429329123112601, 10.089038980848645
# Its U-Net halves five times.
_SIDE = 32


def looks_of(sigma: float) -> float:
    """Return the looks whose speckle has that standard deviation in decibels.

    The logarithm of intensity under L looks has the variance of the trigamma function
    at L.

    Parameters
    ----------
    sigma : float
        As a fraction of 60 dB; 5.57 / 60 is one look.
    """
    from scipy.optimize import brentq
    from scipy.special import polygamma

    variance = (sigma * _RANGE_DB * log(10) / 10) ** 2
    return float(brentq(lambda looks: polygamma(1, looks) - variance, 1e-2, 1e6))


class SarPeer(Contestant):
    """Base of the peers from radar, which take crops one by one."""

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        start, result = time.perf_counter(), np.empty_like(crops)
        for i, crop in enumerate(crops):
            token.raise_if_cancelled()
            result[i] = self.despeckle(crop, sigma)
            yield Progress(i + 1, len(crops))
        return Denoised(result, (time.perf_counter() - start) / len(crops))

    @abstractmethod
    def despeckle(self, crop: Float, sigma: float) -> Float:
        """Despeckle one crop in [0, 1]."""


class Sar2Sar(SarPeer):
    """SAR2SAR with the weights of its package.

    It knows one kind of speckle, so the noise level is not told. The mean of a crop is
    brought to the middle of what it was trained on.
    """

    method = "sar2sar"

    def __init__(self, device: str = "auto") -> None:
        import deepdespeckling
        import torch

        path = Path(deepdespeckling.__path__[0], "sar2sar/saved_model/sar2sar.pth")
        self._device = choose_device(device)
        # Beside weights the file has numbers of NumPy's; nothing else of it is run.
        scalar = np.array(0.0)[()].__reduce__()[0]
        number = type(np.dtype(np.float64))
        named: Any = [(scalar, "numpy.core.multiarray.scalar"), np.dtype, number]
        with torch.serialization.safe_globals(named):
            self._weights = torch.load(path, map_location="cpu", weights_only=True)

    def despeckle(self, crop: Float, sigma: float) -> Float:
        """Despeckle one crop in [0, 1]."""
        import torch

        scale = _RANGE_DB / 20 * log(10) / (_SAR_WHITE - _SAR_BLACK)
        mean = float(crop.mean())
        rows, columns = crop.shape
        padding = [(0, -side % _SIDE) for side in crop.shape]
        padded = np.pad(0.5 + scale * (crop - mean), padding, mode="reflect")
        model = self._model(*padded.shape)
        with torch.no_grad():
            image = torch.from_numpy(padded.astype(np.float32)).to(self._device)
            clean = model(image[None, :, :, None]).reshape(padded.shape).cpu().numpy()
        result: Float = (mean + (clean - 0.5) / scale).astype(np.float32)
        return result[:rows, :columns]

    def _model(self, rows: int, columns: int) -> Any:
        """Make the network, which is built for one size of images."""
        from deepdespeckling.model import Model

        model = Model(self._device, height=rows, width=columns)
        model.load_state_dict(self._weights["model_state_dict"])
        return model.eval()


class Mulog(SarPeer):
    """MuLoG with the BM3D of its package."""

    method = "mulog"

    def despeckle(self, crop: Float, sigma: float) -> Float:
        """Despeckle one crop in [0, 1]."""
        from mulog.gaussian_denoisers import run_autoscaled_bm3d
        from mulog.mulog_algorithm import run_mulog

        intensity = 10.0 ** ((crop.astype(np.float64) - 1) * _RANGE_DB / 10)
        clean = run_mulog(intensity, looks_of(sigma), run_autoscaled_bm3d)
        floor = 10.0 ** (-2 * _RANGE_DB / 10)
        decibels = 10 * np.log10(np.maximum(np.real(clean), floor))
        result: Float = (1 + decibels / _RANGE_DB).astype(np.float32)
        return result
