"""Blockwise non-local means with the Pearson distance, exactly and without pixel loops.

Block centres ``i`` lie ``n`` pixels apart, a block ``B_i`` has ``2 a + 1`` pixels a
side, and blocks ``B_j`` are compared with it whose centres are at most ``M`` pixels
away along each axis. The block becomes ``sum_j w(i, j) v(B_j)`` with

    w(i, j) = exp(-d(i, j) / h^2) / Z_i
    d(i, j) = mean over the block of (u(B_i) - u(B_j))^2 / u(B_j)

(Coupe, Hellier, Kervrann and Barillot, IEEE Trans. Image Process. 18, 2009, with
gamma = 1/2; their d is the sum), and a pixel becomes the mean of all blocks that cover
it. Taken offset by offset, ``j = i + o``, this needs nothing but box filters: the
distances of all blocks are the box mean of ``(u - u_o)^2 / u_o``, seen at the block
centres only; and since pixel ``x`` of every block is given ``v(x + o)``, what all
blocks add to the image is ``box(w_o / Z) v_o``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from napari_usflow.denoising.algorithms.blockwise_layout import (
    Array,
    BlockLayout,
    Offset,
)
from napari_usflow.jobs import CancelToken, Event, Progress

__all__ = ["BlockMeans"]

_LEAST_WEIGHT = 1e-30
"""Below this no other block is similar at all."""


@dataclass(frozen=True)
class BlockMeans:
    """The filter.

    Attributes
    ----------
    search : int
        M, in pixels.
    block : int
        a, in pixels.
    step : int
        n, at most 2 a + 1.
    h : float
        Filter strength, in units of the root of u.
    mean_test : float
        mu1 in [0, 1): a block takes part where mu1 < mean(B_i) / mean(B_j) < 1 / mu1;
        0 lets all take part.
    center_is_max : bool
        Whether a block counts for itself as much as the most similar of the others
        does, instead of exp(0) = 1.
    """

    search: int
    block: int
    step: int
    h: float
    mean_test: float = 0.0
    center_is_max: bool = False

    def __post_init__(self) -> None:
        side = 2 * self.block + 1
        if not 1 <= self.step <= side:
            raise ValueError(
                f"blocks of {side} pixels every {self.step} pixels leave gaps; the "
                f"step must lie in [1, {side}]"
            )

    def run(
        self, values: Array, u: Array, token: CancelToken
    ) -> Generator[Event, None, Array]:
        """Filter an image, mirrored beyond its edges.

        Parameters
        ----------
        values : ndarray, shape (Z, X), float32 or float64
            v, what is averaged.
        u : ndarray, shape (Z, X), same dtype, > 0
            What is compared.
        token : CancelToken
            Looked at before each offset.

        Yields
        ------
        Progress

        Returns
        -------
        ndarray, shape (Z, X), same dtype
        """
        layout = BlockLayout(
            (values.shape[0], values.shape[1]), self.search, self.block, self.step
        )
        images = _Images.of(layout, values, u, token)
        total = np.zeros(layout.region(layout.centers[0]), values.dtype)
        covered = np.zeros_like(total)
        bands = list(layout.bands())
        steps = 2 * len(layout.offsets) * len(bands)
        done = 0
        for first, count in bands:
            band = _Band(self, layout, images, first, count)
            rows = slice(self.step * first, self.step * (first + count + layout.full))
            for passes in (band.weigh(), band.average(total[:, rows])):
                for _ in passes:
                    token.raise_if_cancelled()
                    done += 1
                    if done % layout.side == 0:
                        yield Progress(done, steps, "offsets")
            band.cover(covered[:, rows])
        total /= np.maximum(covered, 1)
        return layout.image(total)


@dataclass(frozen=True)
class _Images:
    """Planes of what is averaged, of what is compared, and of its reciprocal."""

    values: Array
    u: Array
    reciprocal: Array

    @classmethod
    def of(
        cls, layout: BlockLayout, values: Array, u: Array, token: CancelToken
    ) -> _Images:
        """Lay the images out, which takes a moment where they are large."""
        token.raise_if_cancelled()
        of_values = layout.planes(values)
        token.raise_if_cancelled()
        of_u = layout.planes(u)
        token.raise_if_cancelled()
        return cls(of_values, of_u, 1 / of_u)


class _Band:
    """Some rows of block centres, and the arrays that every offset writes anew."""

    def __init__(
        self,
        kind: BlockMeans,
        layout: BlockLayout,
        images: _Images,
        first: int,
        count: int,
    ) -> None:
        self._kind, self._layout, self._images = kind, layout, images
        self._place = (first, count)
        self._full, self._rest, self._step = layout.full, layout.rest, kind.step
        dtype, columns, margin = images.u.dtype, layout.centers[1], 2 * layout.full
        region = layout.region(count)
        self._at_pixels = np.empty(region, dtype)
        groups = (kind.step, count + layout.full - 1, region[2])
        self._row_groups = np.empty(groups, dtype)
        self._row_sums = np.empty((kind.step, count, region[2]), dtype)
        self._groups = np.empty((count, region[2]), dtype)
        # Zeros around the weights spare the way back its special cases at the edges.
        self._padded = np.zeros((count + margin, columns + margin), dtype)
        inside = slice(layout.full, -layout.full)
        self._share = self._padded[inside, inside]
        self._in_rows = np.empty((region[1], columns + margin), dtype)
        self._weights = np.empty((len(layout.offsets), count, columns), dtype)
        self._norm = np.empty((count, columns), dtype)

    def weigh(self) -> Iterator[None]:
        """Find the weights of all offsets; pause before each."""
        kind, u = self._kind, self._images.u
        own = self._see(u, (0, 0))
        own_sum, other_sum = np.empty_like(self._norm), np.empty_like(self._norm)
        self._box_at_centers(own, out=own_sum)
        # Any larger factor gives the same weights, and infinity times 0 is no number.
        factor = min((2 * kind.block + 1) ** -2 * max(kind.h, 1e-15) ** -2, 1e30)
        for weights, offset in zip(self._weights, self._layout.offsets, strict=True):
            yield
            difference = self._at_pixels
            np.subtract(own, self._see(u, offset), out=difference)
            np.multiply(difference, difference, out=difference)
            difference *= self._see(self._images.reciprocal, offset)
            self._box_at_centers(difference, out=weights)
            weights *= -factor
            np.exp(weights, out=weights)
            if kind.mean_test:
                self._box_at_centers(self._see(u, offset), out=other_sum)
                brighter = own_sum * kind.mean_test >= other_sum
                darker = other_sum * kind.mean_test >= own_sum
                weights[brighter | darker] = 0
        if kind.center_is_max:
            center = self._weights[len(self._weights) // 2]
            center[:] = 0
            largest = self._weights.max(axis=0)
            center[:] = np.where(largest > _LEAST_WEIGHT, largest, 1)
        np.divide(1, self._weights.sum(axis=0), out=self._norm)

    def average(self, total: Array) -> Iterator[None]:
        """Add what the blocks become to their pixels; pause before each offset."""
        for weights, offset in zip(self._weights, self._layout.offsets, strict=True):
            yield
            np.multiply(weights, self._norm, out=self._share)
            spread = self._box_to_pixels()
            spread *= self._see(self._images.values, offset)
            total += spread

    def cover(self, covered: Array) -> None:
        """Add how many blocks cover each pixel."""
        self._share[:] = 1
        covered += self._box_to_pixels()

    def _see(self, planes: Array, offset: Offset) -> Array:
        return self._layout.shifted(planes, offset, *self._place)

    def _box_at_centers(self, region: Array, *, out: Array) -> None:
        """Sum each block: the rows of all planes first, then planes and columns."""
        count, columns = out.shape
        rows = [region[:, p :: self._step] for p in range(self._step)]
        few = [part[:, : count + self._full - 1] for part in rows]
        _run_sums(_sum(few, self._row_groups), self._full, 1, self._row_sums)
        for part in rows[: self._rest]:
            self._row_sums += part[:, self._full : self._full + count]
        _run_sums(_sum(list(self._row_sums), self._groups), self._full, 1, out)
        for plane in self._row_sums[: self._rest]:
            out += plane[:, self._full : self._full + columns]

    def _box_to_pixels(self) -> Array:
        """Sum for each pixel what the blocks that cover it hold.

        Of the pixels of a group the first ``rest`` see one more block than the others.
        """
        last, rest = self._step - 1, self._rest
        rows = [self._in_rows[p :: self._step] for p in range(self._step)]
        _run_sums(self._padded[1:], self._full, 0, rows[last])
        for p in range(last):
            if p < rest:
                np.add(rows[last], self._padded[: len(rows[p])], out=rows[p])
            else:
                rows[p][:] = rows[last]
        planes = self._at_pixels
        _run_sums(self._in_rows[:, 1:], self._full, 1, planes[last])
        for p in range(last):
            if p < rest:
                width = planes.shape[2]
                np.add(planes[last], self._in_rows[:, :width], out=planes[p])
            else:
                planes[p] = planes[last]
        return planes


def _sum(parts: list[Array], out: Array) -> Array:
    """Add arrays up, in ``out`` where there is more than one."""
    if len(parts) == 1:
        return parts[0]
    np.add(parts[0], parts[1], out=out)
    for part in parts[2:]:
        out += part
    return out


def _run_sums(array: Array, length: int, axis: int, out: Array) -> None:
    """Write the sums of ``length`` neighbours along an axis, as many as ``out`` has."""
    along = np.moveaxis(array, axis, 0)
    sums = np.moveaxis(out, axis, 0)
    sums[:] = along[: len(sums)]
    for first in range(1, length):
        sums += along[first : first + len(sums)]
