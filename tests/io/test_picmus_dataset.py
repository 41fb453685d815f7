"""PICMUS channel data: axes, times, and RF told from IQ."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import picmus

RNG = np.random.default_rng(2)
RF = RNG.normal(size=(5, 8, 30)).astype(np.float32)
IQ = (RF + 1j * RNG.normal(size=RF.shape)).astype(np.complex64)
FULL_IQ = {"signal": 1, "modulation_frequency": 5.208e6, "sampling_frequency": 5.208e6}


def test_rf_has_the_axes_frames_angles_channels_samples(write_dataset) -> None:
    data = io.read_channel_data(write_dataset(RF))

    assert not data.is_iq
    assert data.samples.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(data.samples), RF[None])


def test_iq_joins_the_real_and_the_imaginary_part(write_dataset) -> None:
    data = io.read_channel_data(write_dataset(IQ, **FULL_IQ))

    assert data.is_iq
    assert data.samples.dtype == np.complex64
    np.testing.assert_array_equal(data.samples[0], IQ)


def test_the_header_becomes_times_angles_and_positions(write_dataset) -> None:
    data = io.read_channel_data(write_dataset(RF))

    np.testing.assert_allclose(data.start_time_s, np.full(5, 3e-6), rtol=1e-6)
    np.testing.assert_allclose(
        [t.angle_rad for t in data.transmits], [-0.2, -0.1, 0, 0.1, 0.2], atol=1e-7
    )
    np.testing.assert_allclose(
        data.element_positions_m[:, 0], 0.3e-3 * (np.arange(8) - 3.5), rtol=1e-6
    )
    assert data.element_positions_m.shape == (8, 3)
    assert data.sampling_frequency_hz == 20.832e6
    assert data.center_frequency_hz == 5.208e6
    assert data.demodulation_frequency_hz == 0
    assert data.sound_speed_m_s == 1540
    assert data.frame_interval_s is None
    assert data.metadata["format"] == "picmus-dataset"
    assert data.metadata["title"] == "tiny"


def test_frames_come_first_and_follow_one_another_by_the_prf(write_dataset) -> None:
    frames = np.stack([RF, 2 * RF, 3 * RF])

    data = io.read_channel_data(write_dataset(frames, PRF=100.0))

    np.testing.assert_array_equal(data.samples[2], 3 * RF)
    assert data.frame_interval_s == pytest.approx(5 / 100)


def test_the_axis_that_matlab_drops_for_one_angle_is_put_back(write_dataset) -> None:
    path = write_dataset(RF[:1], stored=RF[0], angles=[0.0])

    np.testing.assert_array_equal(io.read_channel_data(path).samples[0, 0], RF[0])


def test_whole_numbers_become_float32(write_dataset, tmp_path) -> None:
    path = write_dataset(RF)
    counts = np.arange(RF.size, dtype=np.int16).reshape(RF.shape)
    with h5py.File(path, "r+") as file:
        del file["US/US_DATASET0000/data/real"]
        file["US/US_DATASET0000/data/real"] = counts

    samples = io.read_channel_data(path).samples

    assert samples[0].dtype == np.float32
    np.testing.assert_array_equal(samples[0], counts)


@pytest.mark.parametrize(
    ("samples", "signal", "modulation", "is_iq", "demodulation", "note"),
    [
        (RF, 0, 0.0, False, 0.0, None),
        (IQ, 1, 5e6, True, 5e6, None),
        (IQ, 1, 0.0, True, 5.208e6, "modulation_frequency is 0 in an IQ file"),
        (IQ, 0, 5e6, True, 5e6, "says RF, but the imaginary part is not zero"),
        (RF, 1, 0.0, False, 0.0, "says IQ, but the imaginary part is zero"),
        (RF, 0, 5e6, False, 0.0, "modulation_frequency of an RF file is ignored"),
        (RF, 1, 5e6, True, 5e6, None),
    ],
)
def test_rf_or_iq_is_decided_by_the_samples_before_the_header(
    write_dataset, samples, signal, modulation, is_iq, demodulation, note
) -> None:
    path = write_dataset(samples, signal=signal, modulation_frequency=modulation)

    data = io.read_channel_data(path)

    assert data.is_iq == is_iq
    assert data.demodulation_frequency_hz == pytest.approx(demodulation)
    notes = data.metadata["notes"]
    assert (note is None) == (not notes)
    assert note is None or any(note in sentence for sentence in notes)


def test_an_imaginary_part_that_starts_late_is_still_found(write_dataset) -> None:
    late = RF.astype(np.complex64)
    late[-1] += 1j

    assert io.read_channel_data(write_dataset(late, **FULL_IQ)).is_iq


def test_rf_needs_no_imaginary_part(write_dataset) -> None:
    path = write_dataset(RF)
    with h5py.File(path, "r+") as file:
        del file["US/US_DATASET0000/data/imag"]

    assert not io.read_channel_data(path).is_iq


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"angles": np.zeros(4)}, "does not fit 4 angles"),
        ({"angles": np.linspace(-16, 16, 5)}, "an angle is 16; 0 to 1.5708 rad"),
        ({"sampling_frequency": 0.0}, "sampling_frequency is 0"),
        ({"sound_speed": 1.54}, "sound_speed is 1.54; 100 to 10000 m/s"),
        ({"initial_time": 50.0}, "initial_time is 50"),
        ({"initial_time": np.nan}, "not finite"),
        ({"sampling_frequency": [1e6, 2e6]}, "one number was expected"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(write_dataset, changes, match):
    with pytest.raises(FileFormatError, match=match):
        io.read_channel_data(write_dataset(RF, **changes))


def test_positions_in_the_wrong_order_are_refused(write_dataset) -> None:
    path = write_dataset(RF)
    with h5py.File(path, "r+") as file:
        group = file["US/US_DATASET0000"]
        positions = group["probe_geometry"][()]
        del group["probe_geometry"]
        group["probe_geometry"] = positions.T

    with pytest.raises(FileFormatError, match=r"probe_geometry \(8, 3\)"):
        io.read_channel_data(path)


def test_parts_of_different_shape_are_refused(write_dataset) -> None:
    path = write_dataset(IQ, **FULL_IQ)
    with h5py.File(path, "r+") as file:
        del file["US/US_DATASET0000/data/imag"]
        file["US/US_DATASET0000/data/imag"] = IQ.imag[:3]

    with pytest.raises(FileFormatError, match=r"\(5, 8, 30\) but data/imag \(3, 8"):
        io.read_channel_data(path)


def test_another_kind_of_file_is_refused(write_scan) -> None:
    path = write_scan(np.arange(4) * 1e-4, np.arange(5) * 1e-4)

    with pytest.raises(FileFormatError, match=r"picmus-scan; picmus-dataset was"):
        picmus.read_channel_data(path)
