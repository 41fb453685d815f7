"""The test of speckle at the own pixel: its images, and who is scored how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.cli import main
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.speckle.fine import (
    _grey,
    _images,
    _mean_grey,
    _sector,
    fine_events,
)


@pytest.mark.parametrize("looks", [1, 3, 8])
@pytest.mark.parametrize("level", [0.15, 0.5, 0.9])
def test_the_truth_of_an_export_is_its_mean_grey(looks, level):
    rng = np.random.default_rng(0)
    intensity = rng.exponential(size=(200_000, looks)).mean(axis=1)
    # The mean of the decibels of one look lies 2.51 dB low, and is called the level.
    shown = level + (10 * np.log10(intensity) + 2.507) / 60
    truth = _mean_grey(np.full((1, 1), level, np.float32), looks)
    assert truth[0, 0] == pytest.approx(_grey(shown).mean(), abs=0.002)


def test_the_sector_lies_within_the_lines():
    assert np.all(_sector(np.ones((1, 192, 192))) == 1)


def test_an_export_has_256_levels_and_the_grain_grows_with_depth(mri_folder: Path):
    run = _images(mri_folder, "knee", "1 look", 1, 0, CancelToken())
    made = result_of(run)
    levels = made.noisy * 255
    assert np.abs(levels - levels.round()).max() < 1e-4
    assert made.noisy.shape == made.clean.shape == (1, 160, 160)


def test_grains_differ_and_the_level_is_that_of_the_map(mri_folder: Path):
    correlation = []
    for kind in ("fine", "paper", "coarse"):
        made = result_of(_images(mri_folder, "knee", kind, 1, 0, CancelToken()))
        residual = (made.noisy - made.clean)[0]
        # The point-spread function carries light over edges into the dark.
        assert 0 <= residual.mean() * 60 < 1.5
        residual = residual - residual.mean()
        correlation.append((residual[1:] * residual[:-1]).mean() / residual.var())
    assert correlation == sorted(correlation)
    assert correlation[0] < 0.6 < correlation[2]


def test_baselines_are_tuned_and_lines_are_complete(mri_folder: Path):
    test = result_of(
        fine_events(
            mri_folder,
            methods=["tv", "nlm"],
            anatomies=["knee"],
            kinds=["fine"],
            count=1,
        )
    )
    assert [s.method for s in test.scores] == ["input", "tv", "nlm"]
    noisy, _, nlm = test.scores
    assert nlm.psnr_db > noisy.psnr_db + 3
    assert nlm.setting.endswith("best of 24")
    assert nlm.worst_db == nlm.psnr_db
    assert set(test.frames["knee", "fine"]) == {"clean", "input", "tv", "nlm"}


def test_greys_are_measured_in_exported_pictures_only(mri_folder: Path):
    run = fine_events(
        mri_folder,
        methods=["tv"],
        anatomies=["knee"],
        kinds=["paper", "8 looks"],
        count=1,
    )
    test = result_of(run)
    paper, exported = test.scores[1], test.scores[3]
    assert (paper.method, paper.kind, paper.regions) == ("tv", "paper", 0)
    assert np.isnan(paper.grey_worst)
    assert exported.regions == len(test.greys) > 0
    changes = [abs(region.change) for region in test.greys]
    assert exported.grey_mean == pytest.approx(np.mean(changes))
    assert abs(exported.grey_worst) == max(changes)
    # The input is what a result is compared with.
    assert test.scores[2].grey_worst == 0


def test_the_command_writes_a_table(mri_folder: Path, tmp_path: Path):
    command = ["evaluate", "fine", "--data", str(mri_folder), "--out", str(tmp_path)]
    chosen = ["--methods", "tv", "--kinds", "8 looks", "--anatomies", "brain"]
    assert main([*command, *chosen, "--count", "1"]) == 0
    lines = (tmp_path / "fine.csv").read_text().splitlines()
    assert lines[0].startswith("method,anatomy,kind,crops,psnr_db")
    assert lines[2].startswith("tv,brain,8 looks,1,")
    lines = (tmp_path / "fine_grey.csv").read_text().splitlines()
    assert lines[0] == "method,anatomy,kind,crop,z_mm,x_mm,clean,input,result"
    assert lines[1].startswith("tv,brain,8 looks,0,")
