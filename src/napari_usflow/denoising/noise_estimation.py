"""The noise of an image, measured in what the network takes away.

The blind network needs neither the strength nor the grain of the noise. What it removes
tells both: the spread of the residual, its autocorrelation, and its skewness, which is
-1.14 for log-compressed speckle and 0 for Gaussian noise. The estimate works on raw
B-mode, on smoothed scanner pictures and on white noise alike, because the network has
been trained on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.array_types import Frame, Grain, Mask
from napari_usflow.ultrasound.speckle_statistics import (
    correlation,
    gaussian_psf_correlation,
)

__all__ = ["FINEST_GRAIN", "Noise", "measured_noise", "residual_noise"]

FINEST_GRAIN = (0.2, 0.2)
"""That of white noise: neighbouring pixels are not correlated."""

_LEAST_SIGMA = 0.005
"""Noise below half a per cent of the range counts as this."""

_DETAIL, _NOISY = 0.0125, 0.018
"""Spread of the residual in the upper quarter of the windows, as a fraction of the
brightest tissue: less is detail, more is noise. MRI without noise has 0.006 to 0.012, a
dark and smooth echocardiogram 0.028."""

_BRIGHTEST = 0.99

_COARSE_GRAIN = 4.0
_WIDER = 1.15
"""Grain that grows by more than this factor on block means is edges of tissue."""

_SMALLEST_SIDE = 64
_LARGEST_SIDE = 256
_WINDOW = 16
_SHOWN = (0.03, 0.985)
"""Grey outside of these limits may be clipped, or be a graphic."""

_LEAST_SHOWN = 0.8
_WHITE_CORRELATION = 0.12
_WHITE_SKEWNESS = 0.3
_MOST_WINDOWS = 400
_LAGS = 10
_WIDEST = 8.0
_GRAINS = np.geomspace(FINEST_GRAIN[0], _WIDEST, 75)


@dataclass(frozen=True)
class Noise:
    """Noise of a stack: its level, grain and kind.

    Attributes
    ----------
    sigma : float
        Standard deviation, as a fraction of the dynamic range.
    grain : (float, float)
        Standard deviation of the point-spread function's amplitude (axial, lateral), in
        pixels; :data:`FINEST_GRAIN` for white noise.
    white : bool
        Whether it is white Gaussian noise rather than speckle.
    certainty : float
        From 0 to 1, how sure it is that there is noise at all: what the network removes
        from an image without noise is detail.
    """

    sigma: float
    grain: Grain
    white: bool
    certainty: float = 1.0


_NO_NOISE = Noise(_LEAST_SIGMA, FINEST_GRAIN, white=True, certainty=0.0)


def measured_noise(
    frame: Frame, *, outside: Mask | None = None, device: str = "auto"
) -> Noise:
    """Measure the noise of a frame with the blind network.

    Parameters
    ----------
    frame : ndarray, shape (Z, X), float32
        Nominally in [0, 1]. Of a large frame 256 by 256 pixels are looked at, around
        the middle of what is neither black nor white. Where their grain is wide, means
        of 2 by 2, 4 by 4, ... pixels are looked at too: the network takes grain of many
        pixels for detail.
    outside : ndarray, shape (Z, X), bool, optional
        Pixels that are not of the image.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    """
    from napari_usflow.networks.inference import network_pass
    from napari_usflow.networks.store import load_network

    inside = None if outside is None else ~outside
    network = load_network("realtime", device=device)
    noise, step = _NO_NOISE, 1
    while step == 1 or _room(frame, step):
        part, within = _representative(frame, step, inside)
        if part.max() == part.min():
            break
        coarse = residual_noise(part, network_pass(network, part, 0.0), inside=within)
        grain = _times(coarse.grain, step)
        if step == 1 or (coarse.sigma > noise.sigma and _agree(grain, noise.grain)):
            noise = replace(coarse, grain=grain)
        if max(coarse.grain) < _COARSE_GRAIN:
            break
        step *= 2
    return noise


def residual_noise(noisy: Frame, clean: Frame, *, inside: Mask | None = None) -> Noise:
    """Measure noise in the difference of a frame and its denoised version.

    Parameters
    ----------
    noisy, clean : ndarray, shape (Z, X), float32
    inside : ndarray, shape (Z, X), bool, optional
        Pixels that are of the image; all by default.

    Notes
    -----
    Standard deviation, correlation and skewness are medians over windows of 16 by 16
    pixels of which four fifths are neither black nor white: graphics, edges and points
    are in few of them.
    """
    residual = np.asarray(noisy, np.float64) - clean
    shown = _shown(noisy, inside)
    windows = _tissue_windows(residual, shown)
    spread = windows.std(axis=(1, 2))
    windows, spread = windows[spread > 1e-6], spread[spread > 1e-6]
    if len(windows) == 0:
        return _NO_NOISE
    unit = (windows - windows.mean(axis=(1, 2), keepdims=True)) / spread[:, None, None]
    skewness = float(np.median((unit**3).mean(axis=(1, 2))))
    lags = min(_LAGS, (min(windows.shape[1:]) - 1) // 2)
    # Windows all over the frame; more of them cost time and tell no more.
    spread_out = unit[:: max(1, len(unit) // _MOST_WINDOWS)]
    rho = np.median([correlation(window, lags) for window in spread_out], axis=0)
    axial, lateral = rho[lags:, lags], rho[lags, lags:]
    beside = np.abs([*axial[1:2], *lateral[1:2]]).max(initial=0)
    white = beside < _WHITE_CORRELATION and abs(skewness) < _WHITE_SKEWNESS
    sigma = max(float(np.median(spread)), _LEAST_SIGMA)
    brightest = np.quantile(noisy[shown], _BRIGHTEST) if shown.any() else 1.0
    relative = np.quantile(spread, 0.75) / brightest
    certainty = (relative - _DETAIL) / (_NOISY - _DETAIL)
    grain = _grain(axial), _grain(lateral)
    return Noise(sigma, grain, bool(white), float(np.clip(certainty, 0, 1)))


def _grain(rho: npt.NDArray[np.float64]) -> float:
    """Fit the width of a Gaussian point-spread function to a correlation."""
    last = len(rho) - 1
    expected = np.array(
        [
            gaussian_psf_correlation(
                (last, 0), pixel_size_mm=1, sigma_mm=(grain, grain)
            )[last:, 0]
            for grain in _GRAINS
        ]
    )
    # Beyond the first zero the estimate is noise.
    below = np.flatnonzero(rho < 0.1)
    used = slice(1, max(2, int(below[0]) + 1 if len(below) else len(rho)))
    error = ((expected[:, used] - rho[used].clip(0)) ** 2).sum(axis=1)
    return float(_GRAINS[int(np.argmin(error))])


def _tissue_windows(
    residual: npt.NDArray[np.float64], shown: Mask
) -> npt.NDArray[np.float64]:
    """Return the windows of which most is tissue, smaller ones of a small sector.

    Where there is none, those with most of it: the others are black with text.
    """
    for side in (_WINDOW, _WINDOW // 2):
        windows = _windows(residual, side)
        share = _windows(shown.astype(float), side).mean(axis=(1, 2))
        full: npt.NDArray[np.float64] = windows[share >= _LEAST_SHOWN]
        if len(full) > 0:
            return full
    return np.asarray(windows[share >= 0.9 * share.max()])


def _windows(frame: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """Cut a frame into windows that overlap by half, (N, side, side) or smaller."""
    rows, columns = (min(side, n) for n in frame.shape)
    views = np.lib.stride_tricks.sliding_window_view(frame, (rows, columns))
    step = side // 2
    return np.asarray(views[::step, ::step].reshape(-1, rows, columns))


def _shown(frame: Frame, inside: Mask | None) -> Mask:
    """Return which pixels are of the image, and neither black nor white."""
    shown: Mask = (frame > _SHOWN[0]) & (frame < _SHOWN[1])
    return shown if inside is None else shown & inside


def _room(frame: Frame, step: int) -> bool:
    """Return whether a frame is large enough for means of so many pixels a side."""
    return bool(min(frame.shape) >= step * _SMALLEST_SIDE)


def _times(grain: Grain, step: int) -> Grain:
    axial, lateral = grain
    return axial * step, lateral * step


def _agree(grain: Grain, finer: Grain) -> bool:
    """Return whether the grain of block means is that of finer pixels.

    What is as wide as can be measured may be wider.
    """
    return all(
        new <= _WIDER * old or old >= _WIDEST
        for new, old in zip(grain, finer, strict=True)
    )


def _representative(
    frame: Frame, step: int, inside: Mask | None
) -> tuple[Frame, Mask | None]:
    """Compute block means of the part of a large frame around the shown one."""
    from skimage.transform import downscale_local_mean

    rows, columns = (step * (size // step) for size in frame.shape)
    if step > 1:
        inner = frame[:rows, :columns]
        frame = downscale_local_mean(inner, (step, step))  # type: ignore[no-untyped-call]
        if inside is not None:
            blocks = inside[:rows, :columns].reshape(
                rows // step, step, columns // step, step
            )
            inside = np.asarray(blocks.all(axis=(1, 3)))
    shown = _shown(frame, inside)
    spans = []
    for axis, size in enumerate(frame.shape):
        share = shown.sum(axis=1 - axis)
        middle = size / 2
        if share.any():
            middle = float((share * np.arange(size)).sum() / share.sum())
        start = int(
            np.clip(middle - _LARGEST_SIDE / 2, 0, max(0, size - _LARGEST_SIDE))
        )
        spans.append(slice(start, start + _LARGEST_SIDE))
    place = (spans[0], spans[1])
    part = np.ascontiguousarray(frame[place], np.float32)
    return part, None if inside is None else inside[place]
