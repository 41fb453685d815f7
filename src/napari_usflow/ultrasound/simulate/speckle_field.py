"""The echo of random scatterers, its envelope, and the envelope on a coarser pixel.

The echo is made on a fine grid, the only one on which its carrier can be held, in
strips of whole columns: memory does not grow with the width of the picture, and the
scatterers are the same however wide the strips are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import pi, sqrt

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.ultrasound.simulate.speckle_grid import FineGrid

__all__ = ["envelope_events"]

Frame = npt.NDArray[np.float32]

# Of Rayleigh variables with scale 1, and of normal ones.
_VARIANCE = {"rayleigh": 2 - pi / 2, "normal": 1.0}


def envelope_events(
    picture: Frame,
    grid: FineGrid,
    *,
    amplitude: Callable[[Frame], Frame],
    scatterers: str,
    downscale: str,
    rng: np.random.Generator,
    token: CancelToken,
    label: str = "",
) -> Generator[Event, None, Frame]:
    """Simulate the envelope of the echo of a picture.

    Parameters
    ----------
    picture : ndarray, shape (Z, X), float32
        Is interpolated linearly, and goes on beyond its edges as it is there.
    grid : FineGrid
        For the picture's shape and the imaging system's point-spread function.
    amplitude : callable
        Turns interpolated values of the picture into amplitudes, of any shape.
    scatterers : {"rayleigh", "normal"}
        Their distribution.
    downscale : {"point", "db-mean", "envelope-mean"}
        What a pixel takes of the fine envelope: its value at the pixel's centre, or its
        geometric or arithmetic mean over the pixel's area.
    rng : Generator
        Draws the scatterers.
    token : CancelToken
        Looked at before every strip.
    label : str
        Goes with the progress.

    Yields
    ------
    Progress
        After every strip.

    Returns
    -------
    ndarray, shape (Z, X), float32
        Envelope; where the amplitude is 1 all around, its mean square is 1.

    Raises
    ------
    Cancelled
        When the token was set.
    """
    rows, columns = grid.shape
    margin_axial, margin_lateral = grid.margin
    depth = grid.samples(rows, 0)
    crowd = _Scatterers(rng, scatterers, depth)
    level = np.float32(1 / sqrt(_VARIANCE[scatterers] * _energy(grid)))
    z = np.arange(-margin_axial, depth - margin_axial) / grid.steps[0]
    envelope = np.empty((columns, rows), np.float32)
    width = grid.strip_width()
    for first in range(0, columns, width):
        token.raise_if_cancelled()
        last = min(first + width, columns)
        start = first * grid.steps[1] - margin_lateral
        stop = start + grid.samples(last - first, 1)
        lines = np.arange(start, stop)
        # Columns lie in memory one after the other, as the transforms like it.
        echo = amplitude(_interpolated(picture.T, lines / grid.steps[1], z))
        echo *= crowd.lines(start, stop)
        echo *= level
        envelope[first:last] = _pixels(echo, last - first, grid, downscale)
        yield Progress(last, columns, label)
    return np.ascontiguousarray(envelope.T)


class _Scatterers:
    """Lines of random scatterers, drawn from left to right.

    What was drawn is kept as long as the next strip may ask for it again.
    """

    def __init__(self, rng: np.random.Generator, kind: str, depth: int) -> None:
        self._rng, self._kind = rng, kind
        self._kept = np.empty((0, depth), np.float32)
        self._first: int | None = None

    def lines(self, start: int, stop: int) -> Frame:
        """Return the lines start to stop; start never decreases."""
        first = start if self._first is None else self._first
        fresh = self._draw(stop - first - len(self._kept))
        self._kept = np.concatenate([self._kept, fresh])[start - first :]
        self._first = start
        return self._kept

    def _draw(self, count: int) -> Frame:
        shape = (count, self._kept.shape[1])
        if self._kind == "normal":
            return self._rng.standard_normal(shape, np.float32)
        squared = self._rng.standard_exponential(shape, np.float32)
        squared *= 2
        return np.sqrt(squared, out=squared)


def _interpolated(
    columns: Frame, x: npt.NDArray[np.float64], z: npt.NDArray[np.float64]
) -> Frame:
    """Interpolate (X, Z) linearly at positions in pixels; constant outside."""
    for axis, positions in enumerate((x, z)):
        inside = np.clip(positions, 0, columns.shape[axis] - 1)
        lower = inside.astype(np.intp)
        upper = np.minimum(lower + 1, columns.shape[axis] - 1)
        share = (inside - lower).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        before = columns.take(lower, axis)
        columns = before + share * (columns.take(upper, axis) - before)
    return columns


def _energy(grid: FineGrid) -> float:
    """Sum of squares of the analytic point-spread function: twice the real one's."""
    return float(2 * np.sum(grid.axial_psf() ** 2) * np.sum(grid.lateral_psf() ** 2))


def _pixels(echo: Frame, columns: int, grid: FineGrid, downscale: str) -> Frame:
    """Filter a strip (lines, depth), detect it, and bring it down to (columns, Z)."""
    from scipy.fft import fft, ifft, next_fast_len, rfft, rfft2

    across, deep = (next_fast_len(n) for n in echo.shape)
    # Both kernels have their centre at sample 0, and wrap round.
    axial = np.roll(_padded(grid.axial_psf(), deep), -grid.reach[0])
    lateral = np.roll(_padded(grid.lateral_psf(), across), -grid.reach[1])
    # Twice the positive frequencies and none of the negative: s + i H(s).
    one_sided = 2 * rfft(axial).astype(np.complex64)
    spectrum = rfft2(echo, (across, deep))
    spectrum *= one_sided
    spectrum *= fft(lateral).real.astype(np.float32)[:, None]
    spectrum = ifft(spectrum, axis=0, overwrite_x=True)
    rows, samples = (
        _kept(count, step, margin, downscale)
        for count, step, margin in zip(
            (columns, grid.shape[0]), grid.steps[::-1], grid.margin[::-1], strict=True
        )
    )
    fine: Frame = np.abs(ifft(spectrum[rows], deep, axis=1)[:, samples])
    if downscale == "point":
        return fine
    if downscale == "envelope-mean":
        return _pixel_means(fine, grid)
    with np.errstate(divide="ignore"):
        return np.exp(_pixel_means(np.log(fine), grid))


def _padded(kernel: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    return np.pad(kernel, (0, length - kernel.size))


def _kept(count: int, step: int, margin: int, downscale: str) -> slice:
    """Fine samples that so many pixels take their values from."""
    last = margin + (count - 1) * step
    if downscale == "point":
        return slice(margin, last + 1, step)
    return slice(margin - step // 2, last + step // 2 + 1)


def _pixel_means(fine: Frame, grid: FineGrid) -> Frame:
    """Mean over the area of every pixel; (lines, depth) to (X, Z)."""
    for axis, step in enumerate(grid.steps[::-1]):
        # Of an even number the two outermost samples lie on the pixel's border.
        weights = np.full(2 * (step // 2) + 1, 1 / step, np.float32)
        if step % 2 == 0:
            weights[[0, -1]] /= 2
        windows = np.lib.stride_tricks.sliding_window_view(fine, weights.size, axis)
        fine = np.swapaxes(np.swapaxes(windows, 0, axis)[::step], 0, axis) @ weights
    return fine
