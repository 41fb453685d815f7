"""Simulated channel data: plane waves scattered by points, received by a linear array.

A linear model with no multiple scattering and no attenuation. With a plane wave of
angle a, an element at distance r from a scatterer of amplitude A and at the angle b off
the element's axis, the record holds

    A d(b) / sqrt(r) * p(t - (z cos a + x sin a + r) / c)

where p is a Gaussian-modulated two-way pulse, 1 / sqrt(r) the spreading of a wave in
two dimensions and d(b) = cos b sinc(w sin b / wavelength) the directivity of a strip
of width w in a soft baffle (Selfridge, Kino & Khuri-Yakub, Appl. Phys. Lett. 37, 1980).

Instead of one pulse a scatterer, its arrival is split between two bins of a fine time
axis, as a complex amplitude at baseband, and all are convolved with the pulse at once.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Progress, result_of
from napari_usflow.ultrasound.data import ChannelData, PlaneWave
from napari_usflow.ultrasound.simulate.scene import Scene

__all__ = [
    "BINS_PER_PERIOD",
    "MEMORY_BUDGET_BYTES",
    "SAMPLES_PER_PERIOD",
    "LinearArray",
    "TimeAxis",
    "sensitivity",
    "simulate_acquisition",
    "simulate_acquisition_events",
]

Floats = npt.NDArray[np.float64]

SAMPLES_PER_PERIOD = 4
# Two bins a sample: splitting errs by (pi f / rate)^2 / 2 = 1.5 % at the band's edge.
BINS_PER_PERIOD = 8
MEMORY_BUDGET_BYTES = 2**30


@dataclass(frozen=True)
class LinearArray:
    """A linear array on the x axis, centred at x = 0; by default the PICMUS one.

    Attributes
    ----------
    n_elements : int
        Number of elements.
    pitch_m, width_m : float
        Distance between the centres of two elements; width of one.
    center_frequency_hz : float
        Of the pulse.
    fractional_bandwidth : float
        Two-way bandwidth at -6 dB over the centre frequency.
    """

    n_elements: int = 128
    pitch_m: float = 0.30e-3
    width_m: float = 0.27e-3
    center_frequency_hz: float = 5.208e6
    fractional_bandwidth: float = 0.67

    def positions_m(self) -> Floats:
        """Return the elements' centres, shape (n_elements, 3)."""
        positions = np.zeros((self.n_elements, 3))
        middle = (self.n_elements - 1) / 2
        positions[:, 0] = (np.arange(self.n_elements) - middle) * self.pitch_m
        return positions


def simulate_acquisition(
    scene: Scene,
    *,
    angles_rad: Sequence[float] | Floats,
    array: LinearArray | None = None,
    sound_speed_m_s: float = 1540.0,
    noise_db: float | None = -40.0,
    seed: int = 0,
) -> ChannelData:
    """Simulate one frame of a plane-wave acquisition.

    Parameters
    ----------
    scene : Scene
        Scatterers, all below the array (z > 0); their y is ignored.
    angles_rad : sequence of float
        One plane wave each; positive travels towards +x.
    array : LinearArray, optional
        The probe.
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
        RF, shape (1, angles, elements, samples), float32, sampled at four times the
        centre frequency; the first sample is at time 0 and the last after the last
        echo. A unit scatterer has a pulse of amplitude d(b) / sqrt(r / 1 mm).

    Raises
    ------
    ValueError
        If there is no angle or scatterer, one is not below the array, or the job does
        not fit in 1 GiB.
    """
    return result_of(
        simulate_acquisition_events(
            scene,
            angles_rad=angles_rad,
            array=array,
            sound_speed_m_s=sound_speed_m_s,
            noise_db=noise_db,
            seed=seed,
        )
    )


def simulate_acquisition_events(
    scene: Scene,
    *,
    angles_rad: Sequence[float] | Floats,
    array: LinearArray | None = None,
    sound_speed_m_s: float = 1540.0,
    noise_db: float | None = -40.0,
    seed: int = 0,
    token: CancelToken | None = None,
) -> Generator[Event, None, ChannelData]:
    """Run :func:`simulate_acquisition`, reporting progress.

    Parameters
    ----------
    scene, angles_rad, array, sound_speed_m_s, noise_db, seed
        As for :func:`simulate_acquisition`.
    token : CancelToken, optional
        Looked at after every element.
    """
    array = LinearArray() if array is None else array
    angles = np.asarray(angles_rad, dtype=np.float64).ravel()
    positions = scene.positions_m
    if angles.size == 0 or len(positions) == 0:
        raise ValueError("an acquisition needs at least one angle and one scatterer")
    if not (positions[:, 2] > 0).all():
        raise ValueError(
            f"scatterers must lie below the array, one is at a depth of "
            f"{positions[:, 2].min() * 1e3:g} mm"
        )
    x, z = positions[:, 0], positions[:, 2]
    elements = array.positions_m()
    outgoing_s = (
        np.cos(angles)[:, None] * z + np.sin(angles)[:, None] * x
    ) / sound_speed_m_s
    far = np.hypot(z.max(), np.abs(x).max() + elements[-1, 0]) / sound_speed_m_s
    axis = TimeAxis.covering(array, float(outgoing_s.min()), outgoing_s.max() + far)
    needed = angles.size * (
        4 * array.n_elements * axis.n_samples + 48 * len(x) + 64 * axis.n_bins
    )
    if needed > MEMORY_BUDGET_BYTES:
        raise ValueError(
            f"simulating {len(x)} scatterers and {angles.size} angles needs "
            f"{needed / 2**20:.0f} MiB, more than 1024; take fewer of them"
        )
    turn = -2j * np.pi * array.center_frequency_hz
    outgoing_phase = np.exp(turn * outgoing_s)
    records = np.empty((angles.size, array.n_elements, axis.n_samples), np.float32)
    for number, element in enumerate(elements[:, 0]):
        if token is not None:
            token.raise_if_cancelled()
        back_m = np.hypot(x - element, z)
        strength = scene.amplitudes * sensitivity(array, back_m, z, sound_speed_m_s)
        back_s = back_m / sound_speed_m_s
        arriving = strength * np.exp(turn * back_s)
        impulses = np.stack(
            [
                axis.bin_impulses(out_s + back_s, arriving * phase)
                for out_s, phase in zip(outgoing_s, outgoing_phase, strict=True)
            ]
        )
        records[:, number] = axis.rf(impulses)
        yield Progress(number + 1, array.n_elements, "simulating")
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
        np.zeros(angles.size),
        [PlaneWave(float(angle)) for angle in angles],
        metadata={"name": scene.name, "source": "simulated", "seed": seed},
    )


def sensitivity(
    array: LinearArray, distance_m: Floats, depth_m: Floats, sound_speed_m_s: float
) -> Floats:
    """Directivity of an element times the spreading of the wave."""
    cosine = depth_m / distance_m
    sine = np.sqrt(np.maximum(1 - cosine**2, 0))
    wavelength_m = sound_speed_m_s / array.center_frequency_hz
    directivity = cosine * np.sinc(array.width_m / wavelength_m * sine)
    spread: Floats = directivity / np.sqrt(distance_m / 1e-3)
    return spread


@dataclass(frozen=True)
class TimeAxis:
    """Fine bins for the arrivals, and the samples made of them.

    ``lead`` bins come before time 0, for echoes and halves of pulses that do. Their
    number and that of all bins hold whole carrier periods, so that the carrier falls
    on a bin of the spectrum and has phase 0 at time 0.
    """

    array: LinearArray
    lead: int
    n_bins: int
    n_samples: int

    @classmethod
    def covering(cls, array: LinearArray, first_s: float, last_s: float) -> TimeAxis:
        """Choose the axis for pulses that arrive between two times."""
        from scipy.fft import next_fast_len

        rate = BINS_PER_PERIOD * array.center_frequency_hz
        # exp(-(pi b f t)^2 / (4 ln 2)) is below -80 dB from 5 / (pi b f) on.
        pulse_s = 5 / (np.pi * array.fractional_bandwidth * array.center_frequency_hz)
        lead_s = pulse_s + max(0.0, -first_s)
        lead = BINS_PER_PERIOD * int(np.ceil(lead_s * array.center_frequency_hz))
        used = lead + int(np.ceil((last_s + pulse_s) * rate)) + 2
        periods = int(next_fast_len(-(-used // BINS_PER_PERIOD)))
        step = BINS_PER_PERIOD // SAMPLES_PER_PERIOD
        return cls(array, lead, periods * BINS_PER_PERIOD, (used - lead) // step)

    def bin_impulses(
        self, arrival_s: Floats, amplitude: npt.NDArray[np.complex128]
    ) -> npt.NDArray[np.complex128]:
        """Add up complex amplitudes in the bins on both sides of their arrival."""
        rate = BINS_PER_PERIOD * self.array.center_frequency_hz
        place = arrival_s * rate + self.lead
        index = place.astype(np.intp)
        late = place - index
        early = 1 - late
        bins = np.empty(self.n_bins, np.complex128)
        for part, weight in (("real", amplitude.real), ("imag", amplitude.imag)):
            total = np.bincount(index, weight * early, self.n_bins)
            total[1:] += np.bincount(index, weight * late, self.n_bins)[:-1]
            setattr(bins, part, total)
        return bins

    def rf(self, impulses: npt.NDArray[np.complex128]) -> npt.NDArray[np.float32]:
        """Convolve impulses with the pulse and sample the result as RF."""
        return self.rf_of_spectrum(self.spectrum(impulses))

    def frequencies_hz(self) -> Floats:
        """Return the frequencies of a spectrum, 0 to half the sampling frequency."""
        carrier_bin = self.n_bins // BINS_PER_PERIOD
        numbers = np.arange(self._n_rf // 2 + 1)
        return np.asarray(numbers * (self.array.center_frequency_hz / carrier_bin))

    def spectrum(
        self, impulses: npt.NDArray[np.complex128]
    ) -> npt.NDArray[np.complex128]:
        """Return the spectrum of RF made of impulses, without the pulse.

        It is taken from the one around the carrier, so that modulation and decimation
        cost nothing. A delay is a factor exp(-2 pi i f t).
        """
        from scipy.fft import fft

        carrier_bin = self.n_bins // BINS_PER_PERIOD
        bins = np.arange(self._n_rf // 2 + 1) - carrier_bin
        return np.asarray(fft(impulses, axis=-1)[..., bins])

    def rf_of_spectrum(
        self, spectrum: npt.NDArray[np.complexfloating[Any]]
    ) -> npt.NDArray[np.float32]:
        """Convolve with the pulse and sample what starts at time 0."""
        from scipy.fft import irfft

        carrier_bin = self.n_bins // BINS_PER_PERIOD
        bins = np.arange(self._n_rf // 2 + 1) - carrier_bin
        # The pulse is half as strong half a bandwidth away from the carrier.
        relative = bins / carrier_bin / (self.array.fractional_bandwidth / 2)
        pulse = np.exp(-np.log(2) * relative**2)
        # Splitting an impulse between two bins is a convolution with a triangle.
        response = pulse / np.sinc(bins / self.n_bins) ** 2
        signal = irfft(spectrum * response, self._n_rf, axis=-1)
        signal *= self._n_rf / 2 / pulse.sum()
        first = self.lead * SAMPLES_PER_PERIOD // BINS_PER_PERIOD
        samples: npt.NDArray[np.float32] = signal[
            ..., first : first + self.n_samples
        ].astype(np.float32)
        return samples

    @property
    def _n_rf(self) -> int:
        return self.n_bins * SAMPLES_PER_PERIOD // BINS_PER_PERIOD
