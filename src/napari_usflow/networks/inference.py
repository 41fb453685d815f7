"""One pass of a network over a frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from napari_usflow.jobs import CancelToken
from napari_usflow.networks.store import Network

__all__ = ["network_pass"]


def network_pass(
    network: Network,
    frame: npt.NDArray[np.float32],
    sigma: float,
    token: CancelToken | None = None,
) -> npt.NDArray[np.float32]:
    """Denoise a frame in one pass of a network with torch.

    Parameters
    ----------
    network : Network
    frame : ndarray, shape (Z, X), float32
    sigma : float
        Noise level, 0 where it is not known.
    token : CancelToken, optional
        Checked before each convolution.

    Returns
    -------
    ndarray, shape (Z, X), float32
    """
    unet = network.in_fast_type()
    level = torch.tensor([sigma], dtype=torch.float32, device=network.device)
    noisy = torch.from_numpy(np.ascontiguousarray(frame))[None, None]
    noisy = noisy.to(network.device)
    with torch.inference_mode():
        clean = unet(noisy, level, (token or CancelToken()).raise_if_cancelled)
    result: npt.NDArray[np.float32] = clean[0, 0].cpu().numpy()
    return result
