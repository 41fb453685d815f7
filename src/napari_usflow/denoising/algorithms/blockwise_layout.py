"""Where the blocks of an image lie, and how it is laid out so that they lie together.

Columns are kept in ``n`` planes, every n-th column in each, so that what is seen or
written at every n-th place lies side by side in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "BlockLayout", "Offset"]

Array = npt.NDArray[Any]
Offset = tuple[int, int]

_BAND_PIXELS = 100_000
"""Pixels worked on at once: the arrays of an offset then stay in a core's cache."""

_BAND_WEIGHTS = 4_000_000
"""Weights kept at once, until the sum over all offsets is known."""


class BlockLayout:
    """Where blocks and planes lie for an image of a given size.

    Attributes
    ----------
    centers : (int, int)
        Rows and columns of block centres, the first at pixel (0, 0). The last lie in
        the mirrored margin where the image would not be covered otherwise.
    full, rest : int
        A box holds ``full`` whole groups of n pixels and ``rest`` more.
    offsets : list of (int, int)
        From a block to those it is compared with, itself in the middle.
    side : int
        How many offsets there are along each axis.

    Parameters
    ----------
    shape : (int, int)
        Of the image (axial, lateral).
    search, block, step : int
        M, a and n of :mod:`napari_usflow.denoising.algorithms.blockwise_nlm`.
    """

    def __init__(
        self, shape: tuple[int, int], search: int, block: int, step: int
    ) -> None:
        self._shape = shape
        self._reach, self._block, self._step = search, block, step
        self.full, self.rest = divmod(2 * block + 1, step)
        # The last center within the image, or the first whose block covers its end.
        last = [max((n - 1) // step, -((block + 1 - n) // step)) for n in shape]
        self.centers = (last[0] + 1, last[1] + 1)
        reach = range(-search, search + 1)
        self.side = len(reach)
        self.offsets: list[Offset] = [(z, x) for z in reach for x in reach]

    def region(self, rows_of_centers: int) -> tuple[int, int, int]:
        """Planes, rows and columns that the blocks of so many rows of centres reach."""
        rows, columns = rows_of_centers + self.full, self.centers[1] + self.full
        return self._step, self._step * rows, columns

    def bands(self) -> Iterator[tuple[int, int]]:
        """Cut the rows of centres into (first, count) of about equal size."""
        rows, columns = self.centers
        most = max(
            1,
            min(
                _BAND_PIXELS // (self._step**2 * columns),
                _BAND_WEIGHTS // (len(self.offsets) * columns),
            ),
        )
        count = -(-rows // -(-rows // most))
        for first in range(0, rows, count):
            yield first, min(count, rows - first)

    def planes(self, image: Array) -> Array:
        """Lay an image out: ``planes[p][z, k]`` is pixel ``n k + p`` of padded row z.

        There are 2 n - 1 planes, so that those of an image that is shifted by any
        number of pixels are n neighbours.
        """
        n, reach = self._step, self._reach
        _, rows, columns = self.region(self.centers[0])
        before = reach + self._block
        wanted = (rows + 2 * reach, n * columns + 2 * reach + 2 * n)
        after = [w - before - size for w, size in zip(wanted, image.shape, strict=True)]
        padded = np.pad(image, [(before, end) for end in after], mode="symmetric")
        width = columns + 2 * reach // n + 1
        return np.stack([padded[:, p : p + n * width : n] for p in range(2 * n - 1)])

    def shifted(self, planes: Array, offset: Offset, first: int, count: int) -> Array:
        """See the region of a band of centres, shifted by an offset."""
        depth, rows, columns = self.region(count)
        top = self._reach + offset[0] + self._step * first
        left, plane = divmod(self._reach + offset[1], self._step)
        return planes[plane : plane + depth, top : top + rows, left : left + columns]

    def image(self, region: Array) -> Array:
        """Put the planes of the whole region together, without its margin."""
        depth, rows, columns = region.shape
        whole = region.transpose(1, 2, 0).reshape(rows, depth * columns)
        a, (height, width) = self._block, self._shape
        return np.ascontiguousarray(whole[a : a + height, a : a + width])
