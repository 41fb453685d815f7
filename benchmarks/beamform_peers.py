"""Other people's beamformers on our data, where they are installed.

``zea`` (https://github.com/tue-bmd/zea), ``vbeam`` (https://github.com/magnusdk/vbeam)
and ``ultraspy`` (https://ultraspy.readthedocs.io) are given the same plane waves,
pixels, f-number and, as far as they have it, window as ours, in the way they are
meant to be used: complex data at base band, linear interpolation, the carrier's phase
put back. A peer is a function that prepares: it builds and compiles what does not
depend on the samples and gives a function of no argument that beamforms. Only that is
timed, as they would be used for one frame after another.

zea runs on the Keras backend that ``KERAS_BACKEND`` names, torch unless it is set;
with ``jax`` it is compiled. vbeam runs on jax.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.ultrasound.beamform.delay_and_sum import TUKEY_FRACTION, DelayAndSum
from napari_usflow.ultrasound.data import ChannelData, PixelGrid

Image = npt.NDArray[np.complex64]
ZEA_PATCH = 1024
"""Pixels at a time, the default of zea."""

Prepare = Callable[[ChannelData, PixelGrid, float], Callable[[], Image]]


def at_base_band(data: ChannelData) -> npt.NDArray[np.complex64]:
    """Demodulate RF as recorded, after the receive filter of ours.

    What is read are our own fine traces, at the times of the recorded samples.
    """
    import torch

    # Neither pixels nor f-number matter to the traces.
    z = x = np.zeros(1)
    das = DelayAndSum(data, 1.0, torch.device("cpu"), z, x, 1.0)
    group = np.arange(len(data.transmits))
    records = das.read(0, group)
    n_channels, n_samples = records.shape[1:]
    times = np.arange(n_samples) / data.sampling_frequency_hz
    carrier = np.exp(-2j * np.pi * data.center_frequency_hz * times)
    iq = np.empty(records.shape, np.complex64)
    for channel in range(n_channels):
        # A zero is put before each trace, and two after it.
        real, imaginary = (
            part[:, 1 : -2 : das.factor].numpy()
            for part in das.traces(records[:, channel], group)
        )
        iq[:, channel] = (real + 1j * imaginary) * carrier
    return iq


def angles_rad(data: ChannelData) -> npt.NDArray[np.float64]:
    if data.start_time_s.any():
        raise ValueError("the peers are given records that start at time zero")
    return np.array([wave.angle_rad for wave in data.transmits])


def zea(data: ChannelData, grid: PixelGrid, f_number: float) -> Callable[[], Image]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras import backend, ops
    from zea.beamform.beamformer import fnum_window_fn_tukey, tof_correction

    z_mm, x_mm = grid.axes_mm()
    z, x = np.meshgrid(1e-3 * z_mm, 1e-3 * x_mm, indexing="ij")
    pixels = np.stack([x.ravel(), 0 * x.ravel(), z.ravel()], axis=1)
    angles = angles_rad(data)
    elements = data.element_positions_m
    # When each element fires: the wave passes the origin at time zero, as ours.
    fires = elements[:, 0] * np.sin(angles)[:, None] / data.sound_speed_m_s

    def tensor(values: npt.ArrayLike) -> Any:
        return ops.convert_to_tensor(np.asarray(values, np.float32))

    iq = at_base_band(data).transpose(0, 2, 1)
    given = {
        "data": tensor(np.stack([iq.real, iq.imag], axis=-1)),
        "t0_delays": tensor(fires),
        "tx_apodizations": tensor(np.ones(fires.shape)),
        "sound_speed": data.sound_speed_m_s,
        "probe_geometry": tensor(elements),
        "initial_times": tensor(0 * angles),
        "sampling_frequency": data.sampling_frequency_hz,
        "demodulation_frequency": data.center_frequency_hz,
        "f_number": f_number,
        "polar_angles": tensor(angles),
        "focus_distances": tensor(0 * angles),  # plane waves
        "t_peak": tensor(0 * angles),
        "transmit_origins": tensor(np.zeros((len(angles), 3))),
        "fnum_window_fn": partial(fnum_window_fn_tukey, alpha=TUKEY_FRACTION),
    }

    def beamform(patch: Any) -> Any:
        return ops.sum(tof_correction(flatgrid=patch, **given), axis=(0, 2))

    # As its class PatchedGrid does, which has the rectangular window only.
    patches = [
        tensor(pixels[first : first + ZEA_PATCH])
        for first in range(0, len(pixels), ZEA_PATCH)
    ]
    if backend.backend() == "jax":
        import jax

        beamform = jax.jit(beamform)
        for patch in (patches[0], patches[-1]):
            beamform(patch)

    def run() -> Image:
        image = np.concatenate([ops.convert_to_numpy(beamform(p)) for p in patches])
        return np.ascontiguousarray(image).view(np.complex64).reshape(grid.shape)

    return run


def vbeam(data: ChannelData, grid: PixelGrid, f_number: float) -> Callable[[], Image]:
    import jax
    from spekk import Spec
    from vbeam.apodization import PlaneWaveReceiveApodization
    from vbeam.apodization.window import Tukey
    from vbeam.beamformers import get_das_beamformer
    from vbeam.core import ElementGeometry, WaveData
    from vbeam.data_importers import SignalForPointSetup
    from vbeam.fastmath import numpy as vnp
    from vbeam.interpolation import FastInterpLinspace
    from vbeam.scan import linear_scan
    from vbeam.wavefront import PlaneWavefront, ReflectedWavefront

    z_mm, x_mm = grid.axes_mm()
    angles = angles_rad(data)
    iq = at_base_band(data)

    def array(values: npt.ArrayLike) -> Any:
        return vnp.array(np.asarray(values, np.float32))

    setup = SignalForPointSetup(
        sender=ElementGeometry(array([0, 0, 0]), 0.0, 0.0),
        point_position=None,
        receiver=ElementGeometry(array(data.element_positions_m)),
        signal=vnp.array(iq),
        transmitted_wavefront=PlaneWavefront(),
        reflected_wavefront=ReflectedWavefront(),
        speed_of_sound=array(data.sound_speed_m_s),
        wave_data=WaveData(
            azimuth=array(angles), elevation=array(0 * angles), t0=array(0 * angles)
        ),
        interpolate=FastInterpLinspace(
            0.0, 1 / data.sampling_frequency_hz, iq.shape[2]
        ),
        modulation_frequency=array(data.center_frequency_hz),
        apodization=PlaneWaveReceiveApodization(Tukey(TUKEY_FRACTION), f_number),
        spec=Spec(
            {
                "signal": ["transmits", "receivers", "signal_time"],
                "receiver": ["receivers"],
                "point_position": ["points"],
                "wave_data": ["transmits"],
            }
        ),
        scan=linear_scan(array(1e-3 * x_mm), array(1e-3 * z_mm)),
    )
    beamformer = jax.jit(
        get_das_beamformer(
            setup, compensate_for_apodization_overlap=False, log_compress=False
        )
    )
    compiled = beamformer.lower(**setup.data).compile()
    # Its images are (lateral, axial).
    return lambda: np.asarray(compiled(**setup.data)).T


def ultraspy(
    data: ChannelData, grid: PixelGrid, f_number: float
) -> Callable[[], Image]:
    from ultraspy.beamformers.das import DelayAndSum as Das
    from ultraspy.scan import GridScan

    z_mm, x_mm = grid.axes_mm()
    angles = angles_rad(data)
    x, y, z = data.element_positions_m.T
    # Position of each element, for each transmit.
    probe = np.stack([np.tile(axis, (len(angles), 1)) for axis in (x, y, z)])
    beamformer = Das(is_iq=True, on_gpu=False)
    for name, value in {
        "emitted_probe": probe,
        "received_probe": probe,
        "emitted_thetas": 0 * probe[0],
        "received_thetas": 0 * probe[0],
        "delays": x * np.sin(angles)[:, None] / data.sound_speed_m_s,
        "transmissions_idx": np.arange(len(angles)),
        "sound_speed": data.sound_speed_m_s,
        "f_number": [f_number, f_number],
        "sampling_freq": data.sampling_frequency_hz,
        "central_freq": data.center_frequency_hz,
    }.items():
        beamformer.update_setup(name, value)
    beamformer.update_option("rx_apodization", "tukey")
    beamformer.update_option("rx_apodization_alpha", TUKEY_FRACTION)
    # The whole array sends a plane wave.
    beamformer.update_option("emitted_aperture", False)

    def scan(x_mm: npt.NDArray[np.float64], z_mm: npt.NDArray[np.float64]) -> GridScan:
        return GridScan(1e-3 * x_mm, 1e-3 * z_mm, on_gpu=False)

    iq, whole = at_base_band(data), scan(x_mm, z_mm)
    beamformer.beamform_cpu(iq, scan(x_mm[:2], z_mm[:2]))  # numba compiles here
    return lambda: beamformer.beamform_cpu(iq, whole).T


NEEDED = {zea: ("zea", "keras"), vbeam: ("vbeam", "jax"), ultraspy: ("ultraspy",)}
PEERS: dict[str, Prepare] = {
    peer.__name__: peer for peer, names in NEEDED.items() if all(map(find_spec, names))
}
"""Those that are installed, by name."""
