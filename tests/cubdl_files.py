"""Files as the institutions of CUBDL wrote them, made of one physical scene.

What is measured is simulated with the sound speed, the probe and the timing that an
institution's acquisition really had; it is then written down the way they did, with
everything that their files are known to get wrong. The numbers come from the loaders
of the challenge (see the docstring of ``napari_usflow.io.cubdl.conventions``), not
from the reader's table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.data import ChannelData, FocusedBeam
from napari_usflow.ultrasound.simulate.focused_beams import simulate_transmits
from napari_usflow.ultrasound.simulate.plane_waves import (
    LinearArray,
    simulate_acquisition,
)
from napari_usflow.ultrasound.simulate.scene import Scene

CARRIER_HZ = 4e6
POINTS_MM = ((20.0, 0.0), (26.0, 4.0))
"""The scene: points (axial, lateral)."""


def scene() -> Scene:
    z, x = 1e-3 * np.array(POINTS_MM).T
    return Scene(np.stack([x, 0 * x, z], axis=1), np.ones(len(z)))


def starting_at(data: ChannelData, start_s: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Records whose first sample was taken at another time."""
    records = np.pad(np.asarray(data.samples[0]), [(0, 0), (0, 0), (0, 128)])
    n = records.shape[-1]
    hz = np.fft.rfftfreq(n, 1 / data.sampling_frequency_hz)
    start = np.broadcast_to(start_s, len(records))[:, None, None]
    spectrum = np.fft.rfft(records) * np.exp(2j * np.pi * hz * start)
    return np.fft.irfft(spectrum, n).astype(np.float32)


def plane_waves(
    speed: float,
    pitch_m: float,
    angles_deg: npt.NDArray[np.float64],
    elements: int = 48,
) -> ChannelData:
    array = LinearArray(elements, pitch_m, 0.9 * pitch_m, CARRIER_HZ)
    return simulate_acquisition(
        scene(),
        angles_rad=np.radians(angles_deg),
        array=array,
        sound_speed_m_s=speed,
        noise_db=None,
    )


def beams(
    speed: float, pitch_m: float, wanted: list[FocusedBeam], elements: int = 24
) -> ChannelData:
    side_by_side = len({beam.angle_rad for beam in wanted}) == 1
    array = LinearArray(elements, pitch_m, 0.9 * pitch_m, CARRIER_HZ)
    return simulate_transmits(
        scene(),
        transmits=wanted,
        array=array,
        aperture_m=6e-3 if side_by_side else None,
        sound_speed_m_s=speed,
        noise_db=None,
    )


def first_to_fire_s(data: ChannelData) -> npt.NDArray[np.float64]:
    """When the first element fires, before the wave is at the array's centre."""
    sines = np.sin([wave.angle_rad for wave in data.transmits])
    return -data.element_positions_m[-1, 0] * np.abs(sines) / data.sound_speed_m_s


def common(data: ChannelData, samples: npt.NDArray[np.generic]) -> dict[str, object]:
    return {
        "channel_data": samples,
        "modulation_frequency": [[CARRIER_HZ]],
        "sampling_frequency": [[data.sampling_frequency_hz]],
        "sound_speed": [[1540.0]],
        "element_count": [[samples.shape[-2]]],
    }


def angles_rad(data: ChannelData) -> npt.NDArray[np.float64]:
    return np.array([transmit.angle_rad for transmit in data.transmits])


def off_centre(data: ChannelData) -> npt.NDArray[np.float64]:
    """Positions as they are stored: (3, elements), counted from somewhere else."""
    return data.element_positions_m.T + np.array([[2e-3], [0], [0]])


ANGLES_DEG = np.linspace(-12, 12, 5)


def mayo() -> dict[str, object]:
    data = plane_waves(1578, 0.30e-3, ANGLES_DEG)
    samples = starting_at(data, first_to_fire_s(data))
    return {**common(data, samples), "angles": angles_rad(data)}


def florence() -> dict[str, object]:
    data = plane_waves(1523, 0.245e-3, ANGLES_DEG)
    rf = starting_at(data, 3.3e-6)
    contents = common(data, (3e4 * rf / np.abs(rf).max()).astype(np.int16))
    contents["channel_data_sampling_frequency"] = contents.pop("sampling_frequency")
    return {**contents, "angles": ANGLES_DEG, "channel_data_t0": 3.3e-6}


def eindhoven() -> dict[str, object]:
    data = plane_waves(1495, 0.30e-3, ANGLES_DEG)
    samples = starting_at(data, first_to_fire_s(data) - 10 / CARRIER_HZ)
    direction = np.stack([angles_rad(data), 0 * ANGLES_DEG], axis=1)
    return {
        **common(data, samples),
        "transmit_direction": direction,
        # Read by the loader, and overwritten.
        "start_time": np.full((1, 5), 5e-6),
        "element_positions": off_centre(data),
    }


def inserm() -> dict[str, object]:
    data = plane_waves(1539, 0.30e-3, np.linspace(-16, 16, 5))
    start = np.array([2e-6, 2.5e-6, 3e-6, 2.5e-6, 2e-6])
    samples = starting_at(data, start + first_to_fire_s(data))
    return {
        **common(data, samples),
        "transmit_direction": np.zeros((2, 5)),
        "start_time": start[None],
        "element_positions": off_centre(data),
    }


def oslo() -> dict[str, object]:
    data = plane_waves(1543, 0.30e-3, ANGLES_DEG)
    start = np.array([2e-6, 2.5e-6, 3e-6, 2.5e-6, 2e-6])
    return {
        **common(data, starting_at(data, start)),
        "transmit_direction": np.stack([angles_rad(data), 0 * ANGLES_DEG]),
        "start_time": start[None],
        "element_positions": off_centre(data),
    }


def tsinghua() -> dict[str, object]:
    data = plane_waves(1540, 0.30e-3, ANGLES_DEG, elements=128)
    samples = starting_at(data, first_to_fire_s(data)).transpose(1, 0, 2)
    contents = common(data, samples.reshape(128, -1))
    return {**contents, "sound_speed": [[1500.0]], "angles": angles_rad(data)}


def hopkins() -> dict[str, object]:
    data = plane_waves(1510, 0.30e-3, ANGLES_DEG)
    start = np.full(5, 2e-6)
    return {
        **common(data, starting_at(data, start)),
        "sound_speed": [[1510.0]],
        "angles": angles_rad(data),
        "time_zero": start,
        "element_positions": data.element_positions_m[:, 0],
    }


def oslo_carotid() -> dict[str, object]:
    """Beams straight down, in a file that says that they are steered."""
    x = 1e-3 * np.linspace(-2, 6, 17)
    wanted = [FocusedBeam(0, 22e-3, (p, 0, 0)) for p in x]
    data = beams(1540, 0.30e-3, wanted, elements=40)
    stored = np.full((1, 17), 4e-6)
    stored[0, 7] = 3e-6
    return {
        **common(data, starting_at(data, 3e-6)),
        "transmit_origin": np.stack([x, 0 * x, 0 * x]),
        "transmit_direction": np.full((2, 17), 0.2),
        "transmit_focus": np.full((1, 1), 22e-3),
        "start_time": stored,
        "element_positions": off_centre(data),
    }


def through_the_points(count: int) -> npt.NDArray[np.float64]:
    """Angles of a sector with a line on each point."""
    step = np.arctan2(POINTS_MM[1][1], POINTS_MM[1][0]) / 4
    return step * np.arange(-(count // 2), count // 2 + 1)


def oslo_heart() -> dict[str, object]:
    """A phased array, in a file that says that its beams start side by side."""
    angle = through_the_points(13)
    data = beams(1530, 0.20e-3, [FocusedBeam(a, 24e-3) for a in angle])
    start = np.linspace(2e-6, 3e-6, 13)
    return {
        **common(data, starting_at(data, start)),
        "sound_speed": [[1530.0]],
        "transmit_origin": np.stack([np.linspace(-3e-3, 3e-3, 13)] + 2 * [0 * angle]),
        "transmit_direction": np.stack([angle, 0 * angle]),
        "transmit_focus": np.full((1, 1), 24e-3),
        "start_time": start[None],
        "element_positions": data.element_positions_m.T,
    }


def hopkins_breast() -> dict[str, object]:
    """Two beams an element, nothing but the pitch about where."""
    x = 0.30e-3 / 2 * (np.arange(60) - 29.5)
    wanted = [FocusedBeam(0, 22e-3, (p, 0, 0)) for p in x]
    data = beams(1540, 0.30e-3, wanted, elements=40)
    contents = common(data, starting_at(data, 0.0))
    del contents["sound_speed"]
    return {**contents, "transmit_focus": [22e-3], "pitch": 0.30e-3}


def hopkins_steered() -> dict[str, object]:
    """Beams from a point behind the array, their origins stored twice too far out."""
    apex_m = 10e-3
    angle = np.arctan2(POINTS_MM[1][1], POINTS_MM[1][0] + 1e3 * apex_m) / 3
    angle = angle * np.arange(-5, 6)
    x = apex_m * np.tan(angle)
    wanted = [FocusedBeam(a, 24e-3, (p, 0, 0)) for a, p in zip(angle, x, strict=True)]
    data = beams(1540, 0.30e-3, wanted)
    return {
        **common(data, starting_at(data, 2e-6)),
        "sound_speed": [[1480.0]],
        "transmit_origin": np.stack([2 * x, 0 * x, 0 * x]),
        "transmit_direction": np.stack([angle, 0 * angle]),
        "transmit_focus": np.full(11, 24e-3),
        "start_time": np.full((1, 11), -2e-6),
        "element_positions": data.element_positions_m.T,
    }


@dataclass(frozen=True)
class Layout:
    """How to make a file, and the speed of sound in front of its probe."""

    make: Callable[[], dict[str, object]]
    speed: float


LAYOUTS = {
    "MYO003": Layout(mayo, 1578),
    "UFL004": Layout(florence, 1523),
    "EUT005": Layout(eindhoven, 1495),
    "INS015": Layout(inserm, 1539),
    "OSL003": Layout(oslo, 1543),
    "TSH123": Layout(tsinghua, 1540),
    "JHU024": Layout(hopkins, 1510),
    "OSL008": Layout(oslo_carotid, 1540),
    "OSL012": Layout(oslo_heart, 1530),
    "JHU002": Layout(hopkins_breast, 1540),
    "JHU021": Layout(hopkins_steered, 1540),
}
"""One acquisition of every institution and kind."""


def write(path: Path, contents: dict[str, object]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in contents.items():
            file[name] = np.asarray(values)
    return path
