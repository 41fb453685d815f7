from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cubdl_files as layouts
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io.cubdl import CONVENTIONS, identify
from napari_usflow.ultrasound.beamform import beamform
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)


@pytest.fixture(scope="module")
def contents() -> dict[str, dict[str, object]]:
    """What the files hold, simulated once."""
    return {name: layout.make() for name, layout in layouts.LAYOUTS.items()}


def brightest(image: UltrasoundImage, near_mm: tuple[float, float]) -> np.ndarray:
    """Place (axial, lateral) of the brightest pixel within 2 mm, in mm."""
    grid = image.grid
    if isinstance(grid, PolarGrid):
        radius, angle = grid.axes()
        z = radius[:, None] * np.cos(angle) + grid.apex_mm[0]
        x = radius[:, None] * np.sin(angle) + grid.apex_mm[1]
    else:
        z, x = np.meshgrid(*grid.axes_mm(), indexing="ij")
    far = np.hypot(z - near_mm[0], x - near_mm[1]) > 2
    at = np.where(far, -np.inf, np.asarray(image.data[0])).argmax()
    return np.array([z.flat[at], x.flat[at]])


def image_around(data: ChannelData, point_mm: tuple[float, float]) -> UltrasoundImage:
    """Beams give the whole image, plane waves a few millimetres around a point."""
    grid = None
    if not data.is_focused:
        corner = (point_mm[0] - 2.0, point_mm[1] - 2.0)
        grid = PixelGrid((81, 41), (0.05, 0.1), corner)
    return beamform(data, grid=grid)


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_points_come_out_at_their_places(name, contents, tmp_path: Path) -> None:
    path = layouts.write(tmp_path / f"{name}.hdf5", contents[name])
    half_wavelength_mm = 1e3 * layouts.LAYOUTS[name].speed / layouts.CARRIER_HZ / 2

    data = io.read_channel_data(path)

    assert data.sound_speed_m_s == layouts.LAYOUTS[name].speed
    for point in layouts.POINTS_MM:
        found = brightest(image_around(data, point), point)
        assert np.hypot(*(found - point)) < half_wavelength_mm


CORRECTIONS = [
    ("MYO003", {"sound_speed": {3: 1540.0}}),
    ("MYO003", {"first_to_fire": False}),
    ("MYO003", {"pitch_m": 0.245e-3}),
    ("UFL004", {"start": None}),
    ("UFL004", {"sound_speed": {4: 1540.0}}),
    ("EUT005", {"first_to_fire": False}),
    ("EUT005", {"late_periods": 0.0}),
    ("EUT005", {"centred": False}),
    ("INS015", {"angles": "row"}),
    ("INS015", {"first_to_fire": False}),
    ("INS015", {"start": None}),
    ("OSL003", {"start_sign": -1}),
    ("OSL003", {"centred": False}),
    ("TSH123", {"first_to_fire": False}),
    ("TSH123", {"usual_speed": None}),
    ("JHU024", {"start": None}),
    ("OSL008", {"start_is_smallest": False}),
    ("OSL012", {"start": None}),
    ("OSL012", {"origin_factor": 1.0}),
    ("JHU021", {"origin_factor": 1.0}),
    ("JHU021", {"start_sign": 1}),
]


@pytest.mark.parametrize(("name", "without"), CORRECTIONS)
def test_without_a_correction_points_are_elsewhere(
    name, without, contents, tmp_path: Path, monkeypatch
) -> None:
    path = layouts.write(tmp_path / f"{name}.hdf5", contents[name])
    changed = [
        replace(row, **without)
        if row.institution == name[:3] and int(name[3:]) in row.acquisitions
        else row
        for row in CONVENTIONS
    ]
    monkeypatch.setattr(identify, "CONVENTIONS", tuple(changed))
    half_wavelength_mm = 1e3 * layouts.LAYOUTS[name].speed / layouts.CARRIER_HZ / 2

    errors = [
        np.hypot(*(brightest(image_around(io.read_channel_data(path), p), p) - p))
        for p in layouts.POINTS_MM
    ]

    assert max(errors) > half_wavelength_mm


def test_carotid_beams_as_they_are_stored_make_no_image(
    contents, tmp_path: Path, monkeypatch
) -> None:
    path = layouts.write(tmp_path / "OSL008.hdf5", contents["OSL008"])
    rows = tuple(replace(row, direction_factor=1.0) for row in CONVENTIONS)
    monkeypatch.setattr(identify, "CONVENTIONS", rows)

    with pytest.raises(ValueError, match="parallel but steered"):
        beamform(io.read_channel_data(path))


def test_every_acquisition_of_the_challenges_loaders_is_in_the_table() -> None:
    # get_filelist of PWDataLoaders.py and FTDataLoaders.py.
    expected = {
        "OSL": {2, 3, 4, 5, 6, 7, 10} | {8, 9, 11, 12, 13, 14},
        "MYO": set(range(1, 7)),
        "UFL": set(range(1, 6)),
        "EUT": set(range(1, 7)),
        "INS": set(range(1, 27)),
        "JHU": set(range(24, 35)) | {1, 2, 19, 20, 21, 22, 23},
        "TSH": set(range(2, 502)),
    }
    listed = [(row.institution, n) for row in CONVENTIONS for n in row.acquisitions]

    assert len(listed) == len(set(listed))
    assert {name: {n for i, n in listed if i == name} for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "speed"),
    [
        ("MYO006", 1581),
        ("UFL003", 1525),
        ("EUT006", 1479),
        ("INS013", 1453),
        ("INS026", 1497),
        ("OSL006", 1541),
    ],
)
def test_sound_speeds_are_the_challenges(name, speed, contents, tmp_path) -> None:
    like = next(key for key in contents if key[:3] == name[:3])

    path = layouts.write(tmp_path / f"{name}.hdf5", contents[like])

    assert io.read_channel_data(path).sound_speed_m_s == speed


@pytest.mark.parametrize(
    "name",
    ["MYO003_L11.hdf5", "myo003.h5", "cubdl_MYO-3.hdf5", "task1 MYO 003 (copy).hdf5"],
)
def test_the_name_says_which_it_is(name: str, contents, tmp_path: Path) -> None:
    data = io.read_channel_data(layouts.write(tmp_path / name, contents["MYO003"]))

    assert data.metadata["acquisition"] == "MYO003" and not data.metadata["notes"]
    assert data.metadata["title"] == "MYO003, Mayo Clinic"


@pytest.mark.parametrize("name", ["MYO003", "UFL004", "EUT005", "TSH123", "JHU024"])
def test_the_content_tells_the_institution_where_the_name_does_not(
    name: str, contents, tmp_path: Path
) -> None:
    path = layouts.write(tmp_path / "renamed.hdf5", contents[name])

    data = io.read_channel_data(path)

    assert data.metadata["acquisition"] == name[:3]
    # The number, and with it the challenge's sound speed, is not known.
    assert data.sound_speed_m_s == np.asarray(contents[name]["sound_speed"]).item()
    assert "its number is not known" in data.metadata["notes"][0]


@pytest.mark.parametrize(
    ("name", "guess"), [("INS015", "INS or OSL"), ("OSL012", "OSL or JHU")]
)
def test_a_file_that_may_be_of_two_is_asked_about(
    name: str, guess: str, contents, tmp_path: Path
) -> None:
    path = layouts.write(tmp_path / "renamed.hdf5", contents[name])

    with pytest.raises(FileFormatError, match=rf"{guess}; name it after institution"):
        io.read(path)

    said = io.read_channel_data(path, acquisition=name)
    assert said.metadata["acquisition"] == name
    with pytest.raises(ValueError, match="acquisition is 'ABC1'; expected one of MYO"):
        io.read_channel_data(path, acquisition="ABC1")


def test_an_acquisition_that_the_challenge_leaves_out_is_read_as_its_likes(
    contents, tmp_path: Path
) -> None:
    path = layouts.write(tmp_path / "OSL015.hdf5", contents["OSL012"])

    data = io.read_channel_data(path)

    assert data.sound_speed_m_s == 1530 and data.is_focused
    assert "does not describe; read as others of OSL" in data.metadata["notes"][0]


def test_the_name_of_an_acquisition_is_for_these_files_only(write_pybf) -> None:
    path = write_pybf(np.zeros((1, 4, 8)), np.zeros(1))

    with pytest.raises(ValueError, match="is pybf; acquisition is for CUBDL"):
        io.read(path, acquisition="MYO003")


def test_florence_is_demodulated(contents, tmp_path: Path) -> None:
    data = io.read_channel_data(
        layouts.write(tmp_path / "UFL004.hdf5", contents["UFL004"])
    )
    rf = np.asarray(contents["UFL004"]["channel_data"], float)

    # Four samples a period in, one out, at exp(-2 pi i f t) with t from time zero.
    assert data.is_iq and data.sampling_frequency_hz == layouts.CARRIER_HZ
    assert data.samples.shape == (1, 5, 48, -(-rf.shape[-1] // 4))
    time = 3.3e-6 + np.arange(rf.shape[-1]) / 16e6
    wave = np.exp(2j * np.pi * 4e6 * time[::4])
    # What a sample a period can hold is half a carrier to either side of it.
    n = 4 * rf.shape[-1]
    hz = np.fft.rfftfreq(n, 1 / 16e6)
    kept = np.fft.irfft(np.fft.rfft(rf[2], n) * (np.abs(hz - 4e6) <= 2e6), n)
    back = (data.samples[0, 2] * wave).real
    error = np.abs(back - kept[:, : rf.shape[-1] : 4]).max()
    assert error < 0.01 * np.abs(kept).max()


@pytest.mark.parametrize("shape", [(128, -1), (128, 5, -1), (640, -1), (5, 128, -1)])
def test_tsinghuas_samples_are_by_channel_first_in_whatever_shape(
    shape, contents, tmp_path: Path
) -> None:
    stored = np.asarray(contents["TSH123"]["channel_data"])
    changed = {**contents["TSH123"], "channel_data": stored.reshape(shape)}

    data = io.read_channel_data(layouts.write(tmp_path / "TSH123.hdf5", changed))

    by_channel = stored.reshape(128, 5, -1)
    np.testing.assert_array_equal(data.samples[0, 3], by_channel[:, 3])


def test_samples_stay_in_the_file_and_it_is_closed(contents, tmp_path: Path) -> None:
    path = layouts.write(tmp_path / "MYO001.hdf5", contents["MYO003"])
    data = io.read_channel_data(path)

    stored = np.asarray(contents["MYO003"]["channel_data"])
    np.testing.assert_array_equal(data.samples[0, 1:3, 5], stored[1:3, 5])
    path.rename(tmp_path / "elsewhere.hdf5")
    with pytest.raises(FileFormatError, match="No such file"):
        data.samples[0, 0]


def test_images_have_the_depths_that_the_challenge_shows(contents, tmp_path) -> None:
    contents = {**contents["OSL008"], "channel_data": np.zeros((17, 40, 900), "f4")}
    path = layouts.write(tmp_path / "OSL008.hdf5", contents)

    (image,) = io.read(path)

    z, x = image.grid.axes_mm()
    # A quarter of a wavelength; the 38 mm of the challenge.
    assert z[0] == 2 and 38 - 0.0963 < z[-1] <= 38
    np.testing.assert_allclose(x[[0, -1]], (-2, 6))


def test_a_file_is_described(contents, tmp_path: Path) -> None:
    path = layouts.write(tmp_path / "OSL012.hdf5", contents["OSL012"])

    found = io.describe(path)

    assert io.detect(path) == "cubdl"
    assert found["kind"] == "cubdl" and found["acquisition"] == "OSL012"
    assert found["transmits"] == "focused beams"
    np.testing.assert_allclose(
        found["angles_deg"], np.degrees(layouts.through_the_points(13)), atol=1e-4
    )
    assert found["center_mhz"] == 4 and found["sampling_mhz"] == 16


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("MYO003", {"channel_data": np.zeros((5, 9))}, r"\(transmits, channels, sam"),
        ("MYO003", {"angles": np.zeros(4)}, "angles has shape .* 5 values were"),
        ("MYO003", {"angles": np.full(5, 200.0)}, "less than a quarter of a turn"),
        ("MYO003", {"modulation_frequency": -1.0}, "modulation_frequency is -1"),
        ("MYO003", {"sampling_frequency": np.nan}, "not finite"),
        ("MYO003", {"angles": None}, "has no 'angles'"),
        ("TSH123", {"channel_data": np.zeros((128, 7))}, "does not fit 128 channels"),
        ("OSL003", {"start_time": np.zeros((2, 3))}, "start_time has shape"),
        ("OSL003", {"start_time": np.full(5, 3.0)}, "less than 1 was expected"),
        ("OSL003", {"element_positions": np.full((3, 48), 2.0)}, "up to 2 m"),
        ("JHU024", {"sound_speed": 1.5}, "100 to 10000 m/s was expected"),
        ("JHU002", {"pitch": np.zeros(3)}, "one number was expected"),
    ],
)
def test_files_that_make_no_sense_are_refused(
    name, changes, message, contents, tmp_path: Path
) -> None:
    changed = {**contents[name], **changes}
    changed = {key: value for key, value in changed.items() if value is not None}
    path = layouts.write(tmp_path / f"{name}.hdf5", changed)

    with pytest.raises(FileFormatError, match=message):
        io.read(path)


def test_plane_waves_under_the_name_of_beams_are_refused(contents, tmp_path) -> None:
    path = layouts.write(tmp_path / "OSL012.hdf5", contents["MYO003"])

    with pytest.raises(FileFormatError, match="has no 'element_positions'"):
        io.read(path)
