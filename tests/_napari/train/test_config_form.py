"""The form of a training run's configuration."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest

from napari_usflow._napari.train.config_form import ConfigForm
from napari_usflow.training.flow.configs import CONFIGS, TrainConfig
from napari_usflow.training.network.configs import NETWORK_CONFIGS, NetworkConfig

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


ALL = {**CONFIGS, **NETWORK_CONFIGS}


@pytest.mark.parametrize("name", sorted(ALL))
def test_named_configuration_passes_through_the_form_unchanged(form, name):
    choose(form, name)
    assert form.config() == ALL[name]
    assert form.name_combo.currentText() == name
    assert form.kind() == ("flow" if name in CONFIGS else "network")


@pytest.mark.parametrize("default", [TrainConfig(), NetworkConfig()])
def test_every_described_field_has_an_editor(form, default):
    form.show_config(default)
    top = {*form.first_form.names(), *form.rest_form.names()}
    described = {f.name for f in fields(default) if "help" in f.metadata}
    assert top == described
    for field in fields(default):
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
    form.show_config(replace(NETWORK_CONFIGS["realtime"], steps=777))
    assert form.name_combo.currentText() == "realtime (changed)"
    form.show_config(replace(CONFIGS["paper"], seed=3))
    assert form.name_combo.currentText() == "cpu (changed)"


def test_only_the_fields_of_what_is_trained_are_shown(form):
    def shown() -> set[str]:
        return {name for name, part in form.sections.items() if not part.isHidden()}

    assert shown() == {"flow", "patches"}
    choose(form, "realtime")
    assert shown() == {"network", "patches"}
    assert "network" in form.trained_note.text()
    form.first_form.editor("steps").setValue(7)
    form.sections["network"].editor("channels").setText("4, 8, 16")
    assert form.config().steps == 7
    assert form.config().network.channels == (4, 8, 16)
    assert form.name_combo.currentText() == "realtime (changed)"
    choose(form, "cpu")
    assert shown() == {"flow", "patches"}
    assert form.config() == CONFIGS["cpu"]
