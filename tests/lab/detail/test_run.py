"""The test of details: measures on pictures whose answer is known, and the table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_usflow.cli import main
from napari_usflow.jobs import result_of
from napari_usflow.lab.detail import run as detail
from napari_usflow.lab.detail.measures import (
    above_surroundings,
    lattice,
    ridge,
    shifted_change,
)
from napari_usflow.lab.detail.run import detail_events
from napari_usflow.lab.detail.scenes import scenes, speckled


def test_a_smooth_image_has_a_lattice_of_one():
    parabola = np.add.outer(np.arange(20.0) ** 2, 3 * np.arange(30.0) ** 2)
    assert lattice(parabola) == pytest.approx((1, 1))


def test_independent_pixels_have_a_lattice_of_four():
    noise = np.random.default_rng(0).standard_normal((300, 300))
    assert lattice(noise) == pytest.approx((4, 4), rel=0.02)


def test_a_step_has_a_lattice_of_two_root_two():
    step = np.zeros((40, 40))
    step[20:] = 10
    axial, lateral = lattice(step)
    assert axial == pytest.approx(2 * np.sqrt(2), rel=0.03)
    assert np.isnan(lateral)


def test_interleaved_results_that_differ_have_a_lattice_in_that_axis():
    smooth = np.add.outer(np.arange(40.0) ** 2, np.arange(40.0) ** 2) / 50
    smooth[:, ::2] += 1
    axial, lateral = lattice(smooth)
    assert axial == pytest.approx(1)
    assert lateral > 10


@pytest.mark.parametrize("step", [-7.0, 12.0])
def test_a_layer_is_measured_against_both_sides(step):
    frame = np.tile(np.linspace(-30, -20, 60)[:, None], (1, 50))
    frame[30:32] += step
    assert above_surroundings(frame, slice(30, 32)) == pytest.approx(step)


def test_a_wall_has_its_width_and_its_grain():
    z, x = np.mgrid[:120, :100]
    distance = z - 59.5 - 0.3 * (x - 49.5)
    smooth = -6 * (distance / 3) ** 2
    along, across = ridge(smooth, 0.3, 59.5)
    assert across == pytest.approx(6, abs=0.15)
    assert along < 0.1
    grainy = smooth + 2 * np.random.default_rng(1).standard_normal(100)
    assert 1.5 < ridge(grainy, 0.3, 59.5)[0] < 2.2


def test_a_result_that_moves_with_its_image_does_not_change():
    image = np.random.default_rng(2).standard_normal((64, 64))
    moved = np.roll(image, (1, 2), (0, 1))
    assert shifted_change(image, moved, (1, 2)) == 0
    assert shifted_change(image, moved, (1, 1)) > 1


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.25, 0.25), (-0.75, 1.5)])
def test_a_smooth_result_that_moves_by_a_fraction_does_not_change(shift):
    z, x = np.mgrid[:96, :96].astype(float)

    def picture(down: float, right: float) -> np.ndarray:
        down, right = 2 * np.pi * (z - down) / 8, 2 * np.pi * (x - right) / 12
        return 5 * np.sin(down) * np.cos(right)

    assert shifted_change(picture(0, 0), picture(*shift), shift) < 0.005


@pytest.mark.parametrize("step", [0.25, 0.5])
def test_a_pattern_that_stays_where_the_image_moves_is_a_change(step):
    # a sin(k x) against a sin(k (x + step)): rms of 2 a sin(k step / 2) cos(...)
    k = 2 * np.pi / 8
    stuck = np.tile(3 * np.sin(k * np.arange(96)), (96, 1))
    expected = np.sqrt(2) * 3 * np.sin(k * step / 2)
    assert shifted_change(stuck, stuck, (0.0, step)) == pytest.approx(expected, 0.01)
    assert shifted_change(stuck, stuck, (step, 0.0)) == pytest.approx(0, abs=1e-6)


def test_frames_of_a_panned_clip_show_the_same_scene():
    (scene,) = (s for s in scenes() if s.name == "panned by a fraction")
    first, *others = scene.images
    for moved in others:
        assert moved.shape == first.shape
        # Speckle at the same places: most of its 5.57 dB are common to both frames.
        assert 0 < np.std(moved - first) < 4
    measures = list(scene.measure([np.full((64, 64), -20.0)] * 4))
    assert [m[0] for m in measures] == [
        "change, axial 1/2 px",
        "change, lateral 1/2 px",
        "change, both 1/4 px",
    ]
    assert all(value < 1e-9 for *_, value in measures)


def test_speckle_of_a_scene_has_the_spread_and_the_level_of_speckle():
    frame = speckled(np.full((256, 256), -20.0), 0, grain=(0.5, 0.7))
    assert frame.std() == pytest.approx(5.57, abs=0.1)
    assert frame.mean() == pytest.approx(-20 - 2.51, abs=0.1)


def test_scenes_show_their_details_less_than_they_are():
    seen = {
        scene.name: {row[0]: row[2:] for row in scene.measure(scene.images)}
        for scene in scenes()
    }
    truth, shown = seen["dark layer, 1 px"]["step"]
    assert (truth, shown) == (-10, pytest.approx(-6.9, abs=0.5))
    assert seen["stripes, 2 px"]["step"][1] == pytest.approx(5.2, abs=0.3)
    assert seen["points"]["peak, 30 dB"][1] == pytest.approx(5, abs=1)
    assert seen["points"]["axial width, 30 dB"][1] == pytest.approx(2.35, abs=0.2)
    assert seen["moved by a pixel"]["change, both"][1] == 0


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [s for s in scenes() if s.name in ("wall", "dark layer, 3 px")]
    monkeypatch.setattr(detail, "scenes", lambda: chosen)


def test_a_line_has_the_truth_the_input_and_the_result(few):
    test = result_of(detail_events(names=["tv"]))
    assert [(s.scene, s.measure) for s in test.scores] == [
        ("dark layer, 3 px", "step"),
        ("wall", "spread along"),
        ("wall", "width across"),
    ]
    along = test.scores[1]
    assert along.result < 0.7 * along.input
    assert test.frames["wall"]["tv"].shape == test.frames["wall"]["input"].shape


def test_the_command_measures_the_lattice_of_files(few, tmp_path: Path, capsys):
    picture = tmp_path / "noise.png"
    grey = np.random.default_rng(0).integers(20, 230, (64, 64), dtype=np.uint8)
    Image.fromarray(grey).save(picture)
    out = tmp_path / "out"
    command = ["evaluate", "detail", "--out", str(out), "--methods", "tv"]
    assert main([*command, "--files", str(picture)]) == 0
    with open(out / "detail.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    of_file = [row for row in rows if row["scene"] == "noise.png"]
    assert [row["measure"] for row in of_file] == ["lattice, axial", "lattice, lateral"]
    assert float(of_file[0]["input"]) == pytest.approx(4, abs=0.2)
    assert "noise.png" in capsys.readouterr().out
