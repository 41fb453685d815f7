"""Crops, noise, training patches and scores of the tests on MRI."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.contest.mri_crops import (
    draw_events,
    half_interval,
    mean_psnr,
    mean_ssim,
    noisy,
    pick_crops,
    pick_crops_of,
    psnrs,
    subpatches,
)


@pytest.fixture
def step_folder(tmp_path: Path) -> Path:
    image = np.zeros((6, 120, 120), np.float32)
    image[:, 70:, 60:] = 1.0
    with h5py.File(tmp_path / "knee_step.h5", "w") as file:
        file["reconstruction_rss"] = image
        file.attrs["pixel_size_mm"] = (0.4375, 0.4375)
    return tmp_path


def test_crops_are_where_the_structure_is(step_folder: Path) -> None:
    crops = pick_crops(step_folder, "knee", count=3, size=32)

    assert crops.shape == (3, 32, 32)
    assert (np.ptp(crops.reshape(3, -1), axis=1) > 0.9).all()


def test_an_anatomy_that_is_not_there_is_named(step_folder: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"shows 'heart', by what it says or by its name \(there are knee_step",
    ):
        pick_crops(step_folder, "heart")


def test_too_few_slices_are_counted(step_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"give 6 crops of 64 pixels .* 7 were asked"):
        pick_crops(step_folder, "knee", count=7)


@pytest.fixture
def subject_folder(tmp_path: Path) -> Path:
    """Three stacks of one subject and one of another, each of its own grey."""
    for number, subject in enumerate("AAAB"):
        with h5py.File(tmp_path / f"knee_{number}.h5", "w") as file:
            grey = np.float32(0.2 * (number + 1))
            file["reconstruction_rss"] = np.full((6, 64, 64), grey, np.float32)
            file.attrs["pixel_size_mm"] = (0.4375, 0.4375)
            file.attrs["patient_id"] = subject
    return tmp_path


def test_crops_say_whose_they_are(subject_folder: Path) -> None:
    crops = pick_crops_of([subject_folder], "knee", count=5)
    assert crops.subjects == ["A", "A", "A", "B", "A"]
    np.testing.assert_array_equal(
        crops.images, pick_crops(subject_folder, "knee", count=5)
    )


def test_every_subject_gives_as_many_crops_where_that_is_asked(
    subject_folder: Path,
) -> None:
    crops = pick_crops_of([subject_folder], "knee", each=4)
    assert crops.subjects == ["A"] * 4 + ["B"] * 4
    files = sorted(subject_folder.iterdir())
    alone = pick_crops_of(files[:2], "knee", each=2)
    assert (alone.images.shape, alone.subjects) == ((2, 64, 64), ["A", "A"])


def test_interval_is_of_the_means_of_subjects() -> None:
    # Means 1, 2 and 6: mean 3, standard deviation sqrt(7); t of two degrees is 4.3027.
    values, subjects = [0, 2, 2, 2, 5, 7], ["a", "a", "b", "b", "c", "c"]
    expected = 4.3027 * np.sqrt(7 / 3)
    assert half_interval(values, subjects) == pytest.approx(expected, rel=1e-4)
    assert half_interval([1.0, 2.0], ["a", "a"]) is None


def test_scores_of_crops_make_the_mean() -> None:
    clean = np.full((2, 16, 16), 0.5, np.float32)
    result = clean + np.array([0.1, 0.01], np.float32)[:, None, None]
    assert psnrs(clean, result) == pytest.approx([20, 40], abs=0.01)
    assert mean_psnr(clean, result) == pytest.approx(30, abs=0.01)


def test_noise_has_the_asked_level_and_repeats() -> None:
    clean = np.full((4, 64, 64), 0.5, np.float32)

    y = noisy(clean, 0.2)

    assert (y - clean).std() == pytest.approx(0.2, rel=0.03)
    assert y.min() < 0
    np.testing.assert_array_equal(y, noisy(clean, 0.2))


def test_scores_of_a_known_error() -> None:
    clean = np.full((2, 32, 32), 0.5, np.float32)

    assert mean_psnr(clean, clean + np.float32(0.1)) == pytest.approx(20.0, abs=1e-4)
    assert mean_ssim(clean, clean) == pytest.approx(1.0)


def test_results_are_clipped_before_they_are_scored() -> None:
    clean = np.ones((1, 32, 32), np.float32)
    result = clean + np.float32(3.0)
    result[0, :16] = 0.9

    # Half the pixels are wrong by 0.1: 20 dB and 3 dB.
    assert mean_psnr(clean, result) == pytest.approx(23.01, abs=0.01)


def test_subpatches_are_cut_out_of_their_patch() -> None:
    patches = np.arange(2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8)

    cut = subpatches(patches, 3, 5, seed=0).reshape(2, 5, 3, 3)

    assert cut[0].max() < 64 <= cut[1].min()
    np.testing.assert_array_equal(np.diff(cut, axis=3), 1)
    np.testing.assert_array_equal(np.diff(cut, axis=2), 8)


def test_training_patches_are_tissue_as_it_is(mri_folder: Path) -> None:
    files = sorted(mri_folder.iterdir())

    draw = draw_events(files, 64, 16, seed=3, token=CancelToken())
    patches = result_of(draw)

    assert patches.shape == (64, 16, 16)
    assert patches.min() >= 0 and patches.max() <= 1
    assert (np.ptp(patches.reshape(64, -1), axis=1) > 0).all()
