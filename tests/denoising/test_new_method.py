"""A new denoiser is one module and one line, as CONTRIBUTING.md has it."""

from __future__ import annotations

import numpy as np
import pytest

import napari_usflow as usf
from guide_blocks import followed
from napari_usflow.cli import main
from napari_usflow.denoising.algorithms import METHODS
from napari_usflow.denoising.contract import registered
from napari_usflow.evaluate.criteria import ReferencePsnr
from napari_usflow.evaluate.tune import Cell, tune_events
from napari_usflow.jobs import FrameDone, result_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage


@pytest.fixture(autouse=True)
def median_method(tmp_path, monkeypatch) -> None:
    section = "Adding a denoiser"
    with followed(section, tmp_path / "room", monkeypatch) as (name, line):
        assert line == '"median": f"{__name__}.median",'
        monkeypatch.setitem(METHODS, "median", name)
        yield
        registered.pop("median", None)


def step() -> np.ndarray:
    frame = np.full((24, 20), -40.0, np.float32)
    frame[:, 10:] = -20
    return frame


def test_the_new_method_is_listed_and_explains_its_parameters() -> None:
    assert usf.methods()[-1] == "median"
    assert "Side of the window" in usf.method_class("median").__doc__


def test_the_new_method_denoises_with_its_parameters() -> None:
    noisy = step()
    noisy[5, 5] = 0  # one bright pixel

    events = []
    clean = usf.denoise(
        noisy, method="median", sigma=0.1, size=3, on_event=events.append
    )

    np.testing.assert_allclose(clean, step(), atol=1e-4)
    assert isinstance(events[-1], FrameDone)
    with pytest.raises(ValueError, match="size"):
        usf.denoise(noisy, method="median", size=99)


def test_the_new_method_is_tuned_over_its_grid() -> None:
    grid = PixelGrid((24, 20), (0.2, 0.2), (0.0, 0.0))
    noisy = step() + np.random.default_rng(0).normal(0, 5, (24, 20))
    image = UltrasoundImage(noisy[None].astype(np.float32), "db", grid)
    cells = []

    tuning = result_of(
        tune_events(image, "median", ReferencePsnr(step() / 60 + 1)), cells.append
    )

    tried = [cell.setting["size"] for cell in cells if isinstance(cell, Cell)]
    assert tried == [3, 5, 7, 9]
    assert tuning.complete
    assert tuning.best.setting["size"] in (5, 7, 9)


def test_the_command_line_has_the_new_method(tmp_path, capsys) -> None:
    np.save(tmp_path / "in.npy", step())
    paths = [str(tmp_path / "in.npy"), str(tmp_path / "out.npy")]

    code = main(["denoise", *paths, "--method", "median", "--size", "3"])

    assert code == 0, capsys.readouterr().err
    np.testing.assert_allclose(np.load(paths[1]).squeeze(), step(), atol=1e-4)


@pytest.mark.gui
def test_the_window_offers_the_new_method_and_its_tune_button(make_napari_viewer):
    from napari_usflow._napari.denoise.baselines_widget import BaselinesWidget

    viewer = make_napari_viewer()
    viewer.add_image(step())
    widget = BaselinesWidget(viewer)
    form = widget.form

    form.method_combo.setCurrentIndex(form.method_combo.findData("median"))

    assert form.method_combo.currentText() == "Median"
    assert form.method_form.values() == {"size": 5}
    assert widget.tune_button.isEnabled()
