"""The protocol of the Gaussian test."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.evaluate.gaussian import (
    evaluate,
    noisy,
    pick_crops,
    score,
    tuned_nlm,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = np.zeros((6, 120, 120), np.float32)
    image[:, 70:, 60:] = 1.0
    with h5py.File(tmp_path / "knee_step.h5", "w") as file:
        file["reconstruction_rss"] = image
        file.attrs["pixel_size_mm"] = (0.4375, 0.4375)
    return tmp_path


def test_crops_are_where_the_structure_is(folder: Path) -> None:
    crops = pick_crops(folder, "knee", count=3, size=32)
    assert crops.shape == (3, 32, 32)
    assert (np.ptp(crops.reshape(3, -1), axis=1) > 0.9).all()


def test_noise_has_the_asked_level_and_repeats(folder: Path) -> None:
    clean = np.full((4, 64, 64), 0.5, np.float32)
    y = noisy(clean, 0.2)
    assert (y - clean).std() == pytest.approx(0.2, rel=0.03)
    np.testing.assert_array_equal(y, noisy(clean, 0.2))


def test_score_of_a_known_error() -> None:
    clean = np.full((2, 32, 32), 0.5, np.float32)
    assert score(clean, clean + np.float32(0.1))[0] == pytest.approx(20.0, abs=1e-4)


def test_tuned_nlm_takes_the_best_setting_of_the_grid(folder: Path) -> None:
    clean = pick_crops(folder, "knee", count=2)
    y = noisy(clean, 0.1)
    grid = ((3, 5, 0.01), (5, 7, 0.8))
    result, best = tuned_nlm(clean, y, 0.1, grid)
    assert best == (5, 7, 0.8)
    assert score(clean, result)[0] > score(clean, y)[0] + 5


def test_table_has_a_row_a_method_and_cell(folder: Path) -> None:
    rows = list(
        evaluate(
            folder,
            {"as it is": lambda y, sigma: y},
            sigmas=(0.1,),
            anatomies=("knee",),
            count=1,
        )
    )
    assert [row.method for row in rows] == ["nlm (tuned)", "as it is"]
    # Clipping halves the error where the image is black or white: 20 dB + 3 dB.
    assert rows[1].psnr_db == pytest.approx(23.0, abs=0.5)
