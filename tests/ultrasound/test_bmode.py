from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.ultrasound.bmode import SILENCE_DB, envelope, log_compress


def test_envelope_of_a_modulated_tone_is_its_modulation() -> None:
    depth = np.arange(512)
    modulation = np.exp(-(((depth - 256) / 40) ** 2))
    rf = modulation * np.cos(2 * np.pi * 0.21 * depth)

    found = envelope(rf[:, None] * [[1.0, 3.0]])

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, modulation[:, None] * [[1.0, 3.0]], atol=1e-4)


def test_envelope_runs_along_depth_of_every_frame() -> None:
    rf = np.random.default_rng(0).standard_normal((2, 64, 3))

    found = envelope(rf)

    np.testing.assert_array_equal(found[1, :, 2], envelope(rf[1, :, 2:])[:, 0])


def test_envelope_of_iq_is_its_modulus() -> None:
    assert envelope(np.array([[3 + 4j], [0j]], np.complex64)).tolist() == [[5.0], [0.0]]


def test_log_compression_is_20_log10_of_the_ratio_to_the_maximum() -> None:
    db = log_compress(np.array([5.0, 0.5, 2.5], np.float32))

    assert db.dtype == np.float32
    np.testing.assert_allclose(db, [0.0, -20.0, -6.0206], atol=1e-4)


def test_log_compression_never_clips() -> None:
    assert log_compress(np.array([1.0, 1e-12]))[1] == pytest.approx(-240)


@pytest.mark.parametrize(
    ("faintest", "level"), [(1e-3, SILENCE_DB), (1e-9, -180.0)], ids=["loud", "faint"]
)
def test_zero_gets_a_finite_level_below_every_other(
    faintest: float, level: float
) -> None:
    db = log_compress(np.array([1.0, faintest, 0.0]))

    assert db[2] == pytest.approx(level)
    assert db[2] <= db[1]


def test_subnormal_amplitudes_keep_their_level() -> None:
    db = log_compress(np.array([1e10, 1e-40], np.float32))

    assert db[1] == pytest.approx(-1000, abs=0.1)


def test_silence_stays_finite() -> None:
    assert (log_compress(np.zeros((2, 2))) == SILENCE_DB).all()


def test_reference_sets_the_level_of_0_db() -> None:
    assert log_compress(np.array([1.0, 10.0]), reference=10.0).tolist() == [-20.0, 0.0]


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_what_is_no_envelope_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="finite and >= 0"):
        log_compress(np.array([1.0, wrong]))


def test_what_is_outside_stays_outside_where_it_may_be() -> None:
    db = log_compress(np.array([1.0, np.nan, 10.0]), allow_outside=True)

    np.testing.assert_array_equal(db, [-20, np.nan, 0])
    with pytest.raises(ValueError, match="finite and >= 0"):
        log_compress(np.array([1.0, np.nan, np.inf]), allow_outside=True)


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan])
def test_reference_must_be_positive(wrong: float) -> None:
    with pytest.raises(ValueError, match="reference must be positive"):
        log_compress(np.ones(2), reference=wrong)
