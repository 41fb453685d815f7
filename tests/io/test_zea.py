"""zea files: raw data in each layout, images with the places of their pixels."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import zea_files as files
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import zea
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
    POINT_M,
    SPEED_M_S,
    WAVELENGTH_MM,
    brightest_mm,
    demodulated,
    echoes,
    plane_paths,
)

ANGLES = np.radians([-10.0, 0.0, 10.0])
START_S = np.array([2e-6, 3e-6, 4e-6])
GRID = PixelGrid((161, 121), (0.05, 0.05), (14.0, -1.0))
PATHS_M = ELEMENTS_M[:, 0] * np.sin(ANGLES)[:, None]
RNG = np.random.default_rng(4)


def _scan(**changes) -> dict:
    return files.scan_of(PATHS_M, START_S, ANGLES, **changes)


def _raw(path: Path, layout: str = "2025", **changes) -> Path:
    rf = echoes(plane_paths(ANGLES), START_S)
    return files.write_raw(path, rf[None], _scan(**changes), layout)


@pytest.mark.parametrize("layout", files.LAYOUTS)
def test_every_layout_gives_the_same_channel_data(tmp_path, layout) -> None:
    path = _raw(tmp_path / "a.hdf5", layout)

    data = io.read_channel_data(path)

    assert io.detect(path) == "zea-raw"
    assert data.samples.shape == (1, 3, 48, 640)
    np.testing.assert_array_equal(data.samples[0], echoes(plane_paths(ANGLES), START_S))
    np.testing.assert_allclose(data.element_positions_m, ELEMENTS_M, atol=1e-9)
    assert all(isinstance(t, PlaneWave) for t in data.transmits)
    assert [t.angle_rad for t in data.transmits] == pytest.approx(list(ANGLES))
    # From "the first element fires" to "the wave passes the origin".
    np.testing.assert_allclose(data.start_time_s, START_S, atol=2e-12)


@pytest.mark.parametrize("is_iq", [False, True], ids=["rf", "iq"])
def test_a_point_comes_out_at_its_place(tmp_path, is_iq) -> None:
    samples = echoes(plane_paths(ANGLES), START_S)
    if is_iq:
        # Demodulated from the first sample on.
        samples = demodulated(samples, np.zeros(3))
    path = files.write_raw(tmp_path / "a.hdf5", samples[None], _scan())

    (image,) = io.read(path, grid=GRID)

    assert io.read_channel_data(path).is_iq == is_iq
    assert brightest_mm(image) == pytest.approx(
        (1e3 * POINT_M[1], 1e3 * POINT_M[0]), abs=WAVELENGTH_MM / 4
    )


def test_iq_of_every_transmit_is_in_phase(tmp_path) -> None:
    rf = echoes(plane_paths(ANGLES), START_S)
    iq = demodulated(rf, np.zeros(3))
    path = files.write_raw(tmp_path / "a.hdf5", iq[None], _scan())

    data = io.read_channel_data(path)

    assert data.demodulation_frequency_hz == CENTER_HZ
    np.testing.assert_allclose(data.samples[0], demodulated(rf, START_S), atol=2e-3)


def test_delays_that_were_not_stored_follow_from_the_angles(tmp_path) -> None:
    path = _raw(tmp_path / "a.hdf5", t0_delays=np.zeros((3, 48)))

    data = io.read_channel_data(path)

    np.testing.assert_allclose(data.start_time_s, START_S, atol=2e-12)
    assert "t0_delays of 2 steered transmits" in data.metadata["notes"][0]


def test_an_element_that_did_not_fire_does_not_count(tmp_path) -> None:
    active = np.ones((3, 48))
    active[:, :8] = 0
    delays = (PATHS_M - PATHS_M[:, 8:].min(axis=1, keepdims=True)) / SPEED_M_S
    delays[:, :8] = 0
    first_s = PATHS_M[:, 8:].min(axis=1) / SPEED_M_S
    path = _raw(
        tmp_path / "a.hdf5",
        tx_apodizations=active,
        t0_delays=delays,
        initial_times=START_S - first_s,
    )

    data = io.read_channel_data(path)

    np.testing.assert_allclose(data.start_time_s, START_S, atol=2e-12)


@pytest.mark.parametrize("sign", [1, -1], ids=["focused", "diverging"])
def test_focused_and_diverging_waves_count_from_their_origin(tmp_path, sign) -> None:
    origins = np.array([[-1e-3, 0, 0], [0, 0, 0], [1e-3, 0, 0]])
    focus = sign * 25e-3
    points = origins + focus * np.stack(
        [np.sin(ANGLES), 0 * ANGLES, np.cos(ANGLES)], axis=1
    )
    gap_m = np.linalg.norm(points[:, None] - ELEMENTS_M, axis=-1)
    # Since the wave passed its origin, |focus| from the focal point.
    paths_m = sign * (abs(focus) - gap_m)
    scan = files.scan_of(
        paths_m,
        START_S,
        ANGLES,
        focus_distances=np.full(3, focus),
        transmit_origins=origins,
    )
    path = files.write_raw(tmp_path / "a.hdf5", np.ones((1, 3, 48, 9)), scan)

    data = io.read_channel_data(path)

    kind = FocusedBeam if sign > 0 else DivergingWave
    assert all(isinstance(t, kind) for t in data.transmits)
    np.testing.assert_allclose(data.start_time_s, START_S, atol=5e-12)
    x, z = POINT_M
    for i, transmit in enumerate(data.transmits):
        gap = np.hypot(x - points[i, 0], z - points[i, 2])
        expected = sign * (abs(focus) - gap)
        assert transmit.path_m(z, x) == pytest.approx(expected, abs=1e-9)


def test_focus_distances_in_wavelengths_are_recognised(tmp_path) -> None:
    path = _raw(tmp_path / "a.hdf5", focus_distances=np.full(3, 100.0))

    data = io.read_channel_data(path)

    # 100 wavelengths of 1540 m/s / 5 MHz
    assert data.transmits[0].focus_distance_m == pytest.approx(100 * 0.308e-3)
    assert "wavelengths" in data.metadata["notes"][0]


def test_frames_have_the_sum_of_their_transmits_times(tmp_path) -> None:
    rf = np.ones((2, 3, 48, 9), np.float32)
    scan = _scan(time_to_next_transmit=np.full((2, 3), 1e-4))

    data = io.read_channel_data(files.write_raw(tmp_path / "a.hdf5", rf, scan))

    assert data.frame_interval_s == pytest.approx(3e-4)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sound_speed": 0.0}, "sound_speed is 0; 100"),
        ({"demodulation_frequency": [5e6, 5e6, 6e6]}, "demodulation_frequency changes"),
        ({"center_frequency": [5e6, 6e6]}, "center_frequency has 2 numbers"),
        ({"azimuth_angles": np.full(3, 0.5)}, "steered in elevation"),
        ({"focus_distances": [np.inf, 0.02, np.inf]}, "mixes plane"),
        ({"initial_times": np.zeros(4)}, "initial_times has shape"),
        ({"t0_delays": np.zeros((3, 5))}, "t0_delays has shape"),
        ({"rx_aperture_indices": np.zeros((3, 48))}, "a part of the array"),
    ],
)
def test_scans_that_make_no_sense_are_refused(tmp_path, changes, match) -> None:
    path = _raw(tmp_path / "a.hdf5", **changes)

    with pytest.raises(FileFormatError, match=match):
        zea.read_channel_data(path)


def _tracks(path: Path, count: int) -> Path:
    """Copy the only track of a file."""
    with h5py.File(path, "r+") as file:
        for number in range(1, count):
            file.copy("tracks/track_0", f"tracks/track_{number}")
    return path


def test_every_track_with_an_image_gives_one(tmp_path) -> None:
    db = -RNG.uniform(0, 60, (2, 6, 4)).astype(np.float32)
    path = _tracks(files.write_map(tmp_path / "a.hdf5", db, _cartesian()), 3)
    with h5py.File(path, "r+") as file:
        file["tracks/track_2/data/image/values"][...] = db / 2

    images = io.read(path)

    assert [i.metadata["name"] for i in images] == [f"a [track_{n}]" for n in range(3)]
    np.testing.assert_allclose(images[2].data, db / 2, atol=1e-5)
    (one,) = io.read(path, acquisition="track_2")
    np.testing.assert_allclose(one.data, db / 2, atol=1e-5)
    with pytest.raises(ValueError, match="no track 'track_7'"):
        io.read(path, acquisition="track_7")
    with pytest.raises(ValueError, match="is no acquisition of a zea file"):
        io.read(path, acquisition="the second")


def test_raw_data_of_another_track_can_be_chosen(tmp_path) -> None:
    path = _tracks(_raw(tmp_path / "a.hdf5", "tracks"), 2)
    with h5py.File(path, "r+") as file:
        file["tracks/track_1/data/raw_data"][...] = 7

    first, second = (
        io.read_channel_data(path, acquisition=name) for name in (None, "track_1")
    )

    np.testing.assert_array_equal(
        first.samples[0], echoes(plane_paths(ANGLES), START_S)
    )
    assert (
        "choose another one with --acquisition: track_1" in first.metadata["notes"][0]
    )
    assert (np.asarray(second.samples[0]) == 7).all()
    (note,) = second.metadata["notes"]
    assert note.startswith("the file has no waveforms")


@pytest.mark.parametrize("is_iq", [False, True], ids=["rf", "iq"])
def test_transmits_of_each_frequency_are_an_acquisition(tmp_path, is_iq) -> None:
    other_hz = 1.2 * CENTER_HZ
    samples = echoes(plane_paths(ANGLES), START_S)
    if is_iq:
        samples = demodulated(samples, np.zeros(3))
    frequencies = [CENTER_HZ, other_hz, CENTER_HZ]
    scan = _scan(center_frequency=frequencies, demodulation_frequency=frequencies)
    path = files.write_raw(tmp_path / "a.hdf5", samples[None], scan, "tracks")

    usual = io.read_channel_data(path)
    one = io.read_channel_data(path, acquisition=f"{other_hz / 1e6:g}MHz")
    again = io.read_channel_data(path, acquisition=f"track_0/{CENTER_HZ / 1e6:g} MHz")

    assert usual.center_frequency_hz == pytest.approx(CENTER_HZ)
    assert [t.angle_rad for t in usual.transmits] == pytest.approx(list(ANGLES[::2]))
    np.testing.assert_allclose(usual.start_time_s, START_S[::2], atol=2e-12)
    assert usual.samples.shape[1] == 2
    np.testing.assert_array_equal(usual.samples[0], again.samples[0])
    assert "MHz (1)" in usual.metadata["notes"][0]
    assert one.center_frequency_hz == pytest.approx(other_hz)
    assert one.demodulation_frequency_hz == pytest.approx(other_hz if is_iq else 0)
    assert [t.angle_rad for t in one.transmits] == pytest.approx([ANGLES[1]])
    if not is_iq:
        np.testing.assert_array_equal(one.samples[0, 0], samples[1])
    with pytest.raises(ValueError, match="no transmits of 50 MHz"):
        io.read_channel_data(path, acquisition="50MHz")


def test_other_programs_groups_called_data_are_not_ours(tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data/image"] = np.zeros((2, 3, 4), np.float32)

    assert io.detect(tmp_path / "a.h5") is None


Z_M, X_M = 5e-3 + 0.1e-3 * np.arange(6), 0.2e-3 * (np.arange(4) - 1.5)


def _cartesian() -> np.ndarray:
    z, x = np.meshgrid(Z_M, X_M, indexing="ij")
    return np.stack([x, np.zeros_like(x), z], axis=-1)


def test_an_image_lies_where_its_pixels_are(tmp_path) -> None:
    db = -RNG.uniform(0, 60, (3, 6, 4)).astype(np.float32)
    db[1, 2, 3] = -np.inf
    path = files.write_map(tmp_path / "a.hdf5", db, _cartesian())

    (image,) = io.read(path)

    assert (image.values, io.detect(path)) == ("db", "zea-image")
    np.testing.assert_allclose(image.spacing_mm, (0.1, 0.2), rtol=1e-4)
    np.testing.assert_allclose(image.origin_mm, (5, -0.3), rtol=1e-4)
    finite = np.isfinite(db)
    np.testing.assert_array_equal(image.data[finite], db[finite])
    assert image.data[1, 2, 3] == -120


def test_pixels_on_rays_are_a_polar_grid(tmp_path) -> None:
    radius, angle = 8e-3 + 0.2e-3 * np.arange(6), 0.1 * (np.arange(4) - 2)
    r, a = np.meshgrid(radius, angle, indexing="ij")
    xyz = np.stack([r * np.sin(a) + 1e-3, 0 * r, r * np.cos(a) - 2e-3], axis=-1)
    path = files.write_map(tmp_path / "a.hdf5", np.zeros((1, 6, 4), np.uint8), xyz)

    (image,) = io.read(path)

    assert isinstance(image.grid, PolarGrid)
    np.testing.assert_allclose(image.grid.radius_mm, (8, 0.2), rtol=1e-3)
    np.testing.assert_allclose(image.grid.angle_rad, (-0.2, 0.1), rtol=1e-4)
    np.testing.assert_allclose(image.grid.apex_mm, (-2, 1), atol=5e-3)


def test_pixels_on_no_grid_are_refused(tmp_path) -> None:
    xyz = _cartesian()
    xyz[3, 2, 0] += 1e-3
    path = files.write_map(tmp_path / "a.hdf5", np.zeros((1, 6, 4), np.uint8), xyz)

    with pytest.raises(FileFormatError, match="neither in even rows and columns"):
        io.read(path)


def test_eight_bit_images_are_display_grey(tmp_path) -> None:
    grey = RNG.integers(0, 256, (1, 6, 4)).astype(np.uint8)
    (image,) = io.read(files.write_map(tmp_path / "a.hdf5", grey, _cartesian()))

    assert image.values == "display"
    np.testing.assert_array_equal(image.data, grey)


def test_beamformed_iq_becomes_decibels(tmp_path) -> None:
    iq = RNG.normal(size=(2, 6, 4, 2)).astype(np.float32)
    path = files.write_map(tmp_path / "a.hdf5", iq, _cartesian(), "beamformed_data")

    (image,) = io.read(path)

    amplitude = np.hypot(iq[..., 0], iq[..., 1])
    expected = 20 * np.log10(amplitude / amplitude.max())
    np.testing.assert_allclose(image.data, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["image", "beamformed_data", "envelope_data"])
def test_a_large_stack_stays_in_its_file(tmp_path, monkeypatch, kind) -> None:
    shape = (3, 6, 4, 2) if kind == "beamformed_data" else (3, 6, 4)
    numbers = RNG.uniform(-60, -1, shape).astype(np.float32)
    path = files.write_map(tmp_path / "a.hdf5", numbers, _cartesian(), kind)
    monkeypatch.setattr(zea.numbers, "MAX_ARRAY_BYTES", 4 * 6 * 4 * 2)  # one frame

    (image,) = io.read(path)

    with h5py.File(path, "r+"):  # nothing keeps it open
        pass
    assert image.data.chunks == ((1, 1, 1), (6,), (4,))
    np.testing.assert_allclose(image.spacing_mm, (0.1, 0.2), rtol=1e-4)
    amplitude = np.hypot(*np.moveaxis(numbers, -1, 0)) if len(shape) == 4 else -numbers
    expected = 20 * np.log10(amplitude / amplitude[0].max())
    expected = numbers if kind == "image" else expected
    np.testing.assert_allclose(image.data[2].compute(), expected[2], atol=1e-4)
    np.testing.assert_allclose(image.data.compute(), expected, atol=1e-4)


@pytest.mark.parametrize(("frames", "limit"), [(4, 4 * 6 * 4 - 1), (2, 4 * 6 * 4)])
def test_frames_beyond_the_limits_are_refused(
    tmp_path, monkeypatch, frames, limit
) -> None:
    grey = np.zeros((3, 6, 4), np.uint8)
    path = files.write_map(tmp_path / "a.hdf5", grey, _cartesian())
    monkeypatch.setattr(zea.numbers, "MAX_ARRAY_BYTES", limit)
    monkeypatch.setattr(zea.numbers, "MAX_FRAMES", frames)

    with pytest.raises(FileFormatError, match="frames of at most"):
        io.read(path)


@pytest.mark.parametrize("many", [False, True])
def test_pixels_that_move_from_frame_to_frame_are_refused(
    tmp_path, monkeypatch, many
) -> None:
    grey, xyz = np.zeros((3, 6, 4), np.uint8), np.stack([_cartesian()] * 3)
    still = files.write_map(tmp_path / "still.hdf5", grey, xyz)
    xyz[2, ..., 0] += 1e-3
    moves = files.write_map(tmp_path / "moves.hdf5", grey, xyz)
    if many:
        monkeypatch.setattr(zea.images, "MAX_ARRAY_BYTES", 8 * 6 * 4 * 3)

    assert io.read(still)[0].spacing_mm == pytest.approx((0.1, 0.2), rel=1e-4)
    with pytest.raises(FileFormatError, match="changes from frame to frame"):
        io.read(moves)


def test_early_images_do_not_tell_their_pixel_size(tmp_path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["probe"] = "generic"
        file["data/image"] = np.zeros((1, 6, 4), np.float32)
        file["scan/n_frames"] = 1

    (image,) = io.read(tmp_path / "a.hdf5")

    assert image.metadata["pixel_size_known"] is False
    assert json.loads(json.dumps(io.describe(tmp_path / "a.hdf5")))["pixel_mm"] is None


def test_a_filter_that_is_not_installed_is_named(tmp_path, monkeypatch) -> None:
    from napari_usflow.io.guards import hdf5

    path = _raw(tmp_path / "a.hdf5")
    monkeypatch.setattr(hdf5, "missing_filter", lambda dataset: "blosc")

    with pytest.raises(FileFormatError, match=r"blosc.*pip install hdf5plugin"):
        zea.read_channel_data(path)


def test_what_zea_itself_writes_is_read(tmp_path) -> None:
    """Blosc, tracks and labels as zea has them, from its converter of PICMUS files."""
    reference = pytest.importorskip("zea")
    pytest.importorskip("hdf5plugin")
    rf = echoes(plane_paths(ANGLES), START_S)[None]
    scan = _scan()
    for name in ("n_ax", "n_el", "n_tx"):
        del scan[name]
    path = tmp_path / "theirs.hdf5"
    reference.File.create(
        path=path,
        data={
            "raw_data": rf.swapaxes(-1, -2)[..., None],
            "image": {
                "values": np.full((1, 6, 4), -3, np.float32),
                "coordinates": _cartesian().astype(np.float32),
            },
        },
        scan=scan,
        probe={"name": "generic", "probe_geometry": ELEMENTS_M.astype(np.float32)},
        description="a point",
    )

    data = io.read_channel_data(path)

    np.testing.assert_array_equal(data.samples[...], rf)
    np.testing.assert_allclose(data.start_time_s, START_S, atol=2e-12)
    (image,) = io.read(path)
    assert (image.data == -3).all()
    np.testing.assert_allclose(image.spacing_mm, (0.1, 0.2), rtol=1e-4)


@pytest.mark.parametrize("is_indexed", [False, True])
def test_the_peak_of_the_waveform_is_part_of_the_start(tmp_path, is_indexed) -> None:
    peak_s, angles = 0.8e-6, np.zeros(1)
    paths_m = np.zeros((1, len(ELEMENTS_M)))
    start_s = np.array([4e-6])
    path = files.write_raw(
        tmp_path / "a.hdf5",
        echoes(plane_paths(angles), start_s - peak_s)[None],
        files.scan_of(paths_m, start_s, angles),
    )
    time_s = np.arange(400) / 250e6 - peak_s
    pulse = np.cos(2 * np.pi * CENTER_HZ * time_s) * np.exp(-((time_s / 2e-7) ** 2))
    with h5py.File(path, "a") as file:
        waves = [np.zeros_like(pulse), pulse] if is_indexed else [pulse]
        file["scan/waveforms_two_way"] = np.stack(waves).astype(np.float32)
        if is_indexed:
            file["scan/tx_waveform_indices"] = np.ones(1, np.int32)

    data = io.read_channel_data(path)

    assert data.start_time_s[0] == pytest.approx(start_s[0] - peak_s, abs=2e-8)
    assert "waveform, 0.8 us" in data.metadata["notes"][0]
