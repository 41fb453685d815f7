"""The form that is derived from a parameter dataclass."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QSpinBox

from napari_usflow._napari.shared.parameter_form import (
    IntsEdit,
    OptionalBox,
    ParameterForm,
    field_editor,
    field_tooltip,
)
from napari_usflow.denoising.settings import Settings
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
    width: float | None = parameter(
        None, help="Of a point", unit="mm", minimum=0.05, maximum=3, left_out="measured"
    )
    block: int | None = parameter(
        None, help="Side", unit="px", minimum=1, maximum=16, left_out="by the grain"
    )
    levels: tuple[int, ...] = parameter((8, 10), help="Steps of each level")
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
        "width": None,
        "block": None,
        "levels": (8, 10),
    }
    check_parameters(Params(**values))


def test_each_kind_of_field_has_its_editor(form):
    kinds = [type(form.editor(name)) for name in form.names()]
    assert kinds == [
        QSpinBox,
        QDoubleSpinBox,
        QDoubleSpinBox,
        QComboBox,
        QCheckBox,
        OptionalBox,
        OptionalBox,
        IntsEdit,
    ]


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


def test_long_unit_is_in_the_tooltip_only(qtbot):
    @dataclass(frozen=True)
    class Long:
        share: float = parameter(0.1, help="Share", unit="of the whole range")

    form = ParameterForm(Long)
    qtbot.addWidget(form)
    assert form.editor("share").suffix() == ""
    assert "0.1 of the whole range" in form.editor("share").toolTip()


def test_label_leaves_the_unit_to_the_editor(qtbot):
    @dataclass(frozen=True)
    class Physical:
        sound_speed_m_s: float = parameter(1540.0, help="Speed", unit="m/s")
        sigma_axial_mm: float = parameter(0.25, help="Width", unit="mm")
        cells: int = parameter(3, help="Cells")

    form = ParameterForm(Physical)
    qtbot.addWidget(form)
    labels = [form.layout().labelForField(form.editor(n)).text() for n in form.names()]
    assert labels == ["Sound speed", "Sigma axial", "Cells"]


def test_form_can_change_to_another_dataclass(form):
    form.show_fields_of(Settings, without=("sigma_db", "value_range"))
    assert "steps" not in form.names()
    assert {"seed", "strength", "bias_correction"} <= set(form.names())
    Settings(**form.values())


def test_values_of_an_instance_are_shown_and_each_change_is_told(qtbot, form):
    other = Params(
        steps=7,
        rate=2.5e-6,
        reach=0.125,
        domain="envelope",
        warm=False,
        levels=(3,),
        hidden=3,
    )
    form.set_values(other)
    assert Params(**form.values()) == other
    for name, change in (
        ("steps", lambda e: e.setValue(8)),
        ("rate", lambda e: e.setValue(0.5)),
        ("domain", lambda e: e.setCurrentText("db")),
        ("warm", lambda e: e.setChecked(True)),
        ("levels", lambda e: e.setText("4, 5")),
    ):
        with qtbot.waitSignal(form.changed):
            change(form.editor(name))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1,2 , 3", (1, 2, 3)), ("4,", (4,)), ("", ())],
)
def test_whole_numbers_are_read_from_a_line(form, text, numbers):
    form.editor("levels").setText(text)
    assert form.values()["levels"] == numbers


def test_line_of_whole_numbers_takes_no_other_keys(qtbot, form):
    editor = form.editor("levels")
    editor.clear()
    qtbot.keyClicks(editor, "1x2.-, 3")
    assert form.values()["levels"] == (12, 3)


def test_single_editor_starts_where_it_is_told(qtbot):
    editor = field_editor(Settings, "sigma_db", default=5.57)
    qtbot.addWidget(editor)
    assert editor.value() == pytest.approx(5.57)
    assert editor.suffix() == " dB"
    assert "deviation" in field_tooltip(Settings, "sigma_db")


def test_single_editor_needs_something_to_start_from():
    with pytest.raises(TypeError, match=r"Params\.level has no value"):
        field_editor(Params, "level")


def test_number_that_may_be_left_out_says_what_then_happens(form):
    box = form.editor("width")
    assert box.text() == "measured"

    box.setValue(0.05)
    assert form.values()["width"] == pytest.approx(0.05)
    assert box.text() == "0.05 mm"

    form.set_values(Params(width=0.7125))
    assert form.values()["width"] == 0.7125
    form.set_values(Params())
    assert form.values()["width"] is None


def test_whole_number_that_may_be_left_out_stays_whole(form):
    box = form.editor("block")
    assert box.text() == "by the grain"

    form.set_values(Params(block=1))

    assert box.text() == "1 px"
    assert form.values()["block"] == 1 and isinstance(form.values()["block"], int)
    box.stepDown()
    assert form.values()["block"] is None
