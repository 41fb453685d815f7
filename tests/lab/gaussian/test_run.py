"""The test of Gaussian noise: who takes part, what is scored, what is written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_usflow.denoising.algorithms import method_class
from napari_usflow.errors import Cancelled, JobError
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Event, Note, Progress, result_of
from napari_usflow.lab.contest.mri_crops import mean_psnr, noisy, pick_crops
from napari_usflow.lab.gaussian import run as gaussian
from napari_usflow.lab.gaussian.figures import write_gaussian
from napari_usflow.lab.gaussian.run import default_methods, gaussian_events
from napari_usflow.lab.gaussian.scores import GaussianTest


@pytest.fixture(scope="module")
def done(
    mri_folder: Path, tiny_prior: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], GaussianTest]:
    """Events and result of a run with two priors and two noise levels."""
    runs = tmp_path_factory.mktemp("runs")
    priors = [runs / name / "prior.safetensors" for name in ("knees", "all")]
    for path in priors:
        path.parent.mkdir()
        path.write_bytes(tiny_prior.read_bytes())
    run = gaussian_events(
        mri_folder,
        fits=runs,
        methods=["flow", "nlm"],
        priors=priors,
        sigmas=(0.4, 0.1),
        count=2,
        device="cpu",
    )
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method_class("nlm"), "grid", {"h": (0.05, 0.8)})
        while True:
            try:
                seen.append(next(run))
            except StopIteration as stop:
                return seen, stop.value


def test_every_prior_has_rows_of_its_own(done) -> None:
    _, test = done

    assert [(s.method, s.prior) for s in test.scores[:3]] == [
        ("flow", "knees/prior"),
        ("flow", "all/prior"),
        ("nlm", ""),
    ]
    assert test.scores[0].label == "flow (knees/prior)"
    assert [(s.anatomy, s.sigma) for s in test.scores[::3]] == [
        ("knee", 0.1),
        ("knee", 0.4),
        ("brain", 0.1),
        ("brain", 0.4),
    ]


def test_events_count_up_and_tell_each_cell(done) -> None:
    events, test = done

    progress = [e.done / e.total for e in events if isinstance(e, Progress)]
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(1.0)
    assert [e.score for e in events if isinstance(e, Scored)] == list(test.scores)


def test_scores_are_those_of_the_crops_with_that_noise(done, mri_folder: Path) -> None:
    _, test = done
    clean = pick_crops(mri_folder, "knee", count=2)
    unfiltered = mean_psnr(clean, noisy(clean, 0.4))

    nlm = next(s for s in test.scores if s.method == "nlm" and s.sigma == 0.4)
    flow = next(s for s in test.scores if s.method == "flow" and s.sigma == 0.4)

    assert nlm.psnr_db > unfiltered + 6
    # The prior's weights are random.
    assert flow.psnr_db < nlm.psnr_db
    assert nlm.setting == "h 0.8; best of 2"


def test_examples_are_shown_at_the_level_nearest_to_the_middle(done) -> None:
    _, test = done

    assert [(e.anatomy, e.sigma) for e in test.examples] == [
        ("knee", 0.1),
        ("brain", 0.1),
    ]
    assert list(test.examples[0].results) == [s.label for s in test.scores[:3]]
    assert {c.shape for c in test.examples[0].results.values()} == {(2, 64, 64)}


def test_files_are_whole_and_nothing_else_is_left(done, tmp_path: Path) -> None:
    _, test = done

    files = write_gaussian(test, tmp_path / "out")

    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    with (tmp_path / "out" / "gaussian.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "method",
        "prior",
        "anatomy",
        "sigma",
        "psnr_db",
        "ssim",
        "psnr_half_db",
        "ssim_half",
        "crops",
        "subjects",
        "seconds",
        "setting",
    ]
    assert [float(r["psnr_db"]) for r in rows] == pytest.approx(
        [s.psnr_db for s in test.scores], abs=1e-3
    )
    for name in ("gaussian", "examples_knee", "examples_brain"):
        with Image.open(tmp_path / "out" / f"{name}.png") as figure:
            assert min(figure.size) > 400


def test_a_method_without_an_image_leaves_an_empty_cell_and_the_run_goes_on(
    mri_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_):
        yield Note("about to fail")
        raise JobError("flow-map has not found its image")

    monkeypatch.setattr(method_class("tv"), "run", fail)
    events: list[Event] = []

    test = result_of(
        gaussian_events(
            mri_folder,
            fits=tmp_path,
            methods=["tv", "srad"],
            sigmas=(0.1, 0.2),
            anatomies=("knee",),
            count=1,
            changes=("tv.weight=0.1", "srad.iterations=2"),
            device="cpu",
        ),
        events.append,
    )
    files = write_gaussian(test, tmp_path / "out")

    assert [s.method for s in test.scores] == ["tv", "srad"] * 2
    assert [np.isnan(s.psnr_db) for s in test.scores] == [True, False] * 2
    assert test.scores[0].setting == "no image: flow-map has not found its image"
    notes = [e.text for e in events if isinstance(e, Note)]
    assert "tv, sigma 0.1: no image: flow-map has not found its image" in notes
    with files[0].open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["psnr_db"], row["ssim"], row["seconds"]) == ("", "", "")


def test_cancel_ends_the_run(mri_folder: Path, tmp_path: Path) -> None:
    token = CancelToken()
    run = gaussian_events(
        mri_folder, fits=tmp_path, methods=["nlm"], count=2, token=token
    )

    next(event for event in run if isinstance(event, Progress))
    token.cancel()

    with pytest.raises(Cancelled):
        list(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": ["magic"]}, "no method 'magic'; choose from best"),
        ({"methods": []}, "at least one method"),
        ({"sigmas": [1.5]}, r"sigma is 1.5; .* \[0.001, 1\]"),
        ({"sigmas": [float("nan")]}, "sigma is nan"),
        ({"count": 0}, "at least 1, got 0"),
        ({"anatomies": ["heart"]}, "no file shows 'heart'"),
    ],
)
def test_what_cannot_be_tested_is_refused(
    change: dict, said: str, mri_folder: Path, tmp_path: Path
) -> None:
    wanted = {"methods": ["nlm"], "count": 2, **change}
    with pytest.raises(ValueError, match=said):
        next(gaussian_events(mri_folder, fits=tmp_path, **wanted))


def test_without_names_the_installed_peers_take_part(
    monkeypatch, mri_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(gaussian, "available_peers", lambda: ("bm3d", "epll"))

    assert default_methods(None) == ("flow", "nlm", "bm3d")
    assert default_methods(mri_folder) == ("flow", "nlm", "bm3d", "epll")
    first = next(gaussian_events(mri_folder, fits=tmp_path))
    assert isinstance(first, Note)
    assert first.text.startswith("without ")
    assert "epll, patchnr: peers need the bench extra" in first.text
