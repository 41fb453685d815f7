"""One pass through a network that was trained to give what the flow would.

An amortized solver: what the other methods find for each image, by a gradient or by
iterations, a U-Net (:mod:`napari_usflow.networks`) has learned to give at once, from
MRI with simulated speckle, or with white noise. ``best`` has the same networks look at
each image several times, turned and mirrored, and takes the mean (self-ensemble:
Timofte and others, CVPR 2016).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from napari_usflow.denoise.contract import PRIOR_PIXEL, Denoiser, Frame, method
from napari_usflow.denoise.library_call import call_in_thread
from napari_usflow.denoise.turns import EIGHT, UPRIGHT, turned, turned_back
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.networks.limits import within_what_is_seen
from napari_usflow.networks.store import Network, load_network
from napari_usflow.parameters import parameter

__all__ = ["Amortized", "AmortizedParams", "Best", "Realtime"]

_TILE = 768
_MARGIN = 64
"""Less than the farthest that a pixel depends on, some 116 pixels: the tiles of an
image 800 pixels deep differ from the whole by 0.12 dB at most."""

_NETWORKS = {"speckle": "realtime", "white": "realtime-white"}

# Sound sees depth better than width: speckle that is turned by a quarter is none that a
# scanner makes.
_TURNS = {"speckle": UPRIGHT, "white": EIGHT}


@dataclass(frozen=True)
class AmortizedParams:
    """Parameters of a network as a method."""

    noise: str = parameter(
        "speckle",
        help="what is to be taken away: speckle, or white noise as on MRI",
        choices=tuple(_NETWORKS),
    )
    backend: str = parameter(
        "torch",
        help="what computes the network; onnx, onnxruntime on the processor, is "
        "faster on processors without bfloat16",
        choices=("torch", "onnx"),
    )


class Amortized(Denoiser):
    """A denoiser that is a network."""

    Params = AmortizedParams
    uncertainties = ("spread", "disagreement")

    def loaded_network(self) -> Network:
        """Load the network, or the one whose file was given as prior.

        Raises
        ------
        ValueError
            When onnxruntime is asked for on another device than the processor.
        """
        device = self.device
        if self.params.backend == "onnx":
            if device not in ("auto", "cpu"):
                raise ValueError(
                    f"backend onnx computes on the processor, not on {device}; choose "
                    "device cpu, or backend torch"
                )
            device = "cpu"
        return load_network(self.prior or _NETWORKS[self.params.noise], device=device)

    def run(
        self,
        frame: Frame,
        *,
        sigma: float,
        seed: int,
        token: CancelToken,
        dynamic_range_db: float = 60.0,
        pixel_mm: tuple[float, float] = PRIOR_PIXEL,
    ) -> Generator[Event, None, Frame]:
        """See :meth:`Denoiser.run`. Nothing is random, and the range does not matter.

        A large frame is denoised in tiles, each with a margin of pixels around it that
        is then left out. They begin where the network's coarsest pixels do: it halves
        each of them in the same places as the whole frame.
        """
        network = self.loaded_network()
        result = np.empty_like(frame)
        multiple = network.unet.config.multiple
        tiles = [
            (rows, columns)
            for rows in _spans(frame.shape[0], multiple)
            for columns in _spans(frame.shape[1], multiple)
        ]
        for number, (rows, columns) in enumerate(tiles):
            around = (
                _around(rows, frame.shape[0], multiple),
                _around(columns, frame.shape[1], multiple),
            )
            clean = self._denoised(network, frame[around], sigma, token)
            inner = tuple(
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in zip((rows, columns), around, strict=True)
            )
            result[rows, columns] = clean[inner]
            yield Progress(number + 1, len(tiles), "tiles")
        return result

    def _denoised(
        self, network: Network, tile: Frame, sigma: float, token: CancelToken
    ) -> Frame:
        """Denoise a frame (Z, X), or a part of one, in one pass."""
        if self.params.backend == "onnx":
            return _by_onnxruntime(network, tile, sigma, token)
        return _by_torch(network, tile, sigma, token)

    def provenance(self) -> dict[str, Any]:
        """See :meth:`Denoiser.provenance`; adds the network, its hash, precision."""
        from napari_usflow.networks.precision import fast_type

        network = self.loaded_network()
        numbers = str(fast_type(network.device)).removeprefix("torch.")
        return {
            **super().provenance(),
            "network": network.name,
            "network_sha256": network.sha256,
            "device": str(network.device),
            "precision": "float32" if self.params.backend == "onnx" else numbers,
        }


@method
class Realtime(Amortized):
    """The network for clips and for looking live."""

    name = "realtime"
    title = "Network, real time"


@method
class Best(Amortized):
    """The mean of what the network says of an image turned and mirrored."""

    name = "best"
    title = "Network, best quality"

    def _denoised(
        self, network: Network, tile: Frame, sigma: float, token: CancelToken
    ) -> Frame:
        turns = _TURNS[self.params.noise]
        total = np.zeros_like(tile)
        for turn in turns:
            found = super()._denoised(network, turned(tile, turn), sigma, token)
            total += turned_back(found, turn)
        result: Frame = total / np.float32(len(turns))
        return result


def _by_torch(network: Network, tile: Frame, sigma: float, token: CancelToken) -> Frame:
    import torch

    unet = network.in_fast_type()
    level = torch.tensor([sigma], dtype=torch.float32, device=network.device)
    noisy = torch.from_numpy(np.ascontiguousarray(tile))[None, None]
    noisy = noisy.to(network.device)
    with torch.inference_mode():
        clean = unet(noisy, level, token.raise_if_cancelled)
        clean = within_what_is_seen(clean, noisy)
    result: Frame = clean[0, 0].cpu().numpy()
    return result


def _by_onnxruntime(
    network: Network, tile: Frame, sigma: float, token: CancelToken
) -> Frame:
    from napari_usflow.networks.onnx_session import onnx_pass

    compute, stop = onnx_pass(network, tile, sigma)
    try:
        return call_in_thread(compute, token)
    except Cancelled:
        stop()
        raise


def _spans(size: int, multiple: int) -> list[slice]:
    """Cut an axis into tiles of about the same size that begin at a multiple."""
    count = max(1, -(-size // _TILE))
    edges = multiple * np.linspace(0, size / multiple, count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise([*edges[:-1], size])]


def _around(span: slice, size: int, multiple: int) -> slice:
    """Add the margin, as far as there are pixels, from a multiple on."""
    start = max(0, span.start - _MARGIN) // multiple * multiple
    return slice(start, min(size, span.stop + _MARGIN))
