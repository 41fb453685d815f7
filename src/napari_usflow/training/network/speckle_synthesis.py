"""Speckle at baseband: many small images at once, with the mean of their decibels.

:mod:`~napari_usflow.ultrasound.simulate.speckle` simulates every sample of the carrier.
This module simulates the complex envelope instead: circular Gaussian scatterers,
weighted with the amplitude of the tissue and convolved with a Gaussian point-spread
function (central limit theorem; Goodman, "Speckle Phenomena in Optics", 2007, ch. 3).
No carrier has to be sampled, and coherent echoes (points, smooth interfaces) are added
in amplitude and phase.

An echo of amplitude s in speckle of mean intensity P has a Rician intensity I, with

    E[ln I] = ln s^2 + E1(s^2 / P)

and the exponential integral E1. For s = 0 that is ln P - 0.577 (2.51 dB below the mean
intensity), for a strong echo ln s^2. The mean of L independent looks lies less far
below ln (P + s^2); for s = 0 by ln L - psi(L), with the digamma function psi.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["mean_log_intensity", "point_echoes", "speckle_field"]

EULER = 0.5772156649015329

_ALIASES = (-1, 0, 1)


def speckle_field(
    power: Tensor,
    psf_sigma: Tensor,
    echoes: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Simulate the complex envelope of tissue.

    Parameters
    ----------
    power : Tensor, shape (B, Z, X)
        Mean intensity of the echo of each pixel.
    psf_sigma : Tensor, shape (B, 2)
        Standard deviations (axial, lateral) of the point-spread function's amplitude,
        in pixels. The axes are periodic: stay four of them away from the edges.
    echoes : Tensor, shape (B, Z, X), complex, optional
        Coherent echoes, see :func:`point_echoes`.
    generator : torch.Generator, optional
        Draws the scatterers.

    Returns
    -------
    Tensor, shape (B, Z, X), complex64
    """
    real = torch.randn((2, *power.shape), generator=generator, device=power.device)
    spectrum = torch.fft.fft2(torch.complex(*real) * (0.5 * power).sqrt())
    for axis in (0, 1):
        gain = _gaussian_gain(power.shape[1 + axis], psf_sigma[:, axis])
        spectrum = spectrum * gain.unsqueeze(2 - axis)
    field: Tensor = torch.fft.ifft2(spectrum)
    return field if echoes is None else field + echoes


def point_echoes(
    shape: tuple[int, int],
    positions: Tensor,
    amplitudes: Tensor,
    psf_sigma: Tensor,
) -> Tensor:
    """Compute the echoes of single scatterers.

    Parameters
    ----------
    shape : (int, int)
        Pixels (Z, X).
    positions : Tensor, shape (B, K, 2)
        Axial, lateral, in pixels.
    amplitudes : Tensor, shape (B, K), complex
        Peak of each echo; 0 for none.
    psf_sigma : Tensor, shape (B, 2)
        As for :func:`speckle_field`.

    Returns
    -------
    Tensor, shape (B, Z, X), complex64
    """
    profiles = []
    for axis in (0, 1):
        at = torch.arange(shape[axis], device=positions.device)
        distance = at - positions[:, :, axis, None]
        profiles.append(
            torch.exp(-0.5 * (distance / psf_sigma[:, axis, None, None]) ** 2)
        )
    weighted = profiles[0] * amplitudes[:, :, None]
    return torch.einsum("bkz,bkx->bzx", weighted, profiles[1].to(weighted.dtype))


def mean_log_intensity(
    power: Tensor, echo_power: Tensor, looks: Tensor | None = None
) -> Tensor:
    """Return the mean of the log intensity in decibels, over the speckle.

    Parameters
    ----------
    power, echo_power : Tensor, shape (B, Z, X)
        Mean intensity P > 0 of the speckle, and intensity s^2 >= 0 of the coherent
        echo.
    looks : Tensor, shape (B,), optional
        Independent looks whose intensities are averaged; one by default. Exact for
        tissue alone and for a strong echo, interpolated in between.

    Returns
    -------
    Tensor, shape (B, Z, X), dB
    """
    ratio = echo_power / power
    # How far the mean of the logarithm lies below the logarithm of the mean.
    below = torch.where(
        ratio < 1e-3,
        # E1(k) = -0.577 - ln k + k - ...: the logarithms cancel.
        EULER + 0 * ratio,
        torch.log1p(ratio) - ratio.clamp_min(1e-3).log() - _exponential_integral(ratio),
    )
    if looks is not None:
        share = (looks.log() - torch.digamma(looks)) / EULER
        below = below * share[:, None, None].to(below)
    return ((power + echo_power).log() - below) * (10 / math.log(10))


def _exponential_integral(x: Tensor) -> Tensor:
    """E1 for x > 0, with an error below 1e-4 (Abramowitz and Stegun 5.1.53, 5.1.54)."""
    small = x.clamp(1e-3, 1.0)
    series = (
        -small.log()
        - 0.57721566
        + small
        * (
            0.99999193
            + small
            * (
                -0.24991055
                + small * (0.05519968 + small * (-0.00976004 + small * 0.00107857))
            )
        )
    )
    large = x.clamp(1.0, 80.0)
    fraction = (large * (large + 2.334733) + 0.250621) / (
        large * (large + 3.330657) + 1.681534
    )
    return torch.where(x < 1, series, fraction * torch.exp(-large) / large)


def _gaussian_gain(size: int, sigma: Tensor) -> Tensor:
    """Return the transfer function (B, size) of Gaussians sampled at the pixels.

    The power spectrum of the samples is that of the continuous field with its aliases.
    Normalised to keep the power of white noise.
    """
    frequency = torch.fft.fftfreq(size, device=sigma.device)
    power = sum(
        torch.exp(-4 * (math.pi * (frequency + alias) * sigma[:, None]) ** 2)
        for alias in _ALIASES
    )
    assert isinstance(power, Tensor)
    return (power / power.mean(dim=1, keepdim=True)).sqrt()
