"""Strength and Mix back on a finished result."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_usflow._napari.denoise.blend import Blend

NOISY = np.random.default_rng(0).uniform(-50, -10, (3, 8, 9)).astype(np.float32)
CLEAN = np.full_like(NOISY, -30)


@pytest.fixture
def result() -> Image:
    return Image(CLEAN, metadata={"usflow": {"method": "tv"}})


def test_mix_back_adds_a_share_of_what_was_removed_and_is_undone(result):
    blend = Blend(NOISY, result, "db", 1.0, 0.0)

    blend.follow(1.0, 0.25)
    expected = CLEAN + 0.25 * (NOISY - CLEAN)
    np.testing.assert_allclose(np.asarray(result.data), expected, atol=1e-4)
    np.testing.assert_allclose(result.data[1], expected[1], atol=1e-4)
    assert result.metadata["usflow"]["blend"] == {"strength": 1.0, "mix_back": 0.25}

    blend.follow(1.0, 0.0)
    np.testing.assert_array_equal(result.data, CLEAN)
    assert "blend" not in result.metadata["usflow"]


def test_lower_strength_is_a_blend_and_a_higher_one_takes_a_run(result):
    blend = Blend(NOISY, result, "db", 1.0, 0.0)

    blend.follow(0.5, 0.0)
    expected = (NOISY + CLEAN) / 2
    np.testing.assert_allclose(np.asarray(result.data), expected, atol=1e-4)
    assert "new run" in blend.follow(1.5, 0.0)
    np.testing.assert_allclose(np.asarray(result.data), expected, atol=1e-4)


def test_envelope_is_blended_in_decibels(result):
    noisy, clean = np.exp(NOISY / 20), np.exp(CLEAN / 20)
    result.data = clean
    Blend(noisy, result, "envelope", 1.0, 0.0).follow(0.5, 0.0)

    expected = np.sqrt(noisy * clean)
    np.testing.assert_allclose(np.asarray(result.data), expected, rtol=1e-4)


def test_mix_back_of_the_run_can_be_taken_away(result):
    mixed = CLEAN + 0.2 * (NOISY - CLEAN)
    result.data = mixed
    Blend(NOISY, result, "db", 1.0, 0.2).follow(1.0, 0.0)

    np.testing.assert_allclose(np.asarray(result.data), CLEAN, atol=1e-3)
