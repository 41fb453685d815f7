"""The curves of a training run."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow._napari.train.plots import TrainPlots
from napari_usflow._napari.train.run_history import RunHistory
from napari_usflow.training.events import TrainStep, Validated

pytestmark = pytest.mark.gui


@pytest.fixture
def plots(qtbot) -> TrainPlots:
    plots = TrainPlots()
    qtbot.addWidget(plots)
    return plots


def history() -> RunHistory:
    psnr = {0.1: 30.0, 0.4: 24.0}
    return RunHistory(
        [1, 2, 3], [3.0, 2.0, 1.0], [Validated(2, 5.0, psnr), Validated(3, 4.0, psnr)]
    )


def test_history_is_drawn_and_steps_go_on_from_it(plots):
    plots.show_history(history())
    np.testing.assert_array_equal(plots._raw.getData(), [[1, 2, 3], [3, 2, 1]])
    np.testing.assert_array_equal(plots._bits.getData(), [[2, 3], [5, 4]])
    plots.add_steps([TrainStep(4, 10, 0.1, 0.5, 1e-3, 1.0, 1.0)])
    plots.redraw()
    np.testing.assert_array_equal(plots._raw.getData(), [[1, 2, 3, 4], [3, 2, 1, 0.5]])


def test_history_up_to_a_checkpoint_leaves_out_what_came_after(plots):
    plots.show_history(history(), until=2)
    np.testing.assert_array_equal(plots._raw.getData()[0], [1, 2])
    assert [v.step for v in plots.validations] == [2]


def test_each_noise_level_has_its_line_and_its_entry_in_the_legend(plots):
    plots.show_history(history())
    np.testing.assert_array_equal(plots._levels[0.4].getData(), [[2, 3], [24, 24]])
    labels = [label.text for _, label in plots._legend.items]
    assert labels == ["σ 0.1", "σ 0.4"]
    plots.clear()
    assert plots._levels == {}
    assert plots._legend.items == []


def test_flow_without_noise_levels_has_no_psnr_plot(plots):
    plots.add_validation(Validated(10, 4.0, {}))
    assert plots.psnr_plot.isHidden()
    plots.show_history(history())
    assert not plots.psnr_plot.isHidden()


def test_range_follows_until_the_user_zooms(plots):
    def shown() -> list[float]:
        return plots.loss_plot.getViewBox().viewRange()[1]

    plots.show_history(history())
    low, high = shown()
    assert low < 1.0
    assert high > 3.0
    view = plots.loss_plot.getViewBox()
    view.setYRange(10, 20, padding=0)
    view.sigRangeChangedManually.emit([True, True])
    plots.add_validation(Validated(4, 4.0, {}))
    assert shown() == [10, 20]
    plots.loss_plot.getPlotItem().autoBtn.clicked.emit(None)
    plots.redraw()
    assert shown() == [low, high]


def test_network_has_its_quality_on_speckle_in_place_of_bits(plots):
    def titles() -> list[str]:
        shown = (plots.bits_plot, plots.psnr_plot)
        return [plot.getPlotItem().titleLabel.text for plot in shown]

    plots.set_colors("#202020", "#f0f0f0")
    plots.of_network = True
    plots.clear()
    assert titles()[0] == "Held-out PSNR on speckle (dB)"
    plots.add_validation(Validated(10, None, {0.1: 30.0}, 22.0))
    plots.add_validation(Validated(20, None, {0.1: 31.0}, 23.5))
    np.testing.assert_array_equal(plots._bits.getData(), [[10, 20], [22, 23.5]])
    assert titles() == [
        "Held-out PSNR on speckle (dB)",
        "Held-out PSNR on white noise (dB)",
    ]
    plots.of_network = False
    plots.show_history(history())
    assert titles() == [
        "Held-out bits/dim",
        "Held-out PSNR of the posterior mean (dB)",
    ]


def test_steps_are_counted_in_steps(plots):
    for item in (plots._raw, plots._bits):
        axis = item.getViewBox().parentItem().getAxis("bottom")
        assert not axis.autoSIPrefix
