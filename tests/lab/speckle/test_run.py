"""The test of speckle: what is simulated, what is scored, what is written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_usflow.errors import Cancelled, JobError
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Event, Note, Progress, result_of
from napari_usflow.lab.contest.contestants import Contestant, Denoised
from napari_usflow.lab.speckle import run as speckle
from napari_usflow.lab.speckle.figures import write_speckle
from napari_usflow.lab.speckle.run import (
    default_methods,
    estimated_sigma,
    speckle_events,
    speckled_events,
)
from napari_usflow.lab.speckle.scores import Speckled, SpeckleTest, quality

SPECKLE_DB = 10 / np.log(10) * np.pi / np.sqrt(6)


class Box(Contestant):
    """The mean over a square: quick, and its results are easy to foretell."""

    def __init__(self, method: str, side: int, shift_db: float = 0.0) -> None:
        self.method, self._side, self._shift = method, side, shift_db / 60
        self.told: list[float] = []

    def denoise(self, crops, sigma, *, clean, token):
        from scipy.ndimage import uniform_filter

        self.told.append(sigma)
        for i in range(len(crops)):
            token.raise_if_cancelled()
            yield Progress(i + 1, len(crops))
        smooth = uniform_filter(crops, (0, self._side, self._side)) + self._shift
        return Denoised(smooth.astype(np.float32), 0.25, "a setting")


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Box]:
    """Stand in for two methods; ``srad`` gives the level of another mean."""
    made = {"nlm": Box("nlm", 5), "srad": Box("srad", 5, shift_db=1.5)}
    monkeypatch.setattr(speckle, "registered", lambda name, priors, **_: [made[name]])
    monkeypatch.setattr(speckle, "CROP_SIZE", 64)
    return made


@pytest.fixture
def done(mri_folder: Path, boxes) -> tuple[list[Event], SpeckleTest]:
    run = speckle_events(mri_folder, methods=["nlm", "srad"], count=2)
    seen = []
    while True:
        try:
            seen.append(next(run))
        except StopIteration as stop:
            return seen, stop.value


def test_a_method_without_an_image_leaves_an_empty_line_and_the_run_goes_on(
    mri_folder: Path, tmp_path: Path, boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_, **__):
        yield Note("about to fail")
        raise JobError("it has not found its image")

    monkeypatch.setattr(boxes["nlm"], "denoise", fail)
    run = speckle_events(
        mri_folder, methods=["nlm", "srad"], anatomies=["knee"], count=1
    )

    test = result_of(run)
    write_speckle(test, tmp_path)

    lines = {s.method: s for s in test.scores}
    assert np.isnan(lines["nlm"].psnr_db) and lines["srad"].psnr_db > 10
    assert lines["nlm"].setting == "no image: it has not found its image"


def uniform(reading: str, grey: float) -> Speckled:
    crops = np.full((2, 128, 128), grey, dtype=np.float32)
    return result_of(speckled_events("uniform", reading, crops, 0, CancelToken()))


@pytest.mark.parametrize(
    ("reading", "grey", "level"),
    # As an amplitude, 0.1 is 20 dB below white, a third of the 60 dB.
    [("display", 0.5, 0.5), ("amplitude", 0.1, 2 / 3)],
)
def test_speckle_is_simulated_at_the_level_of_its_map(
    reading: str, grey: float, level: float
) -> None:
    made = uniform(reading, grey)

    np.testing.assert_allclose(made.clean, level, rtol=1e-6)
    # 2.507 dB are added, so that the mean of the decibels is that of the map.
    assert 60 * made.noisy.mean() == pytest.approx(60 * level, abs=0.15)
    assert 60 * made.noisy.std() == pytest.approx(SPECKLE_DB, rel=0.03)
    assert not np.array_equal(made.noisy[0], made.noisy[1])


def test_black_has_an_amplitude_of_zero_and_ends_at_black() -> None:
    crops = np.zeros((1, 64, 64), dtype=np.float32)
    crops[:, :, 32:] = 1.0

    made = result_of(speckled_events("a", "amplitude", crops, 0, CancelToken()))

    assert made.clean[0, 0, 0] == 0
    assert made.clean[0, 0, -1] == 1
    assert np.isfinite(made.noisy).all()


def test_noise_level_of_speckle_is_estimated() -> None:
    found = estimated_sigma(uniform("display", 0.5).noisy)

    assert 60 * found == pytest.approx(SPECKLE_DB, rel=0.1)


def test_what_keeps_the_map_but_for_a_level_is_perfect_once_that_is_fitted() -> None:
    made = uniform("display", 0.5)

    found = quality(made, made.clean - np.float32(3 / 60))

    assert found.psnr_db > 100
    assert found.ssim == pytest.approx(1)
    assert found.offset_db == pytest.approx(3, abs=1e-3)
    # 3 dB of 60: an error of 1/20 everywhere
    assert found.plain_psnr_db == pytest.approx(20 * np.log10(20), abs=1e-3)
    assert found.plain_ssim < 1
    assert found.bias_db == pytest.approx(-3, abs=0.15)
    assert found.residual_db == pytest.approx(SPECKLE_DB, rel=0.03)
    assert found.spread_db == pytest.approx(0, abs=1e-3)


def test_the_residual_of_the_input_is_the_speckle_itself() -> None:
    made = uniform("display", 0.5)

    found = quality(made)

    assert found.residual_db == pytest.approx(SPECKLE_DB, rel=0.03)
    assert found.spread_db == pytest.approx(SPECKLE_DB, rel=0.03)
    # sum of rho^2 for the point-spread function at 0.4375 mm (Li2 of its square)
    assert found.whiteness == pytest.approx(0.077, abs=0.02)
    assert found.bias_db == 0


def test_nothing_is_scored_below_black_but_the_map_itself() -> None:
    made = uniform("display", 0.5)
    made.clean[:, :64] = 0
    result = made.clean.copy()
    result[:, :64] = -0.7

    found = quality(made, result)

    assert found.psnr_db > 100
    assert found.offset_db == pytest.approx(0, abs=1e-4)
    assert found.residual_db == pytest.approx(SPECKLE_DB, rel=0.04)


def test_every_map_has_the_input_and_every_level(done) -> None:
    events, test = done

    keys = [(s.anatomy, s.reading, s.level, s.label) for s in test.scores]
    assert keys[:5] == [
        ("knee", "display", "", "input"),
        ("knee", "display", "given", "nlm"),
        ("knee", "display", "given", "srad"),
        ("knee", "display", "estimated", "nlm"),
        ("knee", "display", "estimated", "srad"),
    ]
    assert [k[:2] for k in keys[::5]] == [
        ("knee", "display"),
        ("knee", "amplitude"),
        ("brain", "display"),
        ("brain", "amplitude"),
        ("uniform", "display"),
    ]
    assert [e.score for e in events if isinstance(e, Scored)] == list(test.scores)


def test_events_count_up(done) -> None:
    events, _ = done
    shares = [e.done / e.total for e in events if isinstance(e, Progress)]

    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_methods_are_told_the_level_of_speckle_or_an_estimate(done, boxes) -> None:
    _, test = done

    assert boxes["nlm"].told[0] == pytest.approx(SPECKLE_DB / 60)
    assert boxes["nlm"].told[1] != boxes["nlm"].told[0]
    given = [s.sigma_db for s in test.scores if s.level == "given"]
    assert given == pytest.approx(len(given) * [SPECKLE_DB])


def test_none_wins_by_an_offset(done) -> None:
    _, test = done
    nlm, srad = test.scores[-4:-2]

    # Both are the same box, one 1.5 dB higher.
    assert srad.psnr_db == pytest.approx(nlm.psnr_db, abs=1e-3)
    assert srad.offset_db == pytest.approx(nlm.offset_db - 1.5, abs=1e-3)
    assert srad.bias_db == pytest.approx(nlm.bias_db + 1.5, abs=1e-3)
    assert srad.plain_psnr_db < nlm.plain_psnr_db
    assert nlm.seconds == 0.25
    assert nlm.setting == "a setting"


def test_files_are_whole_and_nothing_else_is_left(
    mri_folder: Path, boxes, tmp_path: Path
) -> None:
    wanted = {"methods": ["nlm"], "anatomies": ["knee"], "readings": ["amplitude"]}
    test = result_of(speckle_events(mri_folder, count=1, **wanted))

    files = write_speckle(test, tmp_path / "out")

    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert [f.name for f in files] == [
        "speckle.csv",
        "speckle.png",
        "speckle_knee_amplitude.png",
        "speckle_uniform_display.png",
    ]
    with (tmp_path / "out" / "speckle.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["psnr_db"]) for r in rows] == pytest.approx(
        [s.psnr_db for s in test.scores], abs=1e-3
    )
    assert rows[0]["sigma_db"] == ""
    for file in files[1:]:
        with Image.open(file) as figure:
            assert min(figure.size) > 250


def test_cancel_ends_the_run(mri_folder: Path, boxes) -> None:
    token = CancelToken()
    run = speckle_events(mri_folder, methods=["nlm"], count=1, token=token)

    next(event for event in run if isinstance(event, Progress))
    token.cancel()

    with pytest.raises(Cancelled):
        list(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": ["epll"]}, "no method 'epll'; choose from best"),
        ({"methods": []}, "at least one method"),
        ({"readings": ["echo"]}, "no reading 'echo'"),
        ({"levels": []}, "at least one level"),
        ({"count": 0}, "at least 1, got 0"),
        ({"anatomies": ["heart"]}, "no file shows 'heart'"),
    ],
)
def test_what_cannot_be_tested_is_refused(
    change: dict, said: str, mri_folder: Path
) -> None:
    wanted = {"methods": ["nlm"], "count": 1, **change}
    with pytest.raises(ValueError, match=said):
        next(speckle_events(mri_folder, **wanted))


def test_without_names_all_but_the_slow_one_take_part(monkeypatch, mri_folder) -> None:
    monkeypatch.setattr(speckle, "available_peers", lambda: ())

    names = default_methods()

    assert "flow" in names
    assert "nlm" in names
    assert not {"flow-map", "bm3d"} & set(names)
    assert isinstance(next(speckle_events(mri_folder, count=1)), Note)
