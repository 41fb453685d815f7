"""The fields of the Train prior widget: data, run folder, configuration, device."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QVBoxLayout, QWidget

from napari_usflow._napari.settings import preferences
from napari_usflow._napari.shared.choices import (
    DeviceCombo,
    NetworkCombo,
    WeightsCombo,
)
from napari_usflow._napari.shared.form_parts import (
    FormScroll,
    column,
    combo,
    form_layout,
    pixel_size_box,
    row,
)
from napari_usflow._napari.shared.path_edit import PathEdit
from napari_usflow._napari.train.config_form import ConfigForm
from napari_usflow._napari.train.layer_list import LayerChecklist
from napari_usflow._napari.train.mri_layers import LayerVolume, volume_of_layer
from napari_usflow._napari.train.run import TrainRequest
from napari_usflow.training.flow.configs import read_config
from napari_usflow.training.network.configs import read_network_config
from napari_usflow.training.run_config import kind_of_run
from napari_usflow.training.run_folder import RunFolder

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_usflow.training.run_config import RunConfig

__all__ = ["TrainForm", "new_run_folder"]

_FILES, _LAYERS = "files", "layers"
_MRI_FILES = "MRI volumes (*.h5 *.hdf5 *.nii *.nii.gz *.dcm)"
_RANDOM = "Random weights"
_MOST_MINUTES = 60 * 24 * 30


def new_run_folder() -> Path:
    """Name a folder that does not exist yet, among the user's documents."""
    from platformdirs import user_documents_path

    home = user_documents_path() / "usflow priors"
    name = f"run-{date.today():%Y-%m-%d}"
    folder, number = home / name, 2
    while folder.exists():
        folder, number = home / f"{name}-{number}", number + 1
    return folder


class TrainForm(FormScroll):
    """The form of a training run.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its image layers are offered as data.
    """

    run_changed = Signal()
    """Another run folder is named."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.source_combo = combo(
            [("Files or a folder", _FILES), ("Layers of this viewer", _LAYERS)]
        )
        self.files = PathEdit("Choose MRI volumes", file_filter=_MRI_FILES)
        self.files.line.setPlaceholderText("MRI volumes")
        self.layers = LayerChecklist(viewer)
        self.pixel_row = pixel_size_box("down")
        self.pixel_column = pixel_size_box("across")
        self.held_out = PathEdit("Choose held-out volumes")
        self.held_out.line.setPlaceholderText("every tenth subject")
        self.run_folder = PathEdit("Choose the folder of the run")
        self.run_note = QLabel()
        self.run_note.setWordWrap(True)
        self.config_form = ConfigForm()
        self.start_combos = {
            "flow": WeightsCombo(default=_RANDOM, follow=False),
            "network": NetworkCombo(default=_RANDOM, follow=False),
        }
        self.device_combo = DeviceCombo(preferences().device)
        self.minutes = QDoubleSpinBox()
        self.minutes.setDecimals(0)
        self.minutes.setRange(0, _MOST_MINUTES)
        self.minutes.setSuffix(" min")
        self.minutes.setSpecialValueText("none")
        self._lay_out()
        self._set_tooltips()
        self.source_combo.currentIndexChanged.connect(self._show_source)
        self.layers.changed.connect(self._show_source)
        self.run_folder.changed.connect(self._on_run_folder)
        self.config_form.changed.connect(self._show_kind)
        self._show_source()
        self._show_kind()
        self.run_folder.set_paths([new_run_folder()])

    def folder(self) -> RunFolder | None:
        """Return the run folder; None while the line is empty."""
        paths = self.run_folder.paths()
        return RunFolder(paths[0]) if len(paths) == 1 else None

    def holds_run(self) -> bool:
        """Whether the run folder holds a run that can be gone on with."""
        folder = self.folder()
        return folder is not None and bool(folder.checkpoints())

    def request(self, resume: Path | None = None) -> TrainRequest:
        """Return what is set.

        Parameters
        ----------
        resume : Path, optional
            The state to go on from; the newest of the run folder when omitted, if
            there is one.

        Raises
        ------
        ValueError
            When something is missing or does not fit; the text says what.
        """
        from napari_usflow.parameters import check_parameters

        folder = self.folder()
        if folder is None:
            raise ValueError("Choose one folder for the run.")
        held_out = self.held_out.paths()
        if len(held_out) > 1:
            raise ValueError("Choose one folder or file of held-out volumes.")
        config = self.config_form.config()
        check_parameters(config)
        start = self.start_combos[config.kind].weights()
        return TrainRequest(
            data=self._data(),
            out=folder.path,
            config=config,
            resume=self.holds_run() if resume is None else resume,
            start="" if self.holds_run() else start,
            validation=held_out[0] if held_out else None,
            minutes=self.minutes.value() or None,
            device=self.device_combo.currentText(),
        )

    def show_run(self) -> None:
        """Describe the run folder and show the configuration of its run."""
        folder = self.folder()
        saved = [] if folder is None else folder.checkpoints()
        if folder is None:
            text = "Choose one folder for the run."
        elif saved:
            text = (
                f"Holds a run at step {saved[0].step}: it is gone on with. Name "
                "another folder for a new run."
            )
            try:
                self.config_form.show_config(_config_of(folder))
            except ValueError as error:
                text = str(error)
        else:
            text = "A new run."
        self.run_note.setText(text)
        self._start.setDisabled(bool(saved))

    def _data(self) -> tuple[Path | LayerVolume, ...]:
        if self.source_combo.currentData() == _LAYERS:
            layers = self.layers.chosen()
            if not layers:
                raise ValueError("Tick the layers to train on.")
            pixel = (self.pixel_row.value(), self.pixel_column.value())
            size = pixel if min(pixel) > 0 else None
            return tuple(volume_of_layer(layer, pixel_size_mm=size) for layer in layers)
        paths = self.files.paths()
        if not paths:
            raise ValueError("Choose MRI volumes to train on: files or a folder.")
        return tuple(paths)

    def _on_run_folder(self) -> None:
        self.show_run()
        self.run_changed.emit()

    def _show_source(self) -> None:
        from napari_usflow._napari.layers.content import spacing_mm

        with_layers = self.source_combo.currentData() == _LAYERS
        sizes = [spacing_mm(layer) for layer in self.layers.chosen()]
        for field, visible in (
            (self.files, not with_layers),
            (self.layers, with_layers),
            (self._pixel, with_layers and None in sizes),
        ):
            field.setVisible(visible)
            if (label := self._rows.labelForField(field)) is not None:
                label.setVisible(visible)

    def _show_kind(self) -> None:
        """Offer what a run of this kind can start from; its fields are others, too."""
        for kind, start in self.start_combos.items():
            start.setVisible(kind == self.config_form.kind())
        self.align()

    def _lay_out(self) -> None:
        self._start = row(*self.start_combos.values())
        self._pixel = column(self.pixel_row, self.pixel_column)
        self._rows = form_layout()
        for label, field in (
            ("Train on", self.source_combo),
            ("Volumes", self.files),
            ("Layers", self.layers),
            ("Pixel size", self._pixel),
            ("Held out", self.held_out),
            ("Run folder", self.run_folder),
            ("", self.run_note),
            ("Start from", self._start),
            ("Device", self.device_combo),
            ("Time limit", self.minutes),
        ):
            self._rows.addRow(label, field)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.addLayout(self._rows)
        layout.addWidget(self.config_form)
        layout.addStretch(1)
        self.set_content(content)

    def _set_tooltips(self) -> None:
        for widget, text in (
            (self.source_combo, "Source of the MRI magnitudes"),
            (self.layers, "Each ticked layer is one volume, its first axis the slices"),
            (self.pixel_row, "Height of a pixel: a ticked layer has no lengths"),
            (self.pixel_column, "Width of a pixel: a ticked layer has no lengths"),
            (
                self.held_out,
                "Volumes of other subjects, to measure the result on",
            ),
            (
                self.run_folder,
                "All files of the run; the folder of an earlier run resumes it",
            ),
            (
                self._start,
                "Weights that a new run begins with, and their architecture",
            ),
            (self.device_combo, "Processor or graphics card that trains"),
            (
                self.minutes,
                "Save and stop after this time",
            ),
        ):
            widget.setToolTip(text)


def _config_of(folder: RunFolder) -> RunConfig:
    """Read the configuration of a run of either kind."""
    if kind_of_run(folder.config) == "network":
        return read_network_config(folder.config)
    return read_config(folder.config)
