"""Between one pixel grid and another, with the image staying in its place.

Two ways to bring an image to a coarser pixel. *Resampling* evaluates a cubic spline
through the pixels at the centres of the new ones; both grids have their middle in the
same place, so nothing shifts. *Polyphase splitting* takes every k-th pixel instead and
keeps all k phases as images of their own: nothing is interpolated and nothing lost.

Point sampling is the default because averaging lowers and correlates the speckle: at
0.4375 mm, samples of log-compressed speckle keep its standard deviation of 5.57 dB,
while averages have about 4.2 dB.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "Domain",
    "SamplingOption",
    "polyphase_merge",
    "polyphase_split",
    "resample_from",
    "resample_to",
]

Image = npt.NDArray[np.float32]
Size = tuple[float, float]
Domain = Literal["db", "envelope"]
SamplingOption = Literal["point", "antialias"]

_SPLINE_ORDER = 3


def resample_to(
    image: Image,
    spacing_mm: Size,
    pixel_mm: float | Size,
    *,
    domain: Domain = "db",
    sampling: SamplingOption = "point",
) -> Image:
    """Bring an image in decibels to another pixel.

    Parameters
    ----------
    image : ndarray, shape (Z, X), float32, dB
        The image.
    spacing_mm : (float, float)
        Its pixel (axial, lateral), > 0.
    pixel_mm : float or (float, float)
        The new pixel, square or (axial, lateral), > 0.
    domain : {"db", "envelope"}
        Interpolate decibels, or the linear amplitudes 10^(dB / 20). Decibels keep
        points sharper on the way down and back; amplitudes fill the nulls of speckle.
    sampling : {"point", "antialias"}
        Take the value at the new pixel's centre, or first average by a Gaussian whose
        width grows from nothing, at equal pixels, to (n - 1) / 2 pixels for a new
        pixel n times as large.

    Returns
    -------
    ndarray, shape (max(1, round(Z s_z / p_z)), ...), float32, dB
        The new pixel is exactly ``pixel_mm``; both grids have the same middle.

    Raises
    ------
    ValueError
        If a size is not positive, the image not 2-D, or an option unknown.
    """
    image = _checked(image)
    shape = _coarse_shape(image.shape, spacing_mm, pixel_mm)
    if domain not in ("db", "envelope"):
        raise ValueError(f"domain must be db or envelope, got {domain!r}")
    if sampling not in ("point", "antialias"):
        raise ValueError(f"sampling must be point or antialias, got {sampling!r}")
    values = image.astype(np.float64)
    if domain == "envelope":
        values = 10 ** (values / 20)
    if sampling == "antialias":
        from scipy.ndimage import gaussian_filter

        ratios = np.divide(_pair(pixel_mm), spacing_mm)
        values = gaussian_filter(values, np.maximum(ratios - 1, 0) / 2, mode="mirror")
    coarse = _interpolate(values, shape, np.divide(_pair(pixel_mm), spacing_mm))
    if domain == "envelope":
        # A spline may dip below the darkest pixel, and an amplitude below zero.
        coarse = 20 * np.log10(np.maximum(coarse, values.min()))
    return coarse.astype(np.float32)


def resample_from(
    coarse: Image,
    shape: tuple[int, int],
    spacing_mm: Size,
    pixel_mm: float | Size,
) -> Image:
    """Bring an image back to the grid from which :func:`resample_to` made it.

    Parameters
    ----------
    coarse : ndarray, shape as from ``resample_to``, float32
        The image on the coarse grid, in any values.
    shape : (int, int)
        Shape (Z, X) of the original grid.
    spacing_mm : (float, float)
        Pixel (axial, lateral) of the original grid.
    pixel_mm : float or (float, float)
        Pixel of the coarse grid.

    Returns
    -------
    ndarray, shape (Z, X), float32
        A cubic spline through the coarse pixels; beyond the outermost of them their
        value is continued.

    Raises
    ------
    ValueError
        If the shapes and pixels do not belong together.
    """
    coarse = _checked(coarse)
    expected = _coarse_shape(shape, spacing_mm, pixel_mm)
    if coarse.shape != expected:
        raise ValueError(
            f"an image of shape {tuple(shape)} has shape {expected} at a pixel of "
            f"{_pair(pixel_mm)} mm, got {coarse.shape}"
        )
    ratios = np.divide(spacing_mm, _pair(pixel_mm))
    return _interpolate(coarse.astype(np.float64), shape, ratios).astype(np.float32)


def polyphase_split(image: Image, steps: tuple[int, int]) -> list[Image]:
    """Take an image apart into its interleaved images.

    Parameters
    ----------
    image : ndarray, shape (Z, X)
        Any shape of at least ``steps``.
    steps : (int, int)
        Number of interleaved images (axial k_z, lateral k_x).

    Returns
    -------
    list of ndarray
        Image ``i * k_x + j`` holds the rows i, i + k_z, ... and the columns j,
        j + k_x, ...; contiguous copies, whose shapes differ by at most one pixel.

    Raises
    ------
    ValueError
        If there are more steps than pixels.
    """
    kz, kx = steps
    if not (1 <= kz <= image.shape[0] and 1 <= kx <= image.shape[1]):
        raise ValueError(
            f"an image of shape {image.shape} cannot be split in {steps} interleaved "
            "images"
        )
    return [
        np.ascontiguousarray(image[i::kz, j::kx]) for i in range(kz) for j in range(kx)
    ]


def polyphase_merge(images: list[Image], steps: tuple[int, int]) -> Image:
    """Interleave images again: the exact inverse of :func:`polyphase_split`.

    Parameters
    ----------
    images : list of ndarray
        In the order of ``polyphase_split``.
    steps : (int, int)
        As given to it.

    Returns
    -------
    ndarray, shape (Z, X)

    Raises
    ------
    ValueError
        If the number of images or their shapes do not fit.
    """
    kz, kx = steps
    if len(images) != kz * kx:
        raise ValueError(f"{steps} steps make {kz * kx} images, got {len(images)}")
    merged = np.empty(
        (
            sum(image.shape[0] for image in images[::kx]),
            sum(image.shape[1] for image in images[:kx]),
        ),
        images[0].dtype,
    )
    for number, image in enumerate(images):
        place = merged[number // kx :: kz, number % kx :: kx]
        if place.shape != image.shape:
            raise ValueError(
                f"interleaved image {number} has shape {image.shape}, "
                f"expected {place.shape}"
            )
        place[...] = image
    return merged


def _interpolate(
    values: npt.NDArray[np.float64],
    shape: tuple[int, int],
    ratios: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Evaluate a spline on a grid with the same middle, ``ratios`` old pixels apart."""
    from scipy.ndimage import affine_transform

    middles = zip(values.shape, shape, ratios, strict=True)
    offset = [(old - 1) / 2 - ratio * (new - 1) / 2 for old, new, ratio in middles]
    result: npt.NDArray[np.float64] = affine_transform(
        values, ratios, offset, shape, order=_SPLINE_ORDER, mode="nearest"
    )
    return result


def _coarse_shape(
    shape: tuple[int, ...], spacing_mm: Size, pixel_mm: float | Size
) -> tuple[int, int]:
    """Give the shape that covers the same field most nearly."""
    _check_positive(spacing_mm, pixel_mm)
    z, x = np.multiply(shape, spacing_mm) / _pair(pixel_mm)
    return max(1, int(np.floor(z + 0.5))), max(1, int(np.floor(x + 0.5)))


def _pair(size: float | Size) -> Size:
    axial, lateral = np.broadcast_to(size, 2)
    return float(axial), float(lateral)


def _check_positive(spacing_mm: Size, pixel_mm: float | Size) -> None:
    for name, size in (("spacing", spacing_mm), ("pixel", pixel_mm)):
        if not all(np.isfinite(s) and s > 0 for s in _pair(size)):
            raise ValueError(f"{name} must be positive, got {size} mm")


def _checked(image: Image) -> Image:
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"a 2-D image was expected, got shape {image.shape}")
    return image
