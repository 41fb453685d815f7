"""The form of a training run's configuration."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest

from napari_usflow._napari.widgets.config_form import ConfigForm
from napari_usflow.prior.configs import CONFIGS, TrainConfig

pytestmark = pytest.mark.gui


@pytest.fixture
def form(qtbot) -> ConfigForm:
    form = ConfigForm()
    qtbot.addWidget(form)
    return form


def choose(form: ConfigForm, name: str) -> None:
    index = form.name_combo.findData(name)
    form.name_combo.setCurrentIndex(index)
    form.name_combo.activated.emit(index)


def test_form_starts_with_the_configuration_for_a_processor(form):
    assert form.name_combo.currentText() == "cpu"
    assert form.config() == CONFIGS["cpu"]


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_named_configuration_passes_through_the_form_unchanged(form, name):
    choose(form, name)
    assert form.config() == CONFIGS[name]
    assert form.name_combo.currentText() == name


def test_every_described_field_has_an_editor(form):
    top = {*form.first_form.names(), *form.rest_form.names()}
    described = {f.name for f in fields(TrainConfig) if "help" in f.metadata}
    assert top == described
    default = TrainConfig()
    for field in fields(TrainConfig):
        nested = getattr(default, field.name)
        if is_dataclass(nested):
            names = {f.name for f in fields(nested) if "help" in f.metadata}
            assert set(form.sections[field.name].names()) == names


def test_changed_field_is_in_the_configuration_and_said_by_the_name(form):
    form.first_form.editor("batch_size").setValue(64)
    assert form.config() == replace(CONFIGS["cpu"], batch_size=64)
    assert form.name_combo.currentText() == "cpu (changed)"
    form.first_form.editor("batch_size").setValue(CONFIGS["cpu"].batch_size)
    assert form.name_combo.currentText() == "cpu"


def test_levels_of_the_flow_can_be_changed(form):
    flow = form.sections["flow"]
    flow.editor("steps").setText("4, 6,8")
    assert form.config().flow.steps == (4, 6, 8)


def test_levels_that_do_not_fit_together_are_named(form):
    form.sections["flow"].editor("steps").setText("4")
    with pytest.raises(ValueError, match="need one entry a level"):
        form.config()
    assert form.name_combo.currentText() == "cpu (changed)"


def test_configuration_of_a_run_is_recognised_by_its_name(form):
    form.show_config(CONFIGS["paper"])
    assert form.name_combo.currentText() == "paper"
    form.show_config(replace(CONFIGS["paper"], seed=3))
    assert form.name_combo.currentText() == "paper (changed)"
    assert form.config().seed == 3
