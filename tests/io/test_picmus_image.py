"""PICMUS scans and images: pixel axes, plane-wave counts, decibels."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import picmus

ENVELOPES = np.random.default_rng(3).rayleigh(size=(3, 6, 4)).astype(np.float32)


def test_a_scan_becomes_a_grid_in_millimetres(write_scan) -> None:
    z_m = 5e-3 + 0.0739e-3 * np.arange(609)
    x_m = -19.05e-3 + 0.0986e-3 * np.arange(387)

    grid = picmus.read_scan(write_scan(z_m, x_m))

    assert grid.shape == (609, 387)
    np.testing.assert_allclose(grid.spacing_mm, (0.0739, 0.0986), rtol=1e-5)
    np.testing.assert_allclose(grid.origin_mm, (5, -19.05), rtol=1e-6)


@pytest.mark.parametrize(
    "axis", [[0, 1, 3], [2, 1, 0], [0, 0, 0], [0.0], [0, 1, np.nan]], ids=str
)
def test_an_axis_that_does_not_rise_evenly_is_refused(write_scan, axis) -> None:
    with pytest.raises(FileFormatError, match=r"even steps|not finite"):
        picmus.read_scan(write_scan(np.array(axis), np.arange(3)))


def test_frames_are_decibels_below_their_own_maximum(write_image) -> None:
    (image,) = io.read(write_image(ENVELOPES, [1, 3, 11]))

    assert image.values == "db"
    assert image.data.dtype == np.float32
    expected = 20 * np.log10(ENVELOPES / ENVELOPES.max(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(image.data, expected, atol=1e-4)


def test_frames_are_sorted_by_their_number_of_plane_waves(write_image) -> None:
    image = picmus.read_image(write_image(ENVELOPES, [75, 1, 11]), values="envelope")

    assert image.frame_axis == "plane_waves"
    assert image.metadata["plane_waves"] == [1, 11, 75]
    np.testing.assert_array_equal(image.data, ENVELOPES[[1, 2, 0]])


def test_the_pixels_are_where_the_file_says(write_image) -> None:
    image = picmus.read_image(write_image(ENVELOPES, [1, 3, 11]))

    np.testing.assert_allclose(image.spacing_mm, (0.2, 0.3), rtol=1e-4)
    np.testing.assert_allclose(image.origin_mm, (10, -0.3), rtol=1e-4)


def test_zeros_become_a_finite_floor_below_everything_else(write_image) -> None:
    envelopes = ENVELOPES.copy()
    envelopes[0, 0, 0], envelopes[0, 0, 1] = 0, 1e-9
    image = picmus.read_image(write_image(envelopes, [1, 3, 11]))

    assert np.isfinite(image.data).all()
    assert image.data[0, 0, 0] == image.data[0].min()
    assert image.data[0, 0, 1] < -150


def test_what_made_the_image_is_kept(write_image) -> None:
    path = write_image(ENVELOPES, [1, 3, 11], name="expe.hdf5")

    metadata = io.read(path)[0].metadata

    assert metadata["name"] == "expe"
    assert metadata["source"] == str(path)
    assert metadata["algorithm"] == "Delay-and-Sum"
    assert metadata["receive_f_number"] == 1.75
    assert metadata["receive_apodization_window"] == "Tukey 25%"


def test_one_image_without_its_leading_axis_is_read(write_image) -> None:
    path = write_image(ENVELOPES[:1], [75], stored=ENVELOPES[0].T)

    image = picmus.read_image(path, values="envelope")

    np.testing.assert_array_equal(image.data, ENVELOPES[:1])


def test_a_complex_image_gives_its_modulus(write_image) -> None:
    path = write_image(ENVELOPES, [1, 3, 11])
    with h5py.File(path, "r+") as file:
        file["US/US_DATASET0000/data/imag"][...] = 2.0

    image = picmus.read_image(path, values="envelope")

    np.testing.assert_allclose(image.data, np.hypot(ENVELOPES, 2), rtol=1e-6)


def test_nan_is_outside_of_the_image(write_image) -> None:
    envelopes = ENVELOPES.copy()
    envelopes[:, 0, :2] = np.nan

    image = picmus.read_image(write_image(envelopes, [1, 3, 11]))

    inside = np.isfinite(image.data)
    np.testing.assert_array_equal(~inside, np.isnan(envelopes))
    for frame, db in zip(envelopes, image.data, strict=True):
        shown = 20 * np.log10(frame / np.nanmax(frame))
        np.testing.assert_allclose(db, shown, atol=1e-4)


def test_angles_picks_the_frame_of_that_many_plane_waves(write_image) -> None:
    path = write_image(ENVELOPES, [1, 3, 11])

    (image,) = io.read(path, angles=3)

    assert image.metadata["plane_waves"] == [3]
    np.testing.assert_array_equal(image.data, picmus.read_image(path).data[1:2])
    with pytest.raises(ValueError, match=r"\[1, 3, 11\] plane waves, not 75"):
        io.read(path, angles=75)


def test_a_grid_for_a_finished_image_is_refused(write_image) -> None:
    path = write_image(ENVELOPES, [1, 3, 11])

    with pytest.raises(ValueError, match="grid is for raw data"):
        io.read(path, grid=picmus.read_image(path).grid)


@pytest.mark.parametrize(
    ("envelopes", "counts", "changes", "match"),
    [
        (-ENVELOPES, [1, 3, 11], {}, "negative values; it is no envelope"),
        (ENVELOPES * np.nan, [1, 3, 11], {}, "not finite"),
        (ENVELOPES, [1, 3], {}, r"2 images of 4 x 6 pixels"),
        (ENVELOPES, [1, 3, 11], {"stored": ENVELOPES}, r"shape \(3, 6, 4\); 3 images"),
        (ENVELOPES, [1, 3, 11], {"x_axis": [0, 1, 5, 6]}, "x_axis does not rise"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(
    write_image, envelopes, counts, changes, match
) -> None:
    with pytest.raises(FileFormatError, match=match):
        picmus.read_image(write_image(envelopes, counts, **changes))


def test_values_other_than_the_two_are_refused(write_image) -> None:
    with pytest.raises(ValueError, match="values must be db or envelope"):
        picmus.read_image(write_image(ENVELOPES, [1, 3, 11]), values="linear")


RF = np.zeros((1, 2, 9), np.float32)
AXES = (1e-3 * np.arange(3), 1e-3 * np.arange(4))


def test_a_dataset_finds_the_scan_of_its_name(write_dataset, write_scan) -> None:
    path = write_dataset(RF, "deep_expe_dataset_iq.hdf5")
    write_scan(*AXES, "deep_expe_other.hdf5")
    scan = write_scan(*AXES, "deep_expe_scan.hdf5")

    assert picmus.find_scan(path) == scan


def test_a_dataset_takes_the_only_scan_of_its_prefix(write_dataset, write_scan) -> None:
    path = write_dataset(RF, "deep_expe_dataset_rf.hdf5")
    scan = write_scan(*AXES, "deep_expe_pixels.h5")
    write_scan(*AXES, "shallow_scan.hdf5")

    assert picmus.find_scan(path) == scan


def test_two_scans_of_a_prefix_are_none(write_dataset, write_scan) -> None:
    path = write_dataset(RF, "a_dataset_rf.hdf5")
    write_scan(*AXES, "a_1.hdf5")
    write_scan(*AXES, "a_2.hdf5")

    assert picmus.find_scan(path) is None


def test_a_scan_is_known_by_what_it_holds(write_dataset) -> None:
    path = write_dataset(RF, "a_dataset_rf.hdf5")
    write_dataset(RF, "a_scan.hdf5")

    assert picmus.find_scan(path) is None
