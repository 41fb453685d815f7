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
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow.denoise.contract import PRIOR_PIXEL, Denoiser, Frame, method
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.networks.store import Network, load_network
from napari_usflow.parameters import parameter

if TYPE_CHECKING:
    import torch

__all__ = ["Amortized", "Best", "NetworkParams", "Realtime"]

_TILE = 768
_MARGIN = 64
_NEARBY = 7


_NETWORKS = {"speckle": "realtime", "white": "realtime-white"}

# (quarter turns, mirrored). Sound sees depth better than width: speckle that is turned
# by a quarter is none that a scanner makes.
_MIRRORED = ((0, False), (0, True), (2, False), (2, True))
_QUARTERS = ((1, False), (1, True), (3, False), (3, True))
_TURNS = {"speckle": _MIRRORED, "white": _MIRRORED + _QUARTERS}


@dataclass(frozen=True)
class NetworkParams:
    """What a network has to be told."""

    noise: str = parameter(
        "speckle",
        help="what is to be taken away: speckle, or white noise as on MRI",
        choices=tuple(_NETWORKS),
    )


class Amortized(Denoiser):
    """A denoiser that is a network."""

    Params = NetworkParams

    @property
    def turns(self) -> tuple[tuple[int, bool], ...]:
        """Quarter turns, and whether mirrored, of the images that the network sees."""
        return ((0, False),)

    def loaded_network(self) -> Network:
        """Load the network, or the one whose file was given as prior."""
        return load_network(
            self.prior or _NETWORKS[self.params.noise], device=self.device
        )

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
        import torch

        from napari_usflow.networks.precision import fast_arithmetic

        network = self.loaded_network()
        level = torch.tensor([sigma], dtype=torch.float32, device=network.device)
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
            tile = torch.from_numpy(np.ascontiguousarray(frame[around]))
            noisy = tile[None, None].to(network.device)
            with torch.inference_mode(), fast_arithmetic(network.device):
                clean = torch.zeros_like(noisy)
                for turn in self.turns:
                    seen = _turned(noisy, turn).contiguous()
                    found = network.unet(seen, level, token.raise_if_cancelled)
                    clean += _turned_back(found.float(), turn) / len(self.turns)
                clean = _within_what_is_seen(clean, noisy)
            inner = tuple(
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in zip((rows, columns), around, strict=True)
            )
            result[rows, columns] = clean[0, 0].float().cpu().numpy()[inner]
            yield Progress(number + 1, len(tiles), "tiles")
        return result

    def provenance(self) -> dict[str, Any]:
        """See :meth:`Denoiser.provenance`; adds the network and its hash."""
        network = self.loaded_network()
        return {
            **super().provenance(),
            "network": network.name,
            "network_sha256": network.sha256,
            "device": str(network.device),
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

    @property
    def turns(self) -> tuple[tuple[int, bool], ...]:
        """See :attr:`Amortized.turns`."""
        return _TURNS[self.params.noise]


def _turned(image: torch.Tensor, turn: tuple[int, bool]) -> torch.Tensor:
    """Turn an image (B, 1, Z, X), then mirror it from side to side."""
    quarters, mirrored = turn
    image = image.rot90(quarters, (-2, -1))
    return image.flip(-1) if mirrored else image


def _turned_back(image: torch.Tensor, turn: tuple[int, bool]) -> torch.Tensor:
    """Undo :func:`_turned`."""
    quarters, mirrored = turn
    return (image.flip(-1) if mirrored else image).rot90(-quarters, (-2, -1))


def _within_what_is_seen(clean: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """Limit a result to what the input shows nearby.

    No mean of what may be there lies beyond that; a network that is shown what it has
    never seen may.
    """
    from torch.nn.functional import max_pool2d

    def highest(image: torch.Tensor) -> torch.Tensor:
        return max_pool2d(image, _NEARBY, stride=1, padding=_NEARBY // 2)

    return clean.clamp(-highest(-noisy), highest(noisy))


def _spans(size: int, multiple: int) -> list[slice]:
    """Cut an axis into tiles of about the same size that begin at a multiple."""
    count = max(1, -(-size // _TILE))
    edges = multiple * np.linspace(0, size / multiple, count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise([*edges[:-1], size])]


def _around(span: slice, size: int, multiple: int) -> slice:
    """Add the margin, as far as there are pixels, from a multiple on."""
    start = max(0, span.start - _MARGIN) // multiple * multiple
    return slice(start, min(size, span.stop + _MARGIN))
