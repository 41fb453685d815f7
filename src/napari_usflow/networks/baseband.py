"""Speckle at baseband: many small images at once, with targets that do not fade.

What :mod:`~napari_usflow.ultrasound.speckle` simulates sample by sample of the carrier
is here its complex envelope: circular Gaussian scatterers, weighted with the amplitude
of the tissue and convolved with a Gaussian point-spread function. Scatterers that are
many leave no more than that (the central limit theorem; Goodman, "Speckle Phenomena in
Optics", 2007, ch. 3), no carrier has to be sampled, and echoes that are not speckle can
be added in amplitude and phase: points and smooth interfaces, strong against what
surrounds them.

Where an echo of amplitude s stands in speckle of mean intensity P, the intensity is
Rician, and the mean of its logarithm is

    E[ln I] = ln s^2 + E1(s^2 / P)

with the exponential integral E1: ln P - 0.577 (2.51 dB below the mean intensity) for
s = 0, ln s^2 once the echo is much stronger. It is what a despeckling filter that
keeps the mean of the decibels should give.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["mean_log_intensity", "point_echoes", "speckle_field"]

EULER = 0.5772156649015329

_OVERSAMPLING = 2


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
        in pixels; at least a fifth of a pixel. Both ends of an axis are joined: keep
        away from the edges by four of them.
    echoes : Tensor, shape (B, 2 Z, 2 X), complex, optional
        Of points and interfaces, see :func:`point_echoes`.
    generator : torch.Generator, optional
        Of the scatterers.

    Returns
    -------
    Tensor, shape (B, 2 Z, 2 X), complex64
        Two samples a pixel and axis; the centre of pixel i is sample 2 i.
    """
    amplitude = _interpolated(power.sqrt())
    real = torch.randn(
        (2, *amplitude.shape), generator=generator, device=amplitude.device
    )
    scattered = torch.complex(real[0], real[1]) * (amplitude * math.sqrt(0.5))
    spectrum = torch.fft.fft2(scattered)
    for axis in (0, 1):
        gain = _gaussian_gain(
            amplitude.shape[1 + axis], _OVERSAMPLING * psf_sigma[:, axis]
        )
        spectrum = spectrum * gain.unsqueeze(2 - axis)
    field: Tensor = torch.fft.ifft2(spectrum)
    return field if echoes is None else field + echoes


def point_echoes(
    shape: tuple[int, int],
    positions: Tensor,
    amplitudes: Tensor,
    psf_sigma: Tensor,
) -> Tensor:
    """Give the echoes of single scatterers.

    Parameters
    ----------
    shape : (int, int)
        Pixels (Z, X).
    positions : Tensor, shape (B, K, 2)
        Axial, lateral, in pixels.
    amplitudes : Tensor, shape (B, K), complex
        What the image shows at their places; 0 for none.
    psf_sigma : Tensor, shape (B, 2)
        As for :func:`speckle_field`.

    Returns
    -------
    Tensor, shape (B, 2 Z, 2 X), complex64
    """
    profiles = []
    for axis in (0, 1):
        at = torch.arange(_OVERSAMPLING * shape[axis], device=positions.device)
        distance = at / _OVERSAMPLING - positions[:, :, axis, None]
        profiles.append(
            torch.exp(-0.5 * (distance / psf_sigma[:, axis, None, None]) ** 2)
        )
    weighted = profiles[0] * amplitudes[:, :, None]
    return torch.einsum("bkz,bkx->bzx", weighted, profiles[1].to(weighted.dtype))


def mean_log_intensity(power: Tensor, echo_power: Tensor) -> Tensor:
    """Give the mean of the log intensity, in decibels (see the module).

    Parameters
    ----------
    power, echo_power : Tensor, same shape
        Mean intensity P > 0 of the speckle, and intensity s^2 >= 0 of what is no
        speckle.
    """
    ratio = echo_power / power
    nats = torch.where(
        ratio < 1e-3,
        # E1(k) = -0.577 - ln k + k - ...: the logarithms cancel.
        power.log() - EULER + ratio,
        (ratio * power).clamp_min(1e-30).log() + _exponential_integral(ratio),
    )
    return nats * (10 / math.log(10))


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


def _interpolated(image: Tensor) -> Tensor:
    """Double the samples of (B, Z, X) along both axes; the old ones stay at 2 i."""
    for axis in (1, 2):
        between = 0.5 * (image + image.roll(-1, axis))
        image = torch.stack([image, between], axis + 1).flatten(axis, axis + 1)
    return image


def _gaussian_gain(size: int, sigma: Tensor) -> Tensor:
    """Spectrum (B, size) of Gaussians that leave the power of white noise as it is."""
    frequency = torch.fft.fftfreq(size, device=sigma.device)
    gain = torch.exp(-2 * (math.pi * frequency * sigma[:, None]) ** 2)
    return gain / gain.square().mean(dim=1, keepdim=True).sqrt()
