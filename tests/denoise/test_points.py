"""What is too bright to be speckle is found, and speckle is not."""

from __future__ import annotations

import numpy as np

from napari_usflow.denoise.points import GROW_DB, SEED_DB, points_mask


def test_share_of_speckle_that_is_taken_for_a_point_is_the_tail() -> None:
    rng = np.random.default_rng(0)
    # Two decibels above what is taken for the local mean: the excess is 11 dB.
    speckle_db = 2 + 10 * np.log10(rng.exponential(size=(2000, 2000)))
    mean_of_log_db = np.full(speckle_db.shape, -2.507)

    found = points_mask(speckle_db, mean_of_log_db)

    # exp(-10^1.1) = 3.4e-6 of the pixels are seeds, 13.6 on the mean; a seed has eight
    # neighbours, each above 4 dB with a probability of exp(-10^0.2) = 0.205.
    seeds = (speckle_db > SEED_DB).sum()
    assert 3 <= seeds <= 30
    assert seeds <= found.sum() <= 10 * seeds


def test_point_is_kept_down_to_its_half_amplitude() -> None:
    rng = np.random.default_rng(1)
    z, x = np.mgrid[-15:16, -15:16]
    speckle_db = 10 * np.log10(rng.exponential(size=z.shape)) - 30
    # A Gaussian of 5 pixels full width at half amplitude, 20 dB above the speckle.
    point_db = -10 - 6.02 * (z**2 + x**2) / 2.5**2
    noisy_db = np.maximum(speckle_db, point_db)

    found = points_mask(noisy_db, np.full(z.shape, -32.507))

    assert found[np.hypot(z, x) <= 2.5].all()
    assert not found[np.hypot(z, x) > 8].any()


def test_bright_pixels_without_a_seed_are_speckle() -> None:
    noisy_db = np.full((9, 9), -30.0)
    noisy_db[4, 4] = -30 + 2.507 + (GROW_DB + SEED_DB) / 2

    assert not points_mask(noisy_db, np.full((9, 9), -30.0)).any()


def test_an_edge_that_is_denoised_a_pixel_aside_is_no_point() -> None:
    noisy_db = np.full((20, 20), -60.0)
    noisy_db[:, :10] = -20.0
    clean_db = np.roll(noisy_db, -2, axis=1)
    clean_db[:, -2:] = -60.0

    assert points_mask(noisy_db, clean_db, (1, 1)).any()
    assert not points_mask(noisy_db, clean_db, (1, 2)).any()
