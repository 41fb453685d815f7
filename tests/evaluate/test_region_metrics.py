"""Metrics of masks: the same figures as of the samples, whatever the image holds."""

from __future__ import annotations

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.evaluate import metrics

GRID = usf.PixelGrid((60, 50), (0.1, 0.1), (0.0, 0.0))
INSIDE = np.zeros(GRID.shape, bool)
INSIDE[:20] = True
OUTSIDE = ~INSIDE
PAIRS = {
    usf.contrast: metrics.contrast_db,
    usf.cnr: metrics.cnr,
    usf.gcnr: metrics.gcnr,
}
TEXTURES = {
    usf.speckle_snr: metrics.speckle_snr,
    usf.enl: lambda amplitude: metrics.enl(amplitude**2),
}


@pytest.fixture
def db() -> np.ndarray:
    """Two frames of speckle, the region 10 and 20 dB below the rest."""
    rng = np.random.default_rng(0)
    speckle = 10 * np.log10(rng.exponential(size=(2, *GRID.shape)))
    return speckle - 30 - INSIDE * np.array([10.0, 20.0])[:, None, None]


@pytest.mark.parametrize("measure", PAIRS)
def test_two_masks_are_the_samples_under_them(measure, db: np.ndarray) -> None:
    image = usf.UltrasoundImage(db, "db", GRID)
    expected = [PAIRS[measure](frame[INSIDE], frame[OUTSIDE]) for frame in db]

    assert measure(image, INSIDE, OUTSIDE) == expected[0]
    assert measure(image, INSIDE, OUTSIDE, frame=1) == expected[1]
    assert measure(db, INSIDE, OUTSIDE, frame=1) == expected[1]
    assert measure(db[1], INSIDE, OUTSIDE) == expected[1]


@pytest.mark.parametrize("measure", PAIRS)
def test_envelope_is_measured_in_decibels(measure, db: np.ndarray) -> None:
    envelope = usf.UltrasoundImage(10 ** (db / 20), "envelope", GRID)
    expected = PAIRS[measure](db[0][INSIDE], db[0][OUTSIDE])

    assert measure(envelope, INSIDE, OUTSIDE) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("measure", TEXTURES)
def test_texture_is_measured_on_the_amplitude(measure, db: np.ndarray) -> None:
    amplitude = 10 ** (db / 20)
    expected = TEXTURES[measure](amplitude[1][OUTSIDE])
    images = {
        "db": usf.UltrasoundImage(db, "db", GRID),
        "envelope": usf.UltrasoundImage(amplitude, "envelope", GRID),
        "array": amplitude,
    }

    for image in images.values():
        assert measure(image, OUTSIDE, frame=1) == pytest.approx(expected)


def test_lazy_image_is_read_a_frame_at_a_time(db: np.ndarray) -> None:
    import dask.array as da

    read = []

    def block(numbers: np.ndarray) -> np.ndarray:
        read.append(int(numbers[0, 0, 0]))
        return db[numbers[0, 0, 0]][None]

    numbers = da.arange(2, chunks=1)[:, None, None]
    meta = np.empty((0, 0, 0))
    lazy = numbers.map_blocks(block, chunks=((1, 1), (60,), (50,)), meta=meta)
    image = usf.UltrasoundImage(lazy, "db", GRID)

    found = usf.cnr(image, INSIDE, OUTSIDE, frame=1)

    assert found == metrics.cnr(db[1][INSIDE], db[1][OUTSIDE])
    assert read == [1]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((50, 60), bool), r"shape \(60, 50\), got bool and \(50, 60\)"),
        (np.ones(GRID.shape, int), r"a mask of bool and shape .*, got int64"),
        (np.zeros(GRID.shape, bool), "at least 2 pixels"),
    ],
)
def test_mask_that_does_not_fit_is_refused(mask, message: str, db) -> None:
    with pytest.raises(ValueError, match=message):
        usf.contrast(db, mask, OUTSIDE)
    with pytest.raises(ValueError, match=message):
        usf.speckle_snr(10 ** (db / 20), mask)


def test_pixels_that_are_no_numbers_are_refused_in_a_region_only(db) -> None:
    db[0, 0, 0] = np.nan

    with pytest.raises(ValueError, match="NaN or infinite"):
        usf.gcnr(db, INSIDE, OUTSIDE)
    spared = INSIDE.copy()
    spared[0, 0] = False
    assert usf.gcnr(db, spared, OUTSIDE) > 0.5


def test_amplitudes_that_are_not_known_are_refused(db) -> None:
    grey = usf.UltrasoundImage(np.full((1, 60, 50), 9.0), "display", GRID)

    with pytest.raises(ValueError, match="8-bit grey"):
        usf.speckle_snr(grey, INSIDE)
    with pytest.raises(ValueError, match=r"found -.*10 \*\* \(db / 20\)"):
        usf.speckle_snr(db, INSIDE)
