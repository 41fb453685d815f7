"""The pybf layout: frames and shots, scalars of any shape, time of the first sample."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import pybf
from napari_usflow.io.guards.file_checks import SourceFile

SHOTS = np.random.default_rng(4).integers(-999, 999, (2, 3, 6, 40)).astype(np.int16)
ANGLES = [-0.2, 0.0, 0.2]


def test_whole_numbers_become_float32_with_frames_first(write_pybf) -> None:
    data = pybf.read_channel_data(write_pybf(SHOTS, ANGLES))

    assert data.samples.dtype == np.float32
    assert not data.is_iq
    np.testing.assert_array_equal(np.asarray(data.samples), SHOTS)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1)])
def test_the_probe_is_centred(write_pybf, shape) -> None:
    data = pybf.read_channel_data(write_pybf(SHOTS, ANGLES, scalar_shape=shape))

    expected = 0.25e-3 * np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    np.testing.assert_allclose(data.element_positions_m[:, 0], expected)
    assert data.sampling_frequency_hz == 20e6
    assert data.center_frequency_hz == 5e6
    assert [t.angle_rad for t in data.transmits] == ANGLES
    assert data.frame_interval_s == pytest.approx(1 / 50)


@pytest.mark.parametrize(
    ("times", "start_s"),
    [
        ({"data/correction_time_shift": 3e-6, "sim_params/start_time": -1e-6}, -3e-6),
        (
            {
                "hardware_params/start_time": 5e-6,
                "hardware_params/correction_time": 1e-6,
            },
            4e-6,
        ),
        ({"sim_params/start_time": -1e-6}, -1e-6),
        ({}, 0.0),
    ],
)
def test_the_first_sample_is_timed_from_the_wave(write_pybf, times, start_s) -> None:
    data = pybf.read_channel_data(write_pybf(SHOTS, ANGLES, times=times))

    np.testing.assert_allclose(data.start_time_s, np.full(3, start_s), atol=1e-12)


def test_frames_and_shots_are_ordered_by_number_not_by_name(write_pybf) -> None:
    many = np.arange(12, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 4, 9))

    data = pybf.read_channel_data(write_pybf(many, [0.0]))

    np.testing.assert_array_equal(data.samples[:, 0, 0, 0], np.arange(12))


def test_the_assumed_sound_speed_is_told(write_pybf) -> None:
    data = pybf.read_channel_data(write_pybf(SHOTS, ANGLES))

    assert data.sound_speed_m_s == 1540
    assert any("1540 m/s is assumed" in note for note in data.metadata["notes"])


@pytest.mark.parametrize(
    ("angles", "match"),
    [
        ([0.0], r"3 shots of shape \(6, 40\) do not fit 1 angles"),
        ([-12, 0, 12], "an angle is 12; radians"),
    ],
)
def test_angles_that_do_not_fit_are_refused(write_pybf, angles, match) -> None:
    with pytest.raises(FileFormatError, match=match):
        pybf.read_channel_data(write_pybf(SHOTS, angles))


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("trans_params/x_pitch", 0.0, "x_pitch is 0"),
        ("trans_params/x_num_of_elements", 1e12, r"x_num_of_elements is 1e\+12"),
        ("data/f_sampling", -1.0, "f_sampling is -1"),
        ("trans_params/x_num_of_elements", 7, "and 7 elements"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(write_pybf, name, value, match) -> None:
    path = write_pybf(SHOTS, ANGLES)
    with h5py.File(path, "r+") as file:
        file[name][...] = value

    with pytest.raises(FileFormatError, match=match):
        pybf.read_channel_data(path)


def test_a_file_without_shots_is_refused(write_pybf) -> None:
    path = write_pybf(SHOTS, ANGLES)
    with h5py.File(path, "r+") as file:
        for frame in (1, 2):
            del file[f"data/rf_data/frame_{frame}"]

    with pytest.raises(FileFormatError, match="/data/rf_data has no frame_1"):
        pybf.read_channel_data(path)


def test_other_hdf5_files_are_not_ours(write_pybf, write_scan, tmp_path) -> None:
    assert io.detect(write_pybf(SHOTS, ANGLES)) == "pybf"
    scan = write_scan(np.arange(3), np.arange(3))
    assert pybf.detect(SourceFile(scan)) is None
    assert io.detect(tmp_path / "none.h5") is None
