"""An acquisition whose every sample is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from napari_usflow.ultrasound.data import ChannelData, PlaneWave

SPEED_M_S = 1540.0
CARRIER_HZ = 5e6


@dataclass(frozen=True)
class PulseEcho:
    """Equally strong echoes of one point: a Gaussian pulse, 1 at its centre."""

    point_mm: tuple[float, float]
    angles_deg: tuple[float, ...] = (-10.0, 0.0, 10.0)
    start_us: tuple[float, ...] = (0.0, 0.0, 0.0)
    n_elements: int = 32
    n_periods: int = 160

    def elements_m(self) -> npt.NDArray[np.float64]:
        positions = np.zeros((self.n_elements, 3))
        positions[:, 0] = 0.3e-3 * (np.arange(self.n_elements) - self.n_elements / 2)
        return positions

    def analytic(self, rate_hz: float) -> npt.NDArray[np.complex128]:
        """Analytic signal, shape (1, transmits, elements, samples)."""
        z, x = 1e-3 * np.asarray(self.point_mm)
        angle = np.radians(self.angles_deg)[:, None, None]
        echo = np.hypot(x - self.elements_m()[:, 0], z)[None, :, None]
        delay = (z * np.cos(angle) + x * np.sin(angle) + echo) / SPEED_M_S
        n = round(self.n_periods * rate_hz / CARRIER_HZ)
        start = 1e-6 * np.asarray(self.start_us)[:, None, None]
        since = start + np.arange(n) / rate_hz - delay
        # Half as strong 1 MHz off the carrier: hardly anything is 2 MHz off it.
        pulse = np.exp(-((np.pi * 1e6 * since) ** 2) / np.log(2))
        return (pulse * np.exp(2j * np.pi * CARRIER_HZ * since))[None]

    def rf(self, rate_hz: float = 4 * CARRIER_HZ) -> ChannelData:
        return self._data(self.analytic(rate_hz).real.astype(np.float32), rate_hz, 0.0)

    def iq(
        self, rate_hz: float = CARRIER_HZ, demodulation_hz: float = CARRIER_HZ
    ) -> ChannelData:
        signal = self.analytic(rate_hz)
        time = np.arange(signal.shape[-1]) / rate_hz
        time = time + 1e-6 * np.asarray(self.start_us)[:, None, None]
        turn = np.exp(-2j * np.pi * demodulation_hz * time)
        return self._data(
            (signal * turn).astype(np.complex64), rate_hz, demodulation_hz
        )

    def _data(
        self, samples: npt.NDArray[np.generic], rate_hz: float, demodulation_hz: float
    ) -> ChannelData:
        return ChannelData(
            samples,
            self.elements_m(),
            rate_hz,
            CARRIER_HZ,
            demodulation_hz,
            SPEED_M_S,
            1e-6 * np.asarray(self.start_us),
            [PlaneWave(a) for a in np.radians(self.angles_deg)],
            metadata={"name": "one point"},
        )


@pytest.fixture
def one_point() -> PulseEcho:
    """A point off the axis, in front of the array."""
    return PulseEcho((12.0, 1.1))
