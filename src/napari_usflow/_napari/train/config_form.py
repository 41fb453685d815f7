"""The form of a training run's configuration, derived from its dataclasses."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_usflow._napari.shared.form_parts import form_layout, shrinkable
from napari_usflow._napari.shared.parameter_form import ParameterForm

if TYPE_CHECKING:
    from napari_usflow.training.run_config import RunConfig

__all__ = ["ConfigForm"]

_FIRST = ("likelihood_steps", "denoising_steps", "steps", "batch_size")
_TRAINED = {
    "flow": "A prior, for the flow methods of Denoise",
    "network": "A network, for the network methods of Denoise",
}


class ConfigForm(QWidget):
    """A named configuration and all of its fields, most of them folded away.

    Its name decides what is trained, a prior or a network. A field that is a dataclass
    itself (the flow or network, the patches) becomes a section.
    """

    changed = Signal()

    def __init__(self) -> None:
        from napari_usflow.training.flow.configs import CONFIGS, TrainConfig
        from napari_usflow.training.network.configs import (
            NETWORK_CONFIGS,
            NetworkConfig,
        )

        super().__init__()
        self._named: dict[str, RunConfig] = {**CONFIGS, **NETWORK_CONFIGS}
        self._base = self._named["cpu"]
        self.name_combo = shrinkable(QComboBox())
        names = [
            *sorted(CONFIGS, key=lambda name: (name != "cpu", name)),
            *sorted(NETWORK_CONFIGS, key=lambda name: (name != "realtime", name)),
        ]
        for name in names:
            self.name_combo.addItem(name, name)
        self.name_combo.setToolTip(
            "What is trained, and what to start from.\n"
            "Priors: cpu for a night on a processor, best for a graphics card, paper "
            "for the\nrecipe of van de Schaft and van Sloun, paper-small for that in "
            "two hours on a\nprocessor.\n"
            "Networks: realtime for speckle and realtime-white for white noise, two "
            "hours\non a processor, best-network for a graphics card."
        )
        self.trained_note = QLabel()
        self.trained_note.setWordWrap(True)
        self.first_form, self.rest_form = ParameterForm(), ParameterForm()
        self.sections = {
            field.name: ParameterForm(type(getattr(default, field.name)))
            for default in (TrainConfig(), NetworkConfig())
            for field in dataclasses.fields(default)
            if dataclasses.is_dataclass(getattr(default, field.name))
        }
        self._headings: dict[str, QLabel] = {}
        self.advanced = QCollapsible("Advanced")
        self._lay_out()
        self._show_fields()
        for form in self._forms():
            form.changed.connect(self._on_changed)
        self.name_combo.activated.connect(self._on_name)
        self.show_config(self._named[names[0]])

    def config(self) -> RunConfig:
        """Return what is set.

        Raises
        ------
        ValueError
            When fields do not fit together; the text says which.
        """
        nested = {
            name: replace(getattr(self._base, name), **form.values())
            for name, form in self._shown_sections().items()
        }
        own = {**self.first_form.values(), **self.rest_form.values()}
        return replace(self._base, **own, **nested)

    def kind(self) -> str:
        """Return what is trained: ``flow`` or ``network``."""
        return self._base.kind

    def show_config(self, config: RunConfig) -> None:
        """Fill the form; with other fields where another kind is trained."""
        for form in self._forms():
            form.blockSignals(True)
        is_other_kind = config.kind != self.kind()
        self._base = config
        if is_other_kind:
            self._show_fields()
        for form in (self.first_form, self.rest_form):
            form.set_values(config)
        for name, form in self._shown_sections().items():
            form.set_values(getattr(config, name))
        for form in self._forms():
            form.blockSignals(False)
        if self._named[self.name_combo.currentData()].kind != config.kind:
            self._name_kind(config.kind)
        self._on_changed()

    def _show_fields(self) -> None:
        kind = type(self._base)
        names = [field.name for field in dataclasses.fields(kind)]
        self.first_form.show_fields_of(
            kind, without=[name for name in names if name not in _FIRST]
        )
        self.rest_form.show_fields_of(kind, without=_FIRST)
        for name, form in self.sections.items():
            form.setVisible(name in names)
            self._headings[name].setVisible(name in names)
        self.trained_note.setText(_TRAINED[kind.kind])

    def _name_kind(self, kind: str) -> None:
        """Choose the first configuration that trains this."""
        names = map(self.name_combo.itemData, range(self.name_combo.count()))
        first = [self._named[name].kind for name in names].index(kind)
        self.name_combo.setCurrentIndex(first)

    def _shown_sections(self) -> dict[str, ParameterForm]:
        return {n: form for n, form in self.sections.items() if hasattr(self._base, n)}

    def _forms(self) -> list[ParameterForm]:
        return [self.first_form, self.rest_form, *self.sections.values()]

    def _on_name(self) -> None:
        self.show_config(self._named[self.name_combo.currentData()])

    def _on_changed(self) -> None:
        """Show the name of the configuration while its values are unchanged."""
        try:
            now = self.config()
        except ValueError:
            now = None
        for name, named in self._named.items():
            if named == now:
                self.name_combo.setCurrentIndex(self.name_combo.findData(name))
        for i in range(self.name_combo.count()):
            name = self.name_combo.itemData(i)
            is_other = i == self.name_combo.currentIndex() and self._named[name] != now
            self.name_combo.setItemText(i, f"{name} (changed)" if is_other else name)
        self.changed.emit()

    def _lay_out(self) -> None:
        for name, form in (("training", self.rest_form), *self.sections.items()):
            self._headings[name] = heading = QLabel(name.capitalize())
            font = heading.font()
            font.setBold(True)
            heading.setFont(font)
            self.advanced.addWidget(heading)
            self.advanced.addWidget(form)
        rows = form_layout()
        rows.addRow("Configuration", self.name_combo)
        rows.addRow("", self.trained_note)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(rows)
        layout.addWidget(self.first_form)
        layout.addWidget(self.advanced)
