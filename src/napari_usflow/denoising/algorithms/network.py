"""Feed-forward denoising with a trained U-Net.

The networks (:mod:`napari_usflow.networks`) were trained on MRI with simulated speckle
of any grain, or with white noise. They work at the image's own pixel. The speckle
network is blind: it needs no noise level. ``best`` averages the results of the same
network for mirrored and shifted copies of the image (self-ensemble: Timofte and others,
CVPR 2016; cycle spinning: Coifman and Donoho 1995).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from napari_usflow.denoising.algorithms.cancellable_call import call_in_thread
from napari_usflow.denoising.algorithms.symmetries import (
    EIGHT,
    UPRIGHT,
    turned,
    turned_back,
)
from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser, Run, method
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.working_pixel import WorkingPixel, grain_steps
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import Event, Progress, share_of
from napari_usflow.networks.store import Network, load_network
from napari_usflow.parameters import parameter

__all__ = ["Best", "NetworkDenoiser", "NetworkParams", "Realtime"]

_TILE = 768
_MARGIN = 64
"""Less than the farthest that a pixel depends on, some 116 pixels: the tiles of an
image 800 pixels deep differ from the whole by 0.12 dB at most."""

_NETWORKS = {"speckle": "realtime", "white": "realtime-white"}

# The grain of speckle has a direction: it is mirrored, but not turned by a quarter.
_SYMMETRIES = {"speckle": UPRIGHT, "white": EIGHT}

_SHIFTS = {"speckle": ((0, 0), (3, 5)), "white": ((0, 0),)}
"""Rows and columns by which the image is moved against the network's coarse pixels."""

_COARSEST_GRAIN = 4.5
"""Grain that is wider (standard deviation in pixels) is sampled more coarsely."""

_SAMPLED_GRAIN = 2.5


@dataclass(frozen=True)
class NetworkParams:
    """Parameters of a network as a method."""

    noise: str = parameter(
        "auto",
        help="Kind of noise: speckle, white noise as on MRI, or whichever is measured",
        choices=("auto", *_NETWORKS),
    )
    backend: str = parameter(
        "torch",
        help="what computes the network; onnx, onnxruntime on the processor, is "
        "faster on processors without bfloat16",
        choices=("torch", "onnx"),
    )


class NetworkDenoiser(Denoiser):
    """A denoiser that is a network."""

    Params = NetworkParams
    params: NetworkParams
    uncertainties = ("spread", "disagreement")

    @property
    def blind(self) -> bool:  # type: ignore[override]
        """Return whether the network needs no noise level, as that for speckle."""
        return bool(self.params.noise != "white")

    @property
    def needs_noise(self) -> bool:
        """See :attr:`Denoiser.needs_noise`."""
        return bool(self.params.noise != "speckle")

    def suited(self, noise: Noise) -> Denoiser:
        """Return the method with the network for this noise."""
        if self.params.noise != "auto" or self.weights is not None:
            return self
        kind = "white" if noise.white else "speckle"
        params = replace(self.params, noise=kind)
        return type(self)(params, device=self.device)

    def working_pixel(self, noise: Noise) -> WorkingPixel:
        """Return the image's own pixel, or a coarser one for an oversampled image."""
        return WorkingPixel(
            grain_steps(noise.grain, _SAMPLED_GRAIN, from_=_COARSEST_GRAIN)
        )

    def loaded_network(self) -> Network:
        """Load the network, or the one whose file was given as weights.

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
        kind = "speckle" if self.params.noise == "auto" else self.params.noise
        name = _NETWORKS[kind] if self.weights is None else self.weights
        return load_network(name, device=device)

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
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
            clean = self._denoised(network, frame[around], run)
            inner = tuple(
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in zip((rows, columns), around, strict=True)
            )
            result[rows, columns] = clean[inner]
            yield Progress(number + 1, len(tiles), "tiles")
        return result

    def _denoised(self, network: Network, tile: Frame, run: Run) -> Frame:
        """Denoise a frame (Z, X), or a part of one, in one pass."""
        if self.params.backend == "onnx":
            return _by_onnxruntime(network, tile, run)
        from napari_usflow.networks.inference import network_pass

        return network_pass(network, tile, run.sigma, run.token)

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
class Best(NetworkDenoiser):
    """The average over mirrored and shifted copies of the image (self-ensemble)."""

    name = "best"
    title = "Network, best quality"

    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """See :meth:`NetworkDenoiser.run`. Each copy of the frame is cut into tiles."""
        kind = "white" if self.params.noise == "white" else "speckle"
        copies = [(s, shift) for s in _SYMMETRIES[kind] for shift in _SHIFTS[kind]]
        total = np.zeros_like(frame)
        for number, (symmetry, (rows, columns)) in enumerate(copies):
            seen = turned(frame, symmetry)
            moved = np.pad(seen, ((rows, 0), (columns, 0)), mode="symmetric")
            events = super().run(moved, run)
            clean = yield from share_of(events, number, len(copies))
            total += turned_back(clean[rows:, columns:], symmetry)
        result: Frame = total / np.float32(len(copies))
        return result


@method
class Realtime(NetworkDenoiser):
    """One pass of the network, for clips and for looking live."""

    name = "realtime"
    title = "Network, real time"


def _by_onnxruntime(network: Network, tile: Frame, run: Run) -> Frame:
    from napari_usflow.networks.onnx_session import onnx_pass

    compute, stop = onnx_pass(network, tile, run.sigma)
    try:
        return call_in_thread(compute, run.token)
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
