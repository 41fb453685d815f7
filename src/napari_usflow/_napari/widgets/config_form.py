"""The form of a training run's configuration, derived from its dataclasses."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_usflow._napari.widgets.parameter_form import ParameterForm

if TYPE_CHECKING:
    from napari_usflow.prior.configs import TrainConfig

__all__ = ["ConfigForm"]

_FIRST = ("likelihood_steps", "denoising_steps", "batch_size")


class ConfigForm(QWidget):
    """A named configuration and all of its fields, most of them folded away.

    A field that is a dataclass itself (the flow, its patches) becomes a section.
    """

    changed = Signal()

    def __init__(self) -> None:
        from napari_usflow.prior.configs import CONFIGS, TrainConfig

        super().__init__()
        self._named = dict(CONFIGS)
        self._shown = self._base = TrainConfig()
        self.name_combo = QComboBox()
        names = sorted(self._named, key=lambda name: (name != "cpu", name))
        for name in names:
            self.name_combo.addItem(name, name)
        self.name_combo.setToolTip(
            "What to start from: cpu for two hours on a processor, best for a graphics "
            "card, paper for the recipe of van de Schaft and van Sloun"
        )
        fields = dataclasses.fields(TrainConfig)
        self.first_form = ParameterForm()
        self.first_form.show_fields_of(
            TrainConfig, without=[f.name for f in fields if f.name not in _FIRST]
        )
        self.rest_form = ParameterForm()
        self.rest_form.show_fields_of(TrainConfig, without=_FIRST)
        self.sections = {
            field.name: ParameterForm(type(getattr(self._base, field.name)))
            for field in fields
            if dataclasses.is_dataclass(getattr(self._base, field.name))
        }
        self.advanced = QCollapsible("Advanced")
        self._lay_out()
        for form in self._forms():
            form.changed.connect(self._on_changed)
        self.name_combo.activated.connect(self._on_name)
        self.show_config(self._named[names[0]])

    def config(self) -> TrainConfig:
        """Give what is set.

        Raises
        ------
        ValueError
            When fields do not fit together; the text says which.
        """
        nested = {
            name: replace(getattr(self._base, name), **form.values())
            for name, form in self.sections.items()
        }
        own = {**self.first_form.values(), **self.rest_form.values()}
        return replace(self._base, **own, **nested)

    def show_config(self, config: TrainConfig) -> None:
        """Fill the form."""
        self._base = config
        for form in self._forms():
            form.blockSignals(True)
        for form in (self.first_form, self.rest_form):
            form.set_values(config)
        for name, form in self.sections.items():
            form.set_values(getattr(config, name))
        for form in self._forms():
            form.blockSignals(False)
        self._on_changed()

    def _forms(self) -> list[ParameterForm]:
        return [self.first_form, self.rest_form, *self.sections.values()]

    def _on_name(self) -> None:
        self.show_config(self._named[self.name_combo.currentData()])

    def _on_changed(self) -> None:
        """Say by its name whether the configuration is still the named one."""
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
        for title, form in (
            ("Training", self.rest_form),
            *((name.capitalize(), form) for name, form in self.sections.items()),
        ):
            heading = QLabel(title)
            font = heading.font()
            font.setBold(True)
            heading.setFont(font)
            self.advanced.addWidget(heading)
            self.advanced.addWidget(form)
        rows = QFormLayout()
        rows.addRow("Configuration", self.name_combo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(rows)
        layout.addWidget(self.first_form)
        layout.addWidget(self.advanced)
