"""The prior as its users see it: numpy arrays in, numpy arrays out."""

from __future__ import annotations

import copy
import hashlib
import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_usflow.device import choose_device, computes_bfloat16
from napari_usflow.errors import PriorError
from napari_usflow.prior.glow import Glow
from napari_usflow.prior.store import load_weights, resolve

__all__ = ["FlowPrior", "load_prior"]

_BATCH = 64
Float = npt.NDArray[np.float32]


class FlowPrior:
    """A density of small image patches, with white noise of a chosen level.

    Attributes
    ----------
    flow : Glow
        The network, on its device, without gradients for its weights.
    card : dict
        The header of its file.
    name, sha256 : str
        File name without ending; hash of the file.
    """

    def __init__(
        self, flow: Glow, card: dict[str, Any], name: str, sha256: str
    ) -> None:
        self.flow = flow.requires_grad_(False)
        self.card, self.name, self.sha256 = card, name, sha256

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self.flow.config.patch_size

    @property
    def pixel_mm(self) -> float:
        """Pixel size in mm; PriorError when its file does not state one."""
        if "pixel_mm" not in self.card:
            raise PriorError(f"{self.name}: its header states no pixel_mm")
        return float(self.card["pixel_mm"])

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The noise levels the flow knows, as fractions of the value range."""
        config = self.flow.config
        return config.sigma_min, (
            config.sigma_max if config.conditional else config.sigma_min
        )

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.flow.parameters()).device

    @cached_property
    def fast_flow(self) -> Glow:
        """The flow for posterior means: the same weights, in half the time or so.

        The networks inside the couplings compute in bfloat16, in which the flow was
        trained, where the processor does so by itself; scales, shifts and the
        log-determinant stay float32. Posterior means differ by 0.2 % of the noise, at a
        noise of 0.01 by 1 %. What needs an inverse or a density takes :attr:`flow`.
        """
        if not computes_bfloat16(self.device):
            return self.flow
        fast = copy.deepcopy(self.flow)
        fast.load_state_dict(self.flow.state_dict(), assign=True)  # shares the weights
        fast.set_compute_dtype(torch.bfloat16)
        return fast.requires_grad_(False)

    def require_noise_levels(self) -> None:
        """Raise PriorError when the flow was trained at one noise level only."""
        if not self.flow.config.conditional:
            raise PriorError(
                f"prior {self.name!r} was trained without noise levels, so it has no "
                "posterior mean; use the method flow-map, or another prior"
            )

    def log_prob(self, x: npt.ArrayLike, sigma: float | None = None) -> Float:
        """Log-density in nats of patches (N, S, S) in [0, 1]; shape (N,).

        ``sigma`` is the noise standard deviation in ``x``; the smallest when omitted.
        """
        return self._map(lambda p: self.flow.log_prob(p, sigma), self._patches(x))

    def encode(self, x: npt.ArrayLike, sigma: float | None = None) -> Float:
        """Latents (N, S * S) of patches (N, S, S)."""
        return self._map(lambda p: self.flow(p, sigma)[0], self._patches(x))

    def decode(self, z: npt.ArrayLike, sigma: float | None = None) -> Float:
        """Patches (N, S, S) of latents (N, S * S)."""
        latents = np.asarray(z, dtype=np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.flow.dimension:
            raise ValueError(
                f"latents must be (N, {self.flow.dimension}), got {latents.shape}"
            )
        return self._map(lambda v: self.flow.inverse(v, sigma)[:, 0], latents)

    def sample(self, n: int, temperature: float = 1.0, *, seed: int = 0) -> Float:
        """Draw patches (n, S, S); a temperature below 1 draws likelier ones."""
        rng = np.random.default_rng(seed)
        return self.decode(
            temperature
            * rng.standard_normal((n, self.flow.dimension), dtype=np.float32)
        )

    def posterior_mean(self, y: npt.ArrayLike, sigma: float) -> Float:
        """Denoise patches (N, S, S) that hold white noise of std ``sigma``."""
        self.require_noise_levels()
        return self._map(
            lambda p: self.flow.posterior_mean(p, sigma)[0][:, 0], self._patches(y)
        )

    def _patches(self, x: npt.ArrayLike) -> Float:
        patches = np.asarray(x, dtype=np.float32)
        size = self.patch_size
        if patches.ndim != 3 or patches.shape[1:] != (size, size):
            raise ValueError(
                f"patches must be (N, {size}, {size}), got {patches.shape}"
            )
        return patches[:, None]

    def _map(self, function: Any, array: Float) -> Float:
        with torch.no_grad():
            parts = [
                function(torch.from_numpy(part).to(self.device)).cpu().numpy()
                for part in np.array_split(array, max(1, -(-len(array) // _BATCH)))
            ]
        return np.concatenate(parts)


def load_prior(
    name_or_path: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> FlowPrior:
    """Load a prior: a density of image patches learned from MRI.

    Parameters
    ----------
    name_or_path : str or path, optional
        A shipped prior's name or a ``.safetensors`` file; the default prior when
        omitted.
    device : str
        See :func:`napari_usflow.device.choose_device`.

    Returns
    -------
    FlowPrior

    Raises
    ------
    PriorError
        When there is no such prior or its file cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> prior = usf.load_prior(device="cpu")
    >>> patches = prior.sample(2, temperature=0.7)
    >>> patches.shape, prior.pixel_mm
    ((2, 32, 32), 0.4375)
    >>> noisy = patches + 0.1 * np.random.default_rng(0).normal(size=patches.shape)
    >>> clean = prior.posterior_mean(noisy, 0.1)
    >>> bool(np.std(clean - patches) < np.std(noisy - patches))
    True
    """
    path = resolve(name_or_path)
    return _load(path, path.stat().st_mtime_ns, str(choose_device(device)))


@lru_cache(maxsize=2)
def _load(path: Path, changed_ns: int, device: str) -> FlowPrior:
    # The time of the last change is part of the key: a file that training has just
    # written again is read again.
    del changed_ns
    flow, card = load_weights(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FlowPrior(flow.to(device), card, path.stem, digest)
