"""UFF: channel data, images and scans of the UltraSound ToolBox."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.signal import hilbert

import uff_files as files
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import uff
from napari_usflow.io.uff import images
from napari_usflow.ultrasound.data import (
    DivergingWave,
    FocusedBeam,
    PixelGrid,
    PlaneWave,
    PolarGrid,
)
from point_scene import (
    CENTER_HZ,
    ELEMENTS_M,
    FS_HZ,
    POINT_M,
    SPEED_M_S,
    WAVELENGTH_MM,
    brightest_mm,
    demodulated,
    echoes,
    plane_paths,
)

ANGLES = np.radians([-10.0, 0.0, 10.0])
GRID = PixelGrid((161, 121), (0.05, 0.05), (14.0, -1.0))
INITIAL_S, DELAYS_S = 2e-6, np.array([1e-6, 2e-6, 3e-6])
RNG = np.random.default_rng(3)


def _planes(delays_s: np.ndarray = DELAYS_S) -> list[dict]:
    return [
        {"wavefront": 0, "distance": np.inf, "azimuth": a, "delay": d}
        for a, d in zip(ANGLES, delays_s, strict=True)
    ]


def _write(path: Path, samples: np.ndarray, waves: list[dict], **options) -> Path:
    with files.new_file(path) as file:
        options = {
            "fs": FS_HZ,
            "initial_time": INITIAL_S,
            "center": CENTER_HZ,
        } | options
        files.write_channel_data(file, samples, waves, ELEMENTS_M, **options)
    return path


@pytest.fixture
def plane_wave_file(tmp_path: Path) -> Path:
    rf = echoes(plane_paths(ANGLES), INITIAL_S + DELAYS_S)
    return _write(tmp_path / "a.uff", rf[None], _planes())


def test_channel_data_have_the_toolbox_s_geometry_and_times(plane_wave_file) -> None:
    data = io.read_channel_data(plane_wave_file)

    assert data.samples.shape == (1, 3, 48, 640)
    assert data.samples.dtype == np.float32
    np.testing.assert_allclose(data.element_positions_m, ELEMENTS_M, atol=1e-9)
    assert [type(t) for t in data.transmits] == [PlaneWave] * 3
    assert [t.angle_rad for t in data.transmits] == pytest.approx(list(ANGLES))
    # t = initial_time + delay + n / fs, as +uff/channel_data.m has it
    np.testing.assert_allclose(data.start_time_s, INITIAL_S + DELAYS_S, rtol=1e-6)
    assert data.sampling_frequency_hz == FS_HZ
    assert (data.center_frequency_hz, data.demodulation_frequency_hz) == (CENTER_HZ, 0)


@pytest.mark.parametrize("is_iq", [False, True], ids=["rf", "iq"])
def test_a_point_comes_out_at_its_place(tmp_path, is_iq) -> None:
    start = INITIAL_S + DELAYS_S
    samples = echoes(plane_paths(ANGLES), start)
    modulation = 0.0
    if is_iq:
        # The toolbox demodulates from initial_time on, the wave's delay left out.
        samples = demodulated(samples, np.full(3, INITIAL_S))
        modulation = CENTER_HZ
    path = _write(tmp_path / "a.uff", samples[None], _planes(), modulation=modulation)

    (image,) = io.read(path, grid=GRID)

    assert io.read_channel_data(path).is_iq == is_iq
    assert brightest_mm(image) == pytest.approx(
        (1e3 * POINT_M[1], 1e3 * POINT_M[0]), abs=WAVELENGTH_MM / 4
    )
    # Coherent: waves out of phase would lose a third of the amplitude and more.
    one = io.read(path, grid=GRID, angles=1)[0]
    assert one.metadata["plane_waves"] == 1


def test_iq_of_delayed_waves_adds_up_in_phase(tmp_path) -> None:
    start = INITIAL_S + DELAYS_S
    rf = echoes(plane_paths(ANGLES), start)
    iq = demodulated(rf, np.full(3, INITIAL_S))
    path = _write(tmp_path / "a.uff", iq[None], _planes(), modulation=CENTER_HZ)

    samples = io.read_channel_data(path).samples[0]

    # Demodulated by the time since each wave passed the origin.
    np.testing.assert_allclose(samples, demodulated(rf, start), atol=2e-4)


def test_frames_follow_each_other_at_the_pulse_rate(tmp_path) -> None:
    rf = np.stack([echoes(plane_paths(ANGLES), INITIAL_S + DELAYS_S)] * 2)
    rf[1] *= 2
    data = io.read_channel_data(_write(tmp_path / "a.uff", rf, _planes(), prf=1500.0))

    assert data.samples.shape[0] == 2
    assert data.frame_interval_s == pytest.approx(3 / 1500)
    np.testing.assert_allclose(data.samples[1, 2], rf[1, 2], rtol=1e-6)


def test_an_element_that_fires_alone_is_a_source(tmp_path) -> None:
    elements = [4, 20, 40]
    x_m = ELEMENTS_M[elements, 0]
    waves = [
        {
            "wavefront": 1,
            "distance": abs(x),
            "azimuth": np.sign(x) * np.pi / 2,
            # The toolbox's synthetic apertures: |source| / c
            "delay": abs(x) / SPEED_M_S,
        }
        for x in x_m
    ]
    path_m = np.hypot(POINT_M[0] - x_m, POINT_M[1])
    rf = echoes(path_m, np.full(3, INITIAL_S))
    path = _write(tmp_path / "a.uff", rf[None], waves)

    data = io.read_channel_data(path)

    assert all(isinstance(t, DivergingWave) for t in data.transmits)
    np.testing.assert_allclose(data.start_time_s, INITIAL_S, rtol=1e-5)
    found = [t.path_m(POINT_M[1], POINT_M[0]) for t in data.transmits]
    np.testing.assert_allclose(found, path_m, atol=1e-7)


def test_a_source_behind_the_array_spreads_from_it(tmp_path) -> None:
    wave = {"wavefront": 1, "distance": 10e-3, "azimuth": np.pi - 0.2, "delay": 1e-6}
    path = _write(tmp_path / "a.uff", np.ones((1, 1, 48, 9)), [wave])

    data = io.read_channel_data(path)

    (transmit,) = data.transmits
    source = (10e-3 * np.sin(0.2), 0, -10e-3 * np.cos(0.2))
    np.testing.assert_allclose(transmit.source_m, source, atol=1e-8)
    expected = np.hypot(POINT_M[0] - source[0], POINT_M[1] - source[2]) - 10e-3
    assert transmit.path_m(POINT_M[1], POINT_M[0]) == pytest.approx(expected, abs=1e-7)
    np.testing.assert_allclose(data.start_time_s, INITIAL_S + 1e-6, rtol=1e-5)


@pytest.mark.parametrize("array", ["linear", "phased"])
def test_focused_waves_are_lines_of_the_array_s_kind(tmp_path, array) -> None:
    if array == "linear":
        sources = np.stack([[-2e-3, 0.0, 2e-3], np.full(3, 15e-3)], axis=1)
    else:
        sources = 15e-3 * np.stack([np.sin(ANGLES), np.cos(ANGLES)], axis=1)
    distance = np.hypot(*sources.T)
    waves = [
        {"wavefront": 1, "distance": d, "azimuth": np.arctan2(x, z)}
        for d, (x, z) in zip(distance, sources, strict=True)
    ]
    path = _write(tmp_path / "a.uff", np.ones((1, 3, 48, 9)), waves)

    data = io.read_channel_data(path)

    assert all(isinstance(t, FocusedBeam) for t in data.transmits)
    starts = [t.origin_m[0] for t in data.transmits]
    angles = [t.angle_rad for t in data.transmits]
    assert starts == pytest.approx([-2e-3, 0, 2e-3] if array == "linear" else [0] * 3)
    assert angles == pytest.approx([0] * 3 if array == "linear" else list(ANGLES))
    # The toolbox: (|source| + |p - source|) / c behind the focus.
    for i, (x, z) in enumerate(sources):
        tau = (distance[i] + np.hypot(1e-3 - x, 30e-3 - z)) / SPEED_M_S - INITIAL_S
        ours = data.transmits[i].path_m(30e-3, 1e-3) / SPEED_M_S
        assert ours - data.start_time_s[i] == pytest.approx(tau, abs=1e-11)


def test_a_probe_without_geometry_is_laid_out_by_its_pitch(plane_wave_file) -> None:
    with h5py.File(plane_wave_file, "r+") as file:
        del file["channel_data/probe/geometry"]

    data = io.read_channel_data(plane_wave_file)

    np.testing.assert_allclose(data.element_positions_m, ELEMENTS_M, atol=1e-8)


def _picture(frames: int = 1) -> np.ndarray:
    shape = (frames, 7, 5)
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def _image_file(path: Path, picture: np.ndarray, scan: str = "linear") -> Path:
    with files.new_file(path) as file:
        group = files.write_image(file, picture)
        if scan == "linear":
            z_m, x_m = 5e-3 + 0.1e-3 * np.arange(7), 0.2e-3 * (np.arange(5) - 2)
            files.write_linear_scan(group, "scan", z_m, x_m)
        else:
            depth, angle = 5e-3 + 0.1e-3 * np.arange(7), 0.1 * (np.arange(5) - 2)
            files.write_sector_scan(group, "scan", depth, angle, (10e-3, np.pi))
    return path


@pytest.mark.parametrize("frames", [1, 3])
def test_beamformed_data_become_decibels_on_their_scan(tmp_path, frames) -> None:
    picture = _picture(frames)

    (image,) = io.read(_image_file(tmp_path / "a.uff", picture))

    expected = 20 * np.log10(np.abs(picture) / np.abs(picture).max())
    np.testing.assert_allclose(image.data, expected, atol=1e-4)
    assert image.values == "db"
    np.testing.assert_allclose(image.spacing_mm, (0.1, 0.2), rtol=1e-4)
    np.testing.assert_allclose(image.origin_mm, (5, -0.4), rtol=1e-4)


def test_waves_and_channels_are_summed_coherently(tmp_path) -> None:
    parts = np.stack([_picture(), _picture(), _picture()])
    path = _image_file(tmp_path / "a.uff", parts[0])
    with h5py.File(path, "r+") as file:
        del file["b_data/data"]
        pixels = parts.transpose(1, 0, 3, 2).reshape(1, 3, 1, -1)
        files.write_array(file["b_data"], "data", pixels[0])

    (image,) = io.read(path)

    total = np.abs(parts.sum(axis=0))
    np.testing.assert_allclose(
        image.data, 20 * np.log10(total / total.max()), atol=1e-3
    )


def test_an_envelope_stays_one(tmp_path) -> None:
    picture = np.abs(_picture())

    (image,) = io.read(_image_file(tmp_path / "a.uff", picture))

    expected = 20 * np.log10(picture / picture.max())
    np.testing.assert_allclose(image.data, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["complex", "rf", "db"])
def test_nan_is_outside_and_the_logarithm_of_zero_the_floor(tmp_path, kind) -> None:
    picture = _picture()
    if kind != "complex":
        picture = picture.real if kind == "rf" else -np.abs(picture)
    whole = io.read(_image_file(tmp_path / "whole.uff", picture))[0].data
    picture[0, :, 4] = np.nan
    if kind == "db":
        picture[0, 2, 2] = -np.inf

    (image,) = io.read(_image_file(tmp_path / "a.uff", picture))

    assert np.isnan(image.data[0, :, 4]).all()
    inside, expected = image.data[0, :, :4], whole[0, :, :4].copy()
    if kind == "db":
        expected[2, 2] = np.nanmin(np.delete(expected, 12))
    np.testing.assert_allclose(
        inside - inside.max(), expected - expected.max(), atol=1e-4
    )


@pytest.mark.parametrize("kind", ["complex", "rf", "db"])
def test_a_large_stack_stays_in_its_file(tmp_path, monkeypatch, kind) -> None:
    picture = _picture(3)
    if kind != "complex":
        picture = picture.real if kind == "rf" else -np.abs(picture)
    path = _image_file(tmp_path / "a.uff", picture)
    monkeypatch.setattr(images, "MAX_ARRAY_BYTES", 8 * 7 * 5)  # one frame

    (image,) = io.read(path)

    with h5py.File(path, "r+"):  # nothing keeps it open
        pass
    assert image.data.chunks == ((1, 1, 1), (7,), (5,))
    amplitude = np.abs(picture if kind == "complex" else hilbert(picture, axis=1))
    expected = 20 * np.log10(amplitude / amplitude[0].max())
    expected = picture if kind == "db" else expected
    np.testing.assert_allclose(image.data[2].compute(), expected[2], atol=1e-4)
    np.testing.assert_allclose(image.data.compute(), expected, atol=1e-4)


@pytest.mark.parametrize(("frames", "limit"), [(4, 8 * 7 * 5 - 1), (2, 8 * 7 * 5)])
def test_frames_beyond_the_limits_are_refused(
    tmp_path, monkeypatch, frames, limit
) -> None:
    path = _image_file(tmp_path / "a.uff", _picture(3))
    monkeypatch.setattr(images, "MAX_ARRAY_BYTES", limit)
    monkeypatch.setattr(images, "MAX_FRAMES", frames)

    with pytest.raises(FileFormatError, match="frames of at most"):
        io.read(path)


def test_a_sector_scan_is_a_polar_grid_with_its_apex(tmp_path) -> None:
    (image,) = io.read(_image_file(tmp_path / "a.uff", _picture(), "sector"))

    assert isinstance(image.grid, PolarGrid)
    np.testing.assert_allclose(image.grid.radius_mm, (5, 0.1), rtol=1e-4)
    np.testing.assert_allclose(image.grid.angle_rad, (-0.2, 0.1), rtol=1e-5)
    np.testing.assert_allclose(image.grid.apex_mm, (-10, 0), atol=1e-5)


def test_a_file_with_both_gives_the_image_and_beamforms_when_asked(tmp_path) -> None:
    path = _write(
        tmp_path / "a.uff", echoes(plane_paths(ANGLES), INITIAL_S + DELAYS_S), _planes()
    )
    with h5py.File(path, "r+") as file:
        group = files.write_image(file, _picture())
        z_m, x_m = 5e-3 + 0.1e-3 * np.arange(7), 0.2e-3 * (np.arange(5) - 2)
        files.write_linear_scan(group, "scan", z_m, x_m)
        files.write_linear_scan(file, "scan", 15e-3 + z_m, x_m)

    assert io.detect(path) == "uff-image"
    assert io.read(path)[0].metadata["format"] == "uff-image"
    beamformed = io.read(path, angles=3)[0]
    assert beamformed.metadata["format"] == "uff-channel-data"
    # On the scan of the file.
    np.testing.assert_allclose(beamformed.origin_mm, (20, -0.4), rtol=1e-4)


def test_a_scan_alone_is_described_and_shows_nothing(tmp_path) -> None:
    with files.new_file(tmp_path / "a.uff") as file:
        files.write_linear_scan(file, "scan", [5e-3, 6e-3], [0, 1e-3, 2e-3])

    assert io.describe(tmp_path / "a.uff")["pixel_mm"] == pytest.approx([1, 1])
    with pytest.raises(FileFormatError, match=r"uff-scan\) holds no image"):
        io.read(tmp_path / "a.uff")


def test_every_kind_is_described_for_json(tmp_path, plane_wave_file) -> None:
    image = _image_file(tmp_path / "b.uff", _picture(2))

    for path, kind in ((plane_wave_file, "uff-channel-data"), (image, "uff-image")):
        assert json.loads(json.dumps(io.describe(path)))["kind"] == kind


@pytest.mark.parametrize(
    ("wave", "match"),
    [
        ({"wavefront": 2, "distance": 0, "azimuth": 0}, "photoacoustic"),
        ({"wavefront": 0, "distance": 0, "azimuth": 0, "elevation": 0.2}, "elevation"),
        ({"wavefront": 0, "distance": 0, "azimuth": 9}, "the azimuth 9 rad"),
    ],
)
def test_waves_that_are_not_read_are_named(tmp_path, wave, match) -> None:
    path = _write(tmp_path / "a.uff", np.ones((1, 1, 48, 9)), [wave])

    with pytest.raises(FileFormatError, match=match):
        uff.read_channel_data(path)


def test_samples_that_do_not_fit_the_waves_are_refused(tmp_path) -> None:
    path = _write(tmp_path / "a.uff", np.ones((1, 2, 48, 9)), _planes())

    with pytest.raises(FileFormatError, match="does not fit 3 waves and 48 elements"):
        uff.read_channel_data(path)


def test_pixels_that_do_not_fit_the_scan_are_refused(tmp_path) -> None:
    path = _image_file(tmp_path / "a.uff", _picture())
    with h5py.File(path, "r+") as file:
        del file["b_data/scan/x_axis"]
        files.write_array(file["b_data/scan"], "x_axis", [[0, 1e-4, 2e-4, 3e-4]])

    with pytest.raises(FileFormatError, match="28 pixels, 7 along depth and 4 across"):
        uff.read_images(path)


def test_the_toolbox_s_python_reader_sees_the_same(plane_wave_file) -> None:
    reference = pytest.importorskip("pyuff_ustb").Uff(str(plane_wave_file))
    theirs = reference.read("channel_data")

    data = io.read_channel_data(plane_wave_file)

    np.testing.assert_array_equal(data.samples[0].transpose(2, 1, 0), theirs.data)
    np.testing.assert_allclose(data.element_positions_m, theirs.probe.xyz)
    assert float(theirs.sampling_frequency) == data.sampling_frequency_hz
    for ours, wave, start in zip(
        data.transmits, theirs.sequence, data.start_time_s, strict=True
    ):
        assert ours.angle_rad == pytest.approx(float(wave.source.azimuth))
        assert start == pytest.approx(float(theirs.initial_time + wave.delay))


def test_what_the_toolbox_s_python_writer_writes_is_read(tmp_path) -> None:
    pyuff = pytest.importorskip("pyuff_ustb")
    rf = echoes(plane_paths(ANGLES), np.full(3, INITIAL_S))
    probe = pyuff.LinearArray(N=48, pitch=0.3e-3, element_width=0.25e-3)
    apodization = pyuff.Apodization()
    waves = [
        pyuff.Wave(
            wavefront=pyuff.Wavefront.plane,
            source=pyuff.Point(distance=np.inf, azimuth=float(a), elevation=0.0),
            origin=pyuff.Point(distance=0.0, azimuth=0.0, elevation=0.0),
            apodization=apodization,
            delay=0.0,
            sound_speed=SPEED_M_S,
        )
        for a in ANGLES
    ]
    theirs = pyuff.ChannelData(
        sampling_frequency=FS_HZ,
        initial_time=INITIAL_S,
        sound_speed=SPEED_M_S,
        modulation_frequency=0.0,
        sequence=waves,
        probe=probe,
        data=rf.transpose(2, 1, 0),
    )
    path = tmp_path / "theirs.uff"
    theirs.write(str(path), "channel_data", ignore_missing_compulsory_fields=True)

    data = io.read_channel_data(path)

    np.testing.assert_array_equal(data.samples[0], rf)
    np.testing.assert_allclose(data.element_positions_m, ELEMENTS_M, atol=1e-9)
    assert [t.angle_rad for t in data.transmits] == pytest.approx(list(ANGLES))
