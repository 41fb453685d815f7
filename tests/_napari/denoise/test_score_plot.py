"""The picture of a grid search."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest

from napari_usflow._napari.denoise.score_plot import ScorePlot
from napari_usflow.evaluate.tune import Cell, Tuning

pytestmark = pytest.mark.gui

GRID = {"patch": (3, 5), "distance": (6, 9, 11), "h": (0.5, 0.8, 1.2)}
SCORES = np.arange(18.0).reshape(2, 3, 3)


def tuning(count: int = 18) -> Tuning:
    cells = []
    for number, index in enumerate(np.ndindex(2, 3, 3)):
        setting = {n: GRID[n][i] for n, i in zip(GRID, index, strict=True)}
        cells.append(Cell(number, setting, float(SCORES[index]), 0.1))
    return Tuning("nlm", GRID, tuple(cells[:count]))


@pytest.fixture
def plot(qtbot) -> ScorePlot:
    plot = ScorePlot()
    qtbot.addWidget(plot)
    return plot


def shown_map(plot: ScorePlot) -> np.ndarray:
    (image,) = [i for i in plot.plot.items() if isinstance(i, pg.ImageItem)]
    return np.asarray(image.image)


def numbers(plot: ScorePlot) -> list[str]:
    texts = [i for i in plot.plot.items() if isinstance(i, pg.TextItem)]
    return sorted(text.toPlainText() for text in texts)


def test_map_shows_strength_across_and_the_longest_other_up(plot):
    plot.show_tuning(tuning(), "PSNR (dB)")

    np.testing.assert_array_equal(shown_map(plot), SCORES.max(axis=0).T)
    assert plot.parameter_combo.currentData() == "distance"
    assert plot.plot.getPlotItem().titleLabel.text == "PSNR (dB)"
    assert plot.plot.getPlotItem().getAxis("bottom").labelText == "h"
    assert plot.plot.getPlotItem().getAxis("left").labelText == "distance"
    assert numbers(plot) == sorted(f"{s:.1f}" for s in SCORES.max(axis=0).flat)


def test_another_parameter_can_be_looked_at(plot):
    plot.show_tuning(tuning(), "PSNR (dB)")
    plot.parameter_combo.setCurrentIndex(plot.parameter_combo.findData("patch"))

    np.testing.assert_array_equal(shown_map(plot), SCORES.max(axis=1).T)

    plot.show_tuning(tuning(17), "PSNR (dB)")
    assert plot.parameter_combo.currentData() == "patch"


def test_what_has_not_been_tried_is_empty(plot):
    plot.show_tuning(tuning(4), "PSNR (dB)")

    assert np.isfinite(shown_map(plot)).sum() == 4
    assert numbers(plot) == ["0.0", "1.0", "2.0", "3.0"]


def test_one_parameter_gives_a_curve_with_the_best_marked(plot):
    cells = [Cell(i, {"w": w}, s, 0.1) for i, (w, s) in enumerate([(1, 5.0), (2, 7.0)])]
    plot.show_tuning(Tuning("tv", {"w": (1, 2, 3)}, tuple(cells)), "PSNR (dB)")

    curve, best = plot.plot.getPlotItem().listDataItems()
    np.testing.assert_array_equal(curve.getData(), [[0, 1], [5, 7]])
    np.testing.assert_array_equal(best.getData(), [[1], [7]])
    assert plot.parameter_combo.isHidden() or not plot.parameter_combo.isVisible()


def test_nothing_tried_and_nothing_scored_draw_nothing(plot):
    unscored = Tuning("tv", {"w": (1, 2)}, (Cell(0, {"w": 1}, float("nan"), 0.1),))
    for empty in (tuning(0), unscored):
        plot.show_tuning(empty, "PSNR (dB)")
        assert numbers(plot) == []
    plot.clear()
    plot.set_colors("#000000", "#ffffff")
