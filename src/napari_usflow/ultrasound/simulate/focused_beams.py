"""Simulated channel data of any transmits, from the pulses of single elements.

The linear model of :mod:`~napari_usflow.ultrasound.simulate.plane_waves`, with the wave
that goes out built up as an array builds it: element m fires at t_m, and what element e
receives of a scatterer of amplitude A at distances r_m and r_e is

    A d(b_m) d(b_e) / sqrt(r_m r_e) * p(t - t_m - (r_m + r_e) / c).

With t_m = path(position of m) / c (see :mod:`~napari_usflow.ultrasound.transmits`) the
pulses are together where the transmit says that its wave is. A focus then has the
width, the depth and the side lobes that diffraction gives it, which no formula of the
beamformer knows of.

The records of all pairs of elements are made once, and the firing times of all
transmits are applied to their spectra.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Progress, result_of
from napari_usflow.ultrasound.data import ChannelData, FocusedBeam, Transmit
from napari_usflow.ultrasound.simulate.plane_waves import (
    MEMORY_BUDGET_BYTES,
    SAMPLES_PER_PERIOD,
    LinearArray,
    TimeAxis,
    sensitivity,
)
from napari_usflow.ultrasound.simulate.scene import Scene

__all__ = ["simulate_transmits", "simulate_transmits_events"]


def simulate_transmits(
    scene: Scene,
    *,
    transmits: Sequence[Transmit],
    array: LinearArray,
    aperture_m: float | None = None,
    sound_speed_m_s: float = 1540.0,
    noise_db: float | None = -40.0,
    seed: int = 0,
) -> ChannelData:
    """Simulate one frame of an acquisition with focused beams or other transmits.

    Parameters
    ----------
    scene : Scene
        Scatterers, all below the array (z > 0); their y is ignored.
    transmits : sequence of PlaneWave, DivergingWave or FocusedBeam
        What is sent out.
    array : LinearArray
        The probe.
    aperture_m : float, optional
        Width of the Hann window under which elements fire, centred on where a beam
        starts; the whole array, around its middle, when omitted.
    sound_speed_m_s : float
        Speed of sound, > 0.
    noise_db : float or None
        Level of the white noise against the root mean square of the records; none is
        added for ``None``.
    seed : int
        Of the noise.

    Returns
    -------
    ChannelData
        RF, shape (1, transmits, elements, samples), float32, sampled at four times the
        centre frequency; the first sample is at time 0 of each transmit.

    Raises
    ------
    ValueError
        If there is no transmit or scatterer, one is not below the array, or the job
        does not fit in 1 GiB.
    """
    return result_of(
        simulate_transmits_events(
            scene,
            transmits=transmits,
            array=array,
            aperture_m=aperture_m,
            sound_speed_m_s=sound_speed_m_s,
            noise_db=noise_db,
            seed=seed,
        )
    )


def simulate_transmits_events(
    scene: Scene,
    *,
    transmits: Sequence[Transmit],
    array: LinearArray,
    aperture_m: float | None = None,
    sound_speed_m_s: float = 1540.0,
    noise_db: float | None = -40.0,
    seed: int = 0,
    token: CancelToken | None = None,
) -> Generator[Event, None, ChannelData]:
    """Run :func:`simulate_transmits`, reporting progress.

    ``token`` is looked at after every pair of elements.
    """
    positions = scene.positions_m
    if not transmits or len(positions) == 0:
        raise ValueError("an acquisition needs at least one transmit and one scatterer")
    x, z = positions[:, 0], positions[:, 2]
    if not (z > 0).all():
        raise ValueError(
            f"scatterers must lie below the array, one is at a depth of "
            f"{z.min() * 1e3:g} mm"
        )
    elements = array.positions_m()
    fires_s = (
        np.stack([wave.path_m(elements[:, 2], elements[:, 0]) for wave in transmits])
        / sound_speed_m_s
    )
    far_s = np.hypot(z.max(), np.abs(x).max() + elements[-1, 0]) / sound_speed_m_s
    axis = TimeAxis.covering(array, float(fires_s.min()), fires_s.max() + 2 * far_s)
    frequencies_hz = axis.frequencies_hz()
    n_transmits, n_elements = fires_s.shape
    needed = (
        8 * n_transmits * n_elements * frequencies_hz.size
        + 4 * n_transmits * n_elements * axis.n_samples
        + n_elements * (24 * len(x) + 32 * axis.n_bins)
    )
    if needed > MEMORY_BUDGET_BYTES:
        raise ValueError(
            f"simulating {len(x)} scatterers and {n_transmits} transmits needs "
            f"{needed / 2**20:.0f} MiB, more than 1024; take fewer of them"
        )
    turn = -2j * np.pi * array.center_frequency_hz
    # One way between each element and each scatterer: time and complex amplitude.
    way_s = np.empty((n_elements, len(x)))
    strength = np.empty((n_elements, len(x)), np.complex128)
    for number, place in enumerate(elements[:, 0]):
        distance = np.hypot(x - place, z)
        way_s[number] = distance / sound_speed_m_s
        strength[number] = sensitivity(array, distance, z, sound_speed_m_s)
        strength[number] *= np.exp(turn * way_s[number])
    firing = np.exp(-2j * np.pi * fires_s[..., None] * frequencies_hz)
    firing *= _window(transmits, elements, aperture_m)[..., None]
    firing = firing.astype(np.complex64)
    records = np.empty((n_transmits, n_elements, axis.n_samples), np.float32)
    impulses = np.empty((n_elements, axis.n_bins), np.complex128)
    for number in range(n_elements):
        back = scene.amplitudes * strength[number]
        for sender in range(n_elements):
            if token is not None:
                token.raise_if_cancelled()
            arrival_s = way_s[sender] + way_s[number]
            impulses[sender] = axis.bin_impulses(arrival_s, strength[sender] * back)
        spectra = axis.spectrum(impulses).astype(np.complex64)
        heard = np.einsum("tef,ef->tf", firing, spectra, optimize=False)
        records[:, number] = axis.rf_of_spectrum(heard)
        yield Progress(number + 1, n_elements, "simulating")
    if noise_db is not None:
        level = np.sqrt(np.mean(records**2)) * 10 ** (noise_db / 20)
        noise = np.random.default_rng(seed).standard_normal(records.shape, np.float32)
        records += np.float32(level) * noise
    return ChannelData(
        records[None],
        elements,
        SAMPLES_PER_PERIOD * array.center_frequency_hz,
        array.center_frequency_hz,
        0.0,
        sound_speed_m_s,
        np.zeros(n_transmits),
        list(transmits),
        metadata={"name": scene.name, "source": "simulated", "seed": seed},
    )


def _window(
    transmits: Sequence[Transmit],
    elements: npt.NDArray[np.float64],
    aperture_m: float | None,
) -> npt.NDArray[np.float64]:
    """Return how strongly elements fire, shape (transmits, elements)."""
    if aperture_m is None:
        return np.tile(np.hanning(len(elements) + 2)[1:-1], (len(transmits), 1))
    middle = np.array(
        [wave.origin_m[0] if isinstance(wave, FocusedBeam) else 0 for wave in transmits]
    )
    aside = np.abs(elements[:, 0] - middle[:, None]) / aperture_m
    return np.where(aside < 0.5, np.cos(np.pi * aside) ** 2, 0)
