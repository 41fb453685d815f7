"""Channel data in MATLAB files: a point comes out at its place in every layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import napari_usflow as usf
import point_scene as scene
from matlab_files import save_v73
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.ultrasound.data import PixelGrid

GRID = PixelGrid((81, 81), (0.05, 0.1), (16.0, -2.0))
ANGLES = np.radians([-8.0, 0.0, 8.0])
START_S = 4e-6
PITCH_M = 0.3e-3
N_ELEMENTS = len(scene.ELEMENTS_M)


def rf(angles=ANGLES, start_s: float = START_S) -> np.ndarray:
    """RF in MATLAB's order: (samples, channels, transmits)."""
    starts = np.full(len(angles), start_s)
    records = scene.echoes(scene.plane_paths(np.asarray(angles)), starts)
    return np.ascontiguousarray(records.transpose(2, 1, 0))


def must_param(**changes) -> dict:
    return {
        "fs": scene.FS_HZ,
        "fc": scene.CENTER_HZ,
        "pitch": PITCH_M,
        "c": scene.SPEED_M_S,
        "t0": START_S,
        "PRF": 5000.0,
        "Nelements": float(N_ELEMENTS),
        "TXdelay": np.zeros((1, N_ELEMENTS)),
        **changes,
    }


def picmus_struct(records: np.ndarray, **changes) -> dict:
    return {
        "real": records.real,
        "imag": records.imag,
        "sampling_frequency": scene.FS_HZ,
        "modulation_frequency": 0.0,
        "c0": scene.SPEED_M_S,
        "initial_time": START_S,
        "PRF": 100.0,
        "probe_geometry": scene.ELEMENTS_M,
        "angles": ANGLES,
        **changes,
    }


def save(path: Path, version: str, variables: dict) -> Path:
    if version == "7.3":
        return save_v73(path, variables)
    savemat(path, variables, do_compression=True)
    return path


def assert_in_place(path: Path, **how) -> None:
    (image,) = usf.read(path, grid=GRID, **how)
    z_mm, x_mm = scene.brightest_mm(image)
    assert z_mm == pytest.approx(1e3 * scene.POINT_M[1], abs=scene.WAVELENGTH_MM / 2)
    assert x_mm == pytest.approx(1e3 * scene.POINT_M[0], abs=scene.WAVELENGTH_MM / 2)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_the_must_toolbox(tmp_path: Path, version: str) -> None:
    """Firings of one wave are frames, a period of the PRF apart."""
    records = np.repeat(rf([0.0]), 2, axis=2)
    variables = {"RF": records, "param": must_param()}
    path = save(tmp_path / "a.mat", version, variables)

    data = usf.read_channel_data(path)

    assert io.detect(path) == "matlab-must"
    assert data.samples.shape == (2, 1, N_ELEMENTS, 640)
    assert data.frame_interval_s == pytest.approx(1 / 5000)
    np.testing.assert_allclose(data.samples[1, 0], records[:, :, 1].T, rtol=1e-6)
    assert_in_place(path)


def test_steered_waves_of_the_must_toolbox(tmp_path: Path) -> None:
    """Delays start at zero at the first element to fire; time counts from there."""
    x_m = scene.ELEMENTS_M[:, 0]
    delays = np.sin(ANGLES)[:, None] * x_m / scene.SPEED_M_S
    delays -= delays.min(axis=1, keepdims=True)
    # The wave passes the centre later than the first element fires.
    late_s = np.array([np.interp(0.0, x_m, row) for row in delays])
    records = np.concatenate(
        [rf([a], START_S - t) for a, t in zip(ANGLES, late_s, strict=True)], axis=2
    )
    param = must_param(TXdelay=delays)
    path = save(tmp_path / "a.mat", "5", {"RF": records, "param": param})

    data = usf.read_channel_data(path)

    angles = [wave.angle_rad for wave in data.transmits]
    np.testing.assert_allclose(angles, ANGLES, atol=1e-6)
    np.testing.assert_allclose(data.start_time_s, START_S - late_s, atol=1e-10)
    assert_in_place(path)


def test_band_pass_sampled_rf_is_demodulated(tmp_path: Path) -> None:
    """Every third sample: 4/3 of the carrier, far below twice of it."""
    variables = {"RF": rf([0.0])[::3], "param": must_param(fs=scene.FS_HZ / 3)}
    path = save(tmp_path / "a.mat", "5", variables)

    data = usf.read_channel_data(path)

    assert data.is_iq
    assert data.demodulation_frequency_hz == scene.CENTER_HZ
    assert "demodulated" in data.metadata["notes"][0]
    assert_in_place(path)


def test_rf_that_folds_onto_itself_is_refused(tmp_path: Path) -> None:
    variables = {"RF": rf([0.0])[::4], "param": must_param(fs=scene.CENTER_HZ)}
    path = save(tmp_path / "a.mat", "5", variables)

    with pytest.raises(FileFormatError, match="folds onto its own band"):
        usf.read_channel_data(path)


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("signal", ["RF", "IQ"])
def test_the_mat_files_of_picmus(tmp_path: Path, version: str, signal: str) -> None:
    records, modulation = rf(), 0.0
    if signal == "IQ":
        starts = np.full(3, START_S)
        iq = scene.demodulated(records.transpose(2, 1, 0), starts)
        records, modulation = iq.transpose(2, 1, 0), scene.CENTER_HZ
    param = picmus_struct(records, modulation_frequency=modulation)
    path = save(tmp_path / "a.mat", version, {"PARAM": param})

    data = usf.read_channel_data(path)

    assert io.detect(path) == "matlab-picmus"
    assert data.is_iq == (signal == "IQ")
    np.testing.assert_allclose(data.samples[0, 2], records[:, :, 2].T, atol=1e-6)
    assert_in_place(path)


NAMES = {
    "samples": "echo",
    "samples_axes": "tcs",
    "sampling_frequency_hz": "setup.rate_MHz * 1e6",
    "center_frequency_hz": "5e6",
    "pitch_m": "setup.pitch_mm / 1000",
    "angles_rad": "setup.steer_deg * 0.017453292519943295",
    "start_time_s": f"{START_S}",
}


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_any_other_layout_by_the_names_of_the_user(tmp_path, version, kind) -> None:
    records = rf().transpose(2, 1, 0)
    names = dict(NAMES)
    if kind == "complex":
        records = scene.demodulated(records, np.full(3, START_S)).astype(complex)
        names["demodulation_frequency_hz"] = "5e6"
    setup = {"rate_MHz": 20.0, "pitch_mm": 0.3, "steer_deg": np.degrees(ANGLES)}
    path = save(tmp_path / "a.mat", version, {"echo": records, "setup": setup})

    assert io.detect(path) == "matlab"
    with pytest.raises(FileFormatError, match=r"not known.*echo 3x48x640"):
        usf.read(path)
    assert_in_place(path, names=names)


def test_samples_of_a_7_3_file_stay_in_it(tmp_path: Path) -> None:
    variables = {"RF": np.repeat(rf([0.0]), 3, axis=2), "param": must_param()}
    path = save_v73(tmp_path / "a.mat", variables)

    data = usf.read_channel_data(path)

    assert not isinstance(data.samples, np.ndarray)
    path.unlink()
    with pytest.raises(FileFormatError):
        np.asarray(data.samples[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": "no_such"}, "no variable 'no_such'"),
        ({"sampling_frequency_hz": ""}, "sampling_frequency_hz is needed"),
        ({"sampling_frequency_hz": "setup.nothing"}, "nothing"),
        ({"sampling_frequency_hz": "0"}, "make no sense"),
        ({"sound_speed_m_s": "0"}, "make no sense"),
        ({"angles_rad": "0.1"}, "1 angles"),
        ({"samples_axes": "sct"}, "3 angles .* for 640 transmits"),
        ({"pitch_m": "setup"}, "does not hold numbers|numbers"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, changes, message) -> None:
    setup = {"rate_MHz": 20.0, "pitch_mm": 0.3, "steer_deg": np.degrees(ANGLES)}
    variables = {"echo": rf().transpose(2, 1, 0), "setup": setup}
    path = save(tmp_path / "a.mat", "5", variables)

    with pytest.raises(FileFormatError, match=message):
        usf.read_channel_data(path, names={**NAMES, **changes})


def test_unknown_keys_and_axes_are_told(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", "5", {"RF": rf([0.0]), "param": must_param()})

    with pytest.raises(ValueError, match="there is no name 'sample'"):
        usf.read(path, names={"sample": "RF"})
    with pytest.raises(ValueError, match="samples_axes is 'sx'"):
        usf.read(path, names={"samples": "RF", "samples_axes": "sx"})
    with pytest.raises(ValueError, match="is no quantity"):
        usf.read(path, names={"sound_speed_m_s": "c +"})


def test_names_change_a_known_layout_where_they_say_so(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", "5", {"RF": rf([0.0]), "param": must_param()})

    data = usf.read_channel_data(path, names={"sound_speed_m_s": 1480})

    assert data.sound_speed_m_s == 1480
    assert data.samples.shape == (1, 1, N_ELEMENTS, 640)


def test_names_are_for_matlab_files_only(write_pybf) -> None:
    path = write_pybf(np.zeros((1, 1, 6, 40), np.int16), [0.0])

    with pytest.raises(ValueError, match="names is for MATLAB files"):
        usf.read(path, names={"samples": "x"})


@pytest.mark.real_data
def test_the_real_rotating_disk_is_iq_of_32_firings(real_data: Path) -> None:
    path = real_data / "ultrasound/pymust-rotating-disk/PWI_disk.mat"

    data = usf.read_channel_data(path)

    assert data.samples.shape == (32, 1, 128, 334)
    assert data.is_iq
    assert data.sound_speed_m_s == 1480
    assert data.frame_interval_s == pytest.approx(1e-4)
    np.testing.assert_allclose(data.start_time_s, [9.95e-6])
    assert data.element_positions_m[-1, 0] == pytest.approx(127 / 2 * 0.298e-3)
