"""The arithmetic of delay-and-sum on a Cartesian grid: delays, apodization, sum.

What is summed are the fine analytic signals of
:mod:`~napari_usflow.ultrasound.beamform.analytic_records`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken
from napari_usflow.ultrasound.beamform.analytic_records import (
    FineRecords,
    Traces,
    check_budget,
)
from napari_usflow.ultrasound.data import ChannelData, PixelGrid, PlaneWave

if TYPE_CHECKING:
    import torch

__all__ = [
    "TUKEY_FRACTION",
    "DelayAndSum",
    "Outgoing",
    "check_positive",
    "receive_apodization",
]

TUKEY_FRACTION = 0.25
"""Part of the receive aperture over which its window falls."""

# Pixels times transmits read at a time; on a CPU the temporaries then stay in cache.
_BLOCK_CPU, _BLOCK_ACCELERATOR = 2**17, 2**22
# Few rows at a time, so that a block's aperture hardly grows with its depth.
_BLOCK_ROWS = 64
# Bytes of a block's temporaries, a pixel and transmit.
_BLOCK_BYTES = 48


def receive_apodization(distance: torch.Tensor, aperture: torch.Tensor) -> torch.Tensor:
    """Tukey window (25 %) over the receive aperture.

    Parameters
    ----------
    distance : Tensor
        Lateral distance between pixel and element, >= 0.
    aperture : Tensor
        Width of the aperture in the same unit; broadcast against ``distance``.

    Returns
    -------
    Tensor
        With d/a the relative distance and r = 0.25: 1 up to (1 - r)/2, then
        (1 + cos(2 pi / r (d/a - r/2 - 1/2))) / 2, and 0 from 1/2 on, as in the
        reference code of PICMUS. An aperture <= 0 sees nothing.
    """
    r = TUKEY_FRACTION
    # The floor keeps 0 / 0 out of the image's first row when it lies on the array.
    relative = distance / aperture.clamp(min=1e-9)
    relative = relative.clamp((1 - r) / 2, 0.5)
    return 0.5 * (1 + (2 * math.pi / r * (relative - r / 2 - 0.5)).cos())


def check_positive(**values: float | None) -> None:
    """Refuse parameters that are not positive; None is left alone."""
    for name, value in values.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive, got {value}")


@dataclass(frozen=True)
class Outgoing:
    """When the waves of some transmits are at the pixels, in fine samples.

    A plane wave's time is a sum of one term a row and one a column; other waves have
    a time for each pixel.

    Attributes
    ----------
    down, across : Tensor, shape (transmits, Z) and (transmits, X), optional
        The two terms, for plane waves.
    whole : Tensor, shape (transmits, Z, X), optional
        The sum, for other waves.
    """

    down: torch.Tensor | None
    across: torch.Tensor | None
    whole: torch.Tensor | None

    def at(self, rows: slice, columns: slice) -> torch.Tensor:
        """Return the times of a block, shape (transmits, rows, columns)."""
        if self.down is not None and self.across is not None:
            return self.down[:, rows, None] + self.across[:, None, columns]
        assert self.whole is not None
        return self.whole[:, rows, columns]


@dataclass(frozen=True)
class DelayAndSum(FineRecords):
    """One acquisition seen from one grid.

    Attributes
    ----------
    z_m, x_m : ndarray
        Pixel centres in metres, axial and lateral.
    f_number : float
        Depth over receive aperture.
    """

    z_m: npt.NDArray[np.float64]
    x_m: npt.NDArray[np.float64]
    f_number: float

    @classmethod
    def on_grid(
        cls,
        data: ChannelData,
        grid: PixelGrid,
        f_number: float,
        bandwidth: float | None,
        device: torch.device,
    ) -> DelayAndSum:
        """Check the parameters and take the axes from a grid."""
        check_positive(f_number=f_number, bandwidth=bandwidth)
        z_mm, x_mm = grid.axes_mm()
        return cls(data, bandwidth, device, 1e-3 * z_mm, 1e-3 * x_mm, f_number)

    def transmits_at_once(self, n_transmits: int, budget: int) -> int:
        """Return how many transmits fit in a memory budget (bytes), at least one.

        Raises
        ------
        ValueError
            When not even one does.
        """
        n_pixels = self.z_m.size * self.x_m.size
        # The image and its copies, the last of which is compressed in double precision.
        image = n_pixels * 40
        one = self.bytes_of_transmit()
        if not self._is_plane:
            # A time for each pixel, in double precision until all are there.
            one += n_pixels * 16
        block = _BLOCK_BYTES * max(self._block_size, n_transmits * self.x_m.size)
        check_budget("beamforming", image + block + one, budget)
        return min(n_transmits, (budget - image - block) // one)

    @property
    def _is_plane(self) -> bool:
        return isinstance(self.data.transmits[0], PlaneWave)

    def outgoing(self, group: npt.NDArray[np.intp]) -> Outgoing:
        """Time from the first sample of the traces until each wave is at the pixels.

        Parameters
        ----------
        group : ndarray, shape (transmits,)
            Which transmits.
        """
        per_m = self.fine_hz / self.data.sound_speed_m_s
        # Sample 0 of the traces is the zero put before the record.
        start = 1 - self.data.start_time_s[group] * self.fine_hz
        waves = [self.data.transmits[t] for t in group]
        if self._is_plane:
            down, across = (
                np.stack([per_m * wave.path_m(z, x) for wave in waves])
                for z, x in ((self.z_m, 0.0), (0.0, self.x_m))
            )
            return Outgoing(
                self._tensor(down + start[:, None]), self._tensor(across), None
            )
        import torch

        z, x = self.z_m[:, None], self.x_m[None]
        times = [
            self._tensor(per_m * wave.path_m(z, x) + first)
            for wave, first in zip(waves, start, strict=True)
        ]
        return Outgoing(None, None, torch.stack(times))

    def add_channel(
        self,
        image: torch.Tensor,
        traces: Traces,
        channel: int,
        outgoing: Outgoing,
        token: CancelToken | None,
    ) -> None:
        """Add what one element received from all the pixels that it serves.

        Parameters
        ----------
        image : Tensor, shape (2, Z, X), float32
            Real and imaginary part, changed in place.
        traces : tuple of Tensor
            From :meth:`traces`.
        channel : int
            Index of the element.
        outgoing : Outgoing
            Of the transmits that the traces are of, from :meth:`outgoing`.
        token : CancelToken, optional
            Looked at between two blocks.
        """
        import torch

        data = self.data
        x_element, _, z_element = data.element_positions_m[channel]
        per_m = self.fine_hz / data.sound_speed_m_s
        count, length = traces[0].shape
        offset = torch.arange(count, dtype=torch.int32, device=self.device)
        offset = (offset * length)[:, None, None]
        parts = [part.reshape(-1) for part in traces]
        for rows, columns in self._blocks(x_element, count):
            if token is not None:
                token.raise_if_cancelled()
            depth = self._tensor(self.z_m[rows])[:, None]
            aside = self._tensor(np.abs(self.x_m[columns] - x_element))
            echo = per_m * torch.hypot(depth - z_element, aside)
            position = outgoing.at(rows, columns) + echo
            position.clamp_(0, length - 2)
            index = position.to(torch.int32)
            fraction = (position - index).view(-1)
            index = (index + offset).view(-1)
            weight = receive_apodization(aside, depth / self.f_number)
            for target, part in zip(image, parts, strict=True):
                value = torch.lerp(
                    part.index_select(0, index),
                    part.index_select(0, index + 1),
                    fraction,
                )
                target[rows, columns] += weight * value.view(position.shape).sum(0)

    @property
    def _block_size(self) -> int:
        return _BLOCK_CPU if self.device.type == "cpu" else _BLOCK_ACCELERATOR

    def _blocks(
        self, x_element: float, n_transmits: int
    ) -> Iterator[tuple[slice, slice]]:
        """Cut the image into rows and leave out columns whose aperture ends before."""
        row = n_transmits * self.x_m.size
        height = min(_BLOCK_ROWS, max(1, self._block_size // row))
        for top in range(0, self.z_m.size, height):
            rows = slice(top, min(top + height, self.z_m.size))
            reach = max(float(self.z_m[rows].max()), 0.0) / self.f_number / 2
            first, last = np.searchsorted(
                self.x_m, (x_element - reach, x_element + reach)
            )
            if first < last:
                yield rows, slice(int(first), int(last))
