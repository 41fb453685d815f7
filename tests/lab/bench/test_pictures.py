"""What methods are judged on: scenes, noise of known strength, scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.bench.pictures import (
    made_scenes,
    picture_events,
    quality_events,
    timed_stack,
)
from napari_usflow.lab.bench.scores import Size
from napari_usflow.lab.contest.contestants import Contestant, Denoised

# Standard deviation of 10 log10 of an exponential variable, in dB.
SPECKLE_DB = 10 / np.log(10) * np.pi / np.sqrt(6)


class Shifted(Contestant):
    """Gives the truth but for an offset, and notes what it was told."""

    method = "shifted"

    def __init__(self, shift: float) -> None:
        self._shift, self.told = np.float32(shift), []

    def denoise(self, crops, sigma, *, clean, token):
        yield from ()
        self.told.append(sigma)
        return Denoised(clean + self._shift, 0.0)


def made(**wanted):
    given = {"data": None, "anatomies": (), "token": CancelToken(), **wanted}
    return result_of(picture_events(2, **given))


def test_scenes_are_within_the_range_and_differ() -> None:
    first, second = made_scenes(2, (64, 80))

    assert first.shape == (64, 80)
    assert 0.05 <= first.min() < 0.1
    assert 0.7 < first.max() <= 0.95
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(made_scenes(1, (64, 80))[0], first)


def test_a_stack_to_time_has_new_speckle_on_the_same_scene_in_every_frame() -> None:
    stack = timed_stack(Size.parse("3x96x96"))

    (scene,) = made_scenes(1, (96, 96))
    speckle_db = 60 * (stack - scene)
    assert speckle_db.std() == pytest.approx(SPECKLE_DB, rel=0.03)
    assert speckle_db.mean() == pytest.approx(0, abs=0.15)
    assert abs(np.corrcoef(speckle_db[0].ravel(), speckle_db[1].ravel())[0, 1]) < 0.03


def test_noise_has_the_strength_that_is_said() -> None:
    pictures = made()

    assert (pictures.white - pictures.clean).std() == pytest.approx(0.2, rel=0.03)
    speckle = pictures.speckled.noisy - pictures.speckled.clean
    # Next to edges the point-spread function adds to it.
    assert 60 * speckle.std() == pytest.approx(SPECKLE_DB, rel=0.15)
    assert pictures.origin == "2 made scenes"


def test_crops_of_mri_are_taken_from_a_folder(mri_folder: Path) -> None:
    pictures = made(data=mri_folder, anatomies=("knee", "brain", "knee"))

    assert pictures.clean.shape == (4, 96, 96)
    assert pictures.origin == "2 knee and 2 brain crops of MRI"


def test_an_offset_counts_under_white_noise_and_is_fitted_under_speckle() -> None:
    white, speckle = Shifted(-0.02), Shifted(-0.02)

    found = result_of(quality_events(made(), white, speckle, CancelToken()))

    assert found.white_psnr_db == pytest.approx(-20 * np.log10(0.02), abs=0.01)
    assert found.speckle_psnr_db > 80
    assert found.speckle_ssim == pytest.approx(1, abs=1e-4)
    assert white.told == [0.2]
    assert speckle.told == pytest.approx([SPECKLE_DB / 60])
