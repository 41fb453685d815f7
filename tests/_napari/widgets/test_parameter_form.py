"""The form that is derived from a parameter dataclass."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QSpinBox

from napari_usflow._napari.widgets.parameter_form import (
    ParameterForm,
    field_editor,
    field_tooltip,
)
from napari_usflow.denoise.pipeline import Settings
from napari_usflow.parameters import check_parameters, parameter

pytestmark = pytest.mark.gui


@dataclass(frozen=True)
class Params:
    steps: int = parameter(60, help="Iterations", minimum=1, maximum=500)
    rate: float = parameter(1e-5, help="Learning rate", minimum=1e-6, maximum=1.0)
    reach: float = parameter(2.0, help="Search radius", unit="mm", minimum=0)
    domain: str = parameter("db", help="Where to average", choices=("db", "envelope"))
    warm: bool = parameter(True, help="Start from the input")
    level: float | None = parameter(None, help="Has no value to start from")
    hidden: int = 3


@pytest.fixture
def form(qtbot) -> ParameterForm:
    form = ParameterForm(Params)
    qtbot.addWidget(form)
    return form


def test_untouched_form_gives_the_defaults(form):
    values = form.values()
    assert values == {
        "steps": 60,
        "rate": 1e-5,
        "reach": 2.0,
        "domain": "db",
        "warm": True,
    }
    check_parameters(Params(**values))


def test_each_kind_of_field_has_its_editor(form):
    kinds = [type(form.editor(name)) for name in form.names()]
    assert kinds == [QSpinBox, QDoubleSpinBox, QDoubleSpinBox, QComboBox, QCheckBox]


def test_limits_cannot_be_passed(form):
    form.editor("steps").setValue(10_000)
    form.editor("reach").setValue(-5)
    assert form.values()["steps"] == 500
    assert form.values()["reach"] == 0


def test_tooltip_has_help_unit_default_and_limits(form):
    tip = form.editor("reach").toolTip()
    assert tip.startswith("Search radius")
    assert "2.0 mm" in tip
    assert "from 0 to" in tip
    assert form.editor("reach").suffix() == " mm"


def test_form_can_change_to_another_dataclass(form):
    form.show_fields_of(Settings, without=("sigma_db", "value_range"))
    assert "steps" not in form.names()
    assert {"seed", "sampling", "bias_correction"} <= set(form.names())
    Settings(**form.values())


def test_single_editor_starts_where_it_is_told(qtbot):
    editor = field_editor(Settings, "sigma_db", default=5.57)
    qtbot.addWidget(editor)
    assert editor.value() == pytest.approx(5.57)
    assert editor.suffix() == " dB"
    assert "deviation" in field_tooltip(Settings, "sigma_db")


def test_single_editor_needs_something_to_start_from():
    with pytest.raises(TypeError, match=r"Settings\.sigma_db has no value"):
        field_editor(Settings, "sigma_db")
