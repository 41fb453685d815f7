"""The test on PICMUS images: what is found, how baselines are tuned, what is scored."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from lab.challenge_files import write_carotid, write_challenge
from napari_usflow.errors import Cancelled, FileFormatError
from napari_usflow.evaluate.phantom_scores import picmus_speckle_level
from napari_usflow.evaluate.tables import Scored
from napari_usflow.io.picmus import Phantom, SpeckleRegion
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.picmus.figures import write_picmus
from napari_usflow.lab.picmus.run import picmus_events
from napari_usflow.lab.picmus.scenes import (
    find_scenes,
    plane_wave_frame,
    read_carotid,
)
from napari_usflow.lab.picmus.scores import PicmusTest
from napari_usflow.ultrasound.data import PixelGrid


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment's cyst and points in small, and a carotid."""
    return write_challenge(tmp_path_factory.mktemp("challenge"))


@pytest.fixture(scope="module")
def done(challenge: Path) -> tuple[list[Event], PicmusTest]:
    run = picmus_events(
        challenge, methods=["tv", "nlm"], plane_waves=[75], reference="tv"
    )
    seen = []
    while True:
        try:
            seen.append(next(run))
        except StopIteration as stop:
            return seen, stop.value


def test_a_scene_is_an_image_and_its_phantom_by_either_name(
    challenge: Path, tmp_path: Path
) -> None:
    (scene,) = find_scenes(challenge)

    assert scene.name == "experiment"
    assert len(scene.cysts.phantom.cysts) == 1
    assert scene.points is not None
    assert len(scene.points.phantom.points_mm) == 1
    for old, new in (
        ("4.hdf5", "contrast_speckle_expe_img_from_rf.hdf5"),
        ("contrast_speckle_expe_phantom.hdf5", "contrast_speckle_expe_phantom.hdf5"),
    ):
        (tmp_path / new).write_bytes((challenge / old).read_bytes())
    (named,) = find_scenes(tmp_path)
    assert named.cysts.phantom.cysts == scene.cysts.phantom.cysts
    assert named.points is None


def test_a_folder_without_what_is_needed_is_refused(
    challenge: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no contrast image"):
        find_scenes(tmp_path)
    (tmp_path / "4.hdf5").write_bytes((challenge / "4.hdf5").read_bytes())
    with pytest.raises(ValueError, match=r"contrast_speckle_expe_phantom\.hdf5.*--ph"):
        find_scenes(tmp_path)
    (scene,) = find_scenes(challenge)
    with pytest.raises(ValueError, match="images of 1, 75 plane waves, but none of 11"):
        plane_wave_frame(scene.cysts.image, 11)


def test_the_frame_of_a_number_of_plane_waves_is_taken(challenge: Path) -> None:
    image = find_scenes(challenge)[0].cysts.image

    frame = plane_wave_frame(image, 1)

    np.testing.assert_array_equal(frame.data[0], image.data[0])
    assert frame.metadata["plane_waves"] == [1]


def test_homogeneous_regions_are_measured_about_their_gradient() -> None:
    grid = PixelGrid((100, 100), (0.2, 0.2), (10.0, -10.0))
    region = SpeckleRegion((20.0, 0.0), (6.0, 6.0))
    z_mm, x_mm = grid.axes_mm()
    noise = np.random.default_rng(0).normal(-30, 2.0, grid.shape)
    # 1 dB/mm along depth and half across, 0 in the region's middle
    frame = noise + (z_mm[:, None] - 20) + 0.5 * x_mm

    level, spread = picmus_speckle_level(
        frame, grid, Phantom(speckle_regions=(region,))
    )

    assert level == pytest.approx(-30, abs=0.2)
    assert spread == pytest.approx(2.0, rel=0.05)
    with pytest.raises(ValueError, match="no speckle region"):
        picmus_speckle_level(frame, grid, Phantom())


def test_carotid_envelope_is_the_local_root_mean_square(tmp_path: Path) -> None:
    # rf = cos over 3 samples a third of a period apart: mean square exactly 1/2
    z = np.arange(256)
    rf = np.cos(2 * np.pi * z / 3)[:, None] * np.where(np.arange(256) < 128, 1.0, 0.1)
    path = tmp_path / "carotid_cross.mat"
    write_carotid(path, rf)

    image = read_carotid(path)

    frame = image.data[0][5:-5] - image.data[0, 128, 0]
    np.testing.assert_allclose(frame[:, :120], 0.0, atol=1e-3)
    np.testing.assert_allclose(frame[:, 140:], -20.0, atol=1e-3)
    assert image.spacing_mm == pytest.approx((36 / 255, 36 / 255))
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros((3, 4))
    with pytest.raises(FileFormatError, match=r"shape \(4, 3\)"):
        read_carotid(path)


def test_the_input_comes_first_and_every_block_has_a_line(done) -> None:
    events, test = done

    assert [s.label for s in test.scores] == [
        "input",
        "tv",
        "tv, own pixel",
        "nlm",
        "nlm, own pixel",
    ]
    assert [e.score for e in events if isinstance(e, Scored)] == list(test.scores)
    assert {(s.scene, s.plane_waves) for s in test.scores} == {("experiment", 75)}
    assert test.scores[0].level_db == test.scores[0].peak_db == 0


def test_a_baseline_is_given_the_smoothing_of_the_reference(done) -> None:
    _, test = done
    by_label = {s.label: s for s in test.scores}

    reference, tuned = by_label["tv"], by_label["tv, own pixel"]

    assert reference.setting == ""
    assert reference.speckle_db < by_label["input"].speckle_db / 2
    # It stops early, and so what it leaves is not quite steady in its weight.
    for label in ("nlm", "nlm, own pixel"):
        left = by_label[label].speckle_db
        assert left == pytest.approx(reference.speckle_db, rel=0.02)
    # It stops early: more weight than this takes no more away.
    assert reference.speckle_db < tuned.speckle_db < 1.5 * reference.speckle_db
    # On means of blocks a weight reaches farther than at the own pixel.
    weight, left = tuned.setting.removeprefix("weight ").split(": ")
    assert float(weight) > 1.3
    assert left == f"{tuned.speckle_db:.2f} dB left"
    # Windows as large in mm as patches of 5 and a distance of 6 on the blocks.
    setting = by_label["nlm, own pixel"].setting
    patch, distance = re.findall(r"patch_size (\d+), patch_distance (\d+)", setting)[0]
    block, rest = divmod(int(distance), 6)
    assert block > 1 and rest == 0
    assert int(patch) == 5 * block + (block % 2 == 0)
    assert by_label["nlm"].setting.startswith("h ")


def test_the_reference_runs_first_wherever_it_is_named(challenge: Path) -> None:
    run = picmus_events(
        challenge,
        methods=["nlm", "tv"],
        blocks=[1],
        plane_waves=[1],
        reference="tv",
    )

    scored = [e.score.label for e in run if isinstance(e, Scored)]

    assert scored == ["input", "tv, own pixel", "nlm, own pixel"]


def test_a_method_that_is_no_classical_filter_has_one_way(challenge: Path) -> None:
    run = picmus_events(challenge, methods=["realtime", "tv"], blocks=[2, 1, 2, None])

    labels = [e.score.label for e in run if isinstance(e, Scored)]

    ways = ["input", "realtime", "tv, block 2", "tv, own pixel", "tv"]
    assert labels == 2 * ways


def test_progress_of_the_scenes_never_goes_back(done) -> None:
    events, _ = done
    shares = [
        e.done / e.total
        for e in events
        if isinstance(e, Progress) and e.label.startswith("experiment")
    ]

    assert len(shares) > 10
    assert shares == sorted(shares)


def test_files_are_whole_and_nothing_else_is_left(done, tmp_path: Path) -> None:
    _, test = done

    files = write_picmus(test, tmp_path / "out")

    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert {f.name for f in files} == {
        "picmus.csv",
        "picmus_points.csv",
        "picmus_75.png",
        "carotid.png",
    }
    with (tmp_path / "out" / "picmus.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["contrast_db"]) for r in rows] == pytest.approx(
        [s.contrast_db for s in test.scores], abs=0.01
    )
    for name in ("picmus_75", "carotid"):
        with Image.open(tmp_path / "out" / f"{name}.png") as figure:
            assert min(figure.size) > 400


def test_points_are_told_one_by_one(done) -> None:
    _, test = done
    by_method = {point.method: point for point in test.points}

    assert {p.method for p in test.points} == {s.method for s in test.scores}
    for score in test.scores:
        (point,) = [p for p in test.points if p.method == score.method]
        assert point.fwhm_axial_mm == pytest.approx(score.fwhm_axial_mm)
        assert point.peak_db == pytest.approx(score.peak_db)
        assert (point.depth_mm, point.lateral_mm) == pytest.approx((20.0, 0.0))
        seen = by_method["input"]
        ratio = point.fwhm_axial_mm / seen.fwhm_axial_mm
        ratios = ratio, point.fwhm_lateral_mm / seen.fwhm_lateral_mm
        near = all(2 / 3 <= r <= 3 / 2 for r in ratios) and abs(point.peak_db) <= 6
        assert point.kept == near
    assert by_method["input"].kept


def test_cancel_ends_the_run(challenge: Path) -> None:
    token = CancelToken()
    run = picmus_events(challenge, methods=["tv"], plane_waves=[75], token=token)

    next(event for event in run if isinstance(event, Progress))
    token.cancel()

    with pytest.raises(Cancelled):
        list(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": ["magic"]}, "no method 'magic'"),
        ({"methods": []}, "at least one method"),
        ({"reference": "flow"}, "'flow' does not take part; choose one of tv"),
        ({"plane_waves": [7]}, "none of 7"),
        ({"blocks": [1, 99]}, r"TotalVariationParams\.block is 99"),
    ],
)
def test_what_cannot_be_tested_is_refused(
    change: dict, said: str, challenge: Path
) -> None:
    wanted = {"methods": ["tv"], "plane_waves": [75], **change}
    with pytest.raises(ValueError, match=said):
        next(picmus_events(challenge, **wanted))
