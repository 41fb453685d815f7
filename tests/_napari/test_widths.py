"""Every window on a laptop screen: no field is cut off, and the canvas stays large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"
SCREEN = (1366, 768)
WIDEST = 425
"""With napari's own dock of 325 pixels, 600 are left to the canvas."""

WIDGETS = (
    "Denoise",
    "Baselines",
    "Batch",
    "Acquisition",
    "Simulate speckle",
    "Compare",
    "Measure",
    "Annotate",
    "Project and report",
    "Train prior",
)


@pytest.mark.parametrize("name", WIDGETS)
def test_no_field_is_cut_off_on_a_laptop_screen(
    qtbot, make_napari_viewer, npe2pm, name
):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        dock, widget = viewer.window.add_plugin_dock_widget("napari-usflow", name)
        # A grey layer without lengths asks for the most fields.
        picture = np.random.default_rng(0).integers(0, 255, (3, 40, 50), np.uint8)
        viewer.add_image(picture, name="a long name of a clinical picture, frame 12")
        qtbot.wait(150)
        unfold(widget)
        ask_for_everything(widget)
        qtbot.wait(150)
        make_narrow(viewer, dock)
        qtbot.wait(150)
        assert viewer.window.geometry()[2:] == SCREEN
        assert cut_off(widget) == []
        assert widget.minimumSizeHint().width() <= WIDEST
        viewer.window.remove_dock_widget(dock)


def unfold(widget) -> None:
    from superqt import QCollapsible

    for part in widget.findChildren(QCollapsible):
        part.expand(animate=False)


def ask_for_everything(widget) -> None:
    """Show the fields that only some inputs and methods need."""
    form = getattr(widget, "form", None)
    for name in ("automatic_noise", "estimated"):
        if hasattr(form, name):
            getattr(form, name).setChecked(False)
    if hasattr(form, "method_combo"):
        form.uncertainty.setChecked(True)


def make_narrow(viewer, dock) -> None:
    from qtpy.QtCore import Qt

    window = dock.window()
    window.resizeDocks([dock], [100], Qt.Orientation.Horizontal)


def cut_off(widget) -> list[str]:
    """Name the controls that reach beyond what is around them, or are too narrow."""
    from qtpy.QtWidgets import (
        QAbstractSpinBox,
        QCheckBox,
        QComboBox,
        QLabel,
        QLineEdit,
        QPushButton,
        QSlider,
        QWidget,
    )

    controls = (
        QAbstractSpinBox,
        QCheckBox,
        QComboBox,
        QLabel,
        QLineEdit,
        QPushButton,
        QSlider,
    )
    wrong = []
    for control in widget.findChildren(QWidget):
        if not isinstance(control, controls) or not control.isVisibleTo(widget):
            continue
        around = control.parentWidget()
        if isinstance(around, QAbstractSpinBox | QComboBox):
            continue
        name = f"{type(control).__name__} {control.toolTip()[:30]!r}"
        wraps = isinstance(control, QLabel) and control.wordWrap()
        if not wraps and control.width() < control.minimumSizeHint().width():
            wrong.append(f"{name} is {control.width()} px wide")
        while around is not None and around is not widget:
            left = control.mapTo(around, control.rect().topLeft()).x()
            if left < 0 or left + control.width() > around.width():
                wrong.append(f"{name} reaches beyond {type(around).__name__}")
                break
            around = around.parentWidget()
    return wrong


@pytest.mark.parametrize("name", ("Denoise", "Baselines"))
def test_no_method_makes_the_dock_wide(qtbot, make_napari_viewer, npe2pm, name):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        dock, widget = viewer.window.add_plugin_dock_widget("napari-usflow", name)
        viewer.add_image(np.zeros((3, 40, 50), np.uint8))
        unfold(widget)
        combo, wide = widget.form.method_combo, {}
        for number in range(combo.count()):
            combo.setCurrentIndex(number)
            qtbot.wait(50)
            wide[combo.itemData(number)] = widget.minimumSizeHint().width()
        assert {method: w for method, w in wide.items() if w > WIDEST} == {}
        viewer.window.remove_dock_widget(dock)
