"""Images that are not what methods take them for: simulated, told, scored."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_usflow.denoising.contract import Denoiser
from napari_usflow.jobs import CancelToken, Progress, result_of
from napari_usflow.lab.figures import generalisation
from napari_usflow.lab.figures.generalisation import (
    CONDITIONS,
    Condition,
    at_pixel,
    generalisation_events,
    simulated_events,
)
from napari_usflow.lab.figures.generalisation_figures import write_generalisation
from napari_usflow.ultrasound.simulate.speckle import SpeckleParams

SPECKLE_DB = 10 / np.log(10) * np.pi / np.sqrt(6)


class Shift(Denoiser):
    """Gives back what it gets, three decibels higher, and remembers what it is told."""

    name, title, Params = "shift", "Shift", object

    def __init__(self) -> None:
        self.params, self.weights, self.device = None, None, "cpu"
        self.told: list[float] = []

    def run(self, frame, run):
        self.told.append(run.sigma * run.dynamic_range_db)
        yield Progress(1, 1)
        return frame + np.float32(3 / run.dynamic_range_db)


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Shift:
    made = Shift()
    monkeypatch.setattr(generalisation, "create", lambda name, **_: made)
    monkeypatch.setattr(generalisation, "CROP_SIZE", 40)
    return made


def run(mri_folder: Path, *conditions: Condition):
    return result_of(
        generalisation_events(
            mri_folder, methods=["nlm"], conditions=conditions, count=1
        )
    )


def test_noise_level_is_told_wrong_or_left_to_be_estimated(
    mri_folder: Path, shift: Shift
) -> None:
    run(
        mri_folder,
        Condition("low", told=0.7),
        Condition("estimated", told=None),
        Condition("80 dB", changes={"dynamic_range_db": 80.0}),
    )

    low, estimated, range_80 = np.reshape(shift.told, (3, 2))
    np.testing.assert_allclose(low, 0.7 * SPECKLE_DB, rtol=1e-4)
    # What an estimate may be; limited to 3 to 7 dB.
    assert ((estimated >= 3) & (estimated <= 7)).all()
    np.testing.assert_allclose(range_80, SPECKLE_DB, rtol=1e-4)


def test_scores_forgive_an_offset_and_are_compared_with_the_first_condition(
    mri_folder: Path, shift: Shift
) -> None:
    """A method that only shifts has the scores of its input."""
    test = run(mri_folder, CONDITIONS[0], Condition("again"), CONDITIONS[-1])

    scores = {(s.condition, s.method): s for s in test.scores}
    for name in ("as trained", "again", "dynamic range 80 dB"):
        shifted, noisy = scores[name, "nlm"], scores[name, "input"]
        # Bright speckle that is kept as a point has not been shifted.
        assert shifted.psnr_db == pytest.approx(noisy.psnr_db, abs=0.3)
    first, again = scores["as trained", "input"], scores["again", "input"]
    assert first.change_db == again.change_db == 0
    # 5.57 dB of noise; less where it is clipped, more where edges are blurred.
    assert 4.5 < first.error_db < 7
    assert first.error_db == pytest.approx(60 * 10 ** (-first.psnr_db / 20), rel=0.05)
    wide = scores["dynamic range 80 dB", "input"]
    assert wide.change_db == wide.psnr_db - first.psnr_db > 0.5


def test_pixel_changes_the_scale_of_what_is_shown(monkeypatch) -> None:
    monkeypatch.setattr(generalisation, "CROP_SIZE", 32)
    wave = 0.5 + 0.4 * np.cos(2 * np.pi * np.arange(64) / 16)
    crops = np.tile(wave.astype(np.float32), (2, 64, 1))

    coarse = at_pixel(crops, SpeckleParams(pixel_size_mm=0.6))
    same = at_pixel(crops, SpeckleParams())

    np.testing.assert_array_equal(same, crops[:, 16:48, 16:48])
    assert coarse.shape == (2, 32, 32)
    periods = np.abs(np.fft.rfft((coarse[0, 16] - coarse[0, 16].mean()), 1024))
    assert 1024 / periods.argmax() == pytest.approx(16 * 0.4375 / 0.6, rel=0.05)


def test_speckle_keeps_the_level_of_its_map() -> None:
    flat = np.full((1, 96, 96), 0.5, np.float32)
    params = SpeckleParams(dynamic_range_db=40.0)

    noisy = result_of(simulated_events(flat, params, CancelToken()))

    assert 40 * noisy.mean() == pytest.approx(20, abs=0.4)
    assert 40 * noisy.std() == pytest.approx(SPECKLE_DB, rel=0.06)


def test_table_and_figures_are_written(
    mri_folder: Path, shift: Shift, tmp_path: Path
) -> None:
    test = run(mri_folder, CONDITIONS[0], CONDITIONS[-2])

    table, *figures = write_generalisation(test, tmp_path / "new")

    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["condition"] for row in rows][::2] == [
        "as trained",
        "dynamic range 40 dB",
    ]
    assert {row["method"] for row in rows} == {"input", "nlm"}
    for path in figures:
        with Image.open(path) as image:
            assert min(image.size) > 100
