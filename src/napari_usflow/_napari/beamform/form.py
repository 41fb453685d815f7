"""The fields of the Acquisition widget."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_usflow._napari.beamform.run import (
    AcquisitionRequest,
    describe_acquisition,
)
from napari_usflow._napari.settings import preferences
from napari_usflow._napari.shared.form_parts import (
    FormScroll,
    column,
    form_layout,
    row,
)
from napari_usflow._napari.shared.parameter_form import (
    ParameterForm,
    field_editor,
    field_tooltip,
)
from napari_usflow._napari.shared.path_edit import PathLine
from napari_usflow.errors import UsflowError
from napari_usflow.io.matlab.variable_map import MatlabNames
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.beamform import F_NUMBER
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.data import ChannelData, PixelGrid, PolarGrid

__all__ = ["AcquisitionForm"]

_FILTER = "Channel data (*.hdf5 *.h5 *.uff *.mat);;All files (*)"
_NUMBERS = {
    "f_number": F_NUMBER,
    "bandwidth": 1.0,
    "sound_speed_m_s": 1540.0,
    "depth_from_mm": 5.0,
    "depth_to_mm": 50.0,
    "pixel_axial_mm": 0.1,
    "pixel_lateral_mm": 0.1,
    "dynamic_range_db": 60.0,
}
_DECIMALS = {
    "sound_speed_m_s": 1,
    "depth_from_mm": 2,
    "depth_to_mm": 2,
    "pixel_axial_mm": 4,
    "pixel_lateral_mm": 4,
}
_NO_FILE = "Open a file of channel data."
_OF_A_GRID = ("depth_from_mm", "depth_to_mm", "pixel_axial_mm", "pixel_lateral_mm")


class AcquisitionForm(FormScroll):
    """A file, the names in it, and how it is beamformed.

    Emits ``asked`` when a file is to be opened, ``changed`` when a setting is another.
    """

    asked = Signal()
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._opened: Opened | None = None
        # What the file says, and how a box shows it: digits are lost there.
        self._usual: dict[str, tuple[float, float]] = {}
        self.path_line = PathLine(
            "PICMUS, CUBDL, UFF, zea, pybf or MATLAB; press Enter to open what is typed"
        )
        self.path_line.setPlaceholderText("Channel data")
        self.path_line.returnPressed.connect(self.asked)
        self.browse_button = QPushButton("Open …")
        self.browse_button.clicked.connect(self._browse)
        self.content_label = QLabel(_NO_FILE)
        self.content_label.setWordWrap(True)
        self.names_form = ParameterForm(MatlabNames)
        for field in fields(MatlabNames):
            line = self.names_form.editor(field.name)
            if isinstance(line, QLineEdit) and field.metadata["unit"]:
                line.setPlaceholderText(f"name or number, in {field.metadata['unit']}")
        self.names_button = QPushButton("Open with these names")
        self.names_button.clicked.connect(self.asked)
        self.names_box = QCollapsible("Names in the MATLAB file")
        self.names_box.addWidget(self.names_form)
        self.names_box.addWidget(self.names_button)
        self.plane_waves: Any = field_editor(BeamformParams, "plane_waves", default=1)
        self.boxes: dict[str, Any] = {
            name: field_editor(BeamformParams, name, default=number)
            for name, number in _NUMBERS.items()
        }
        for box in (self.plane_waves, *self.boxes.values()):
            # A number half typed is none to beamform with.
            box.setKeyboardTracking(False)
            box.valueChanged.connect(self.changed)
        self.boxes["depth_from_mm"].setPrefix("from ")
        self.boxes["depth_to_mm"].setPrefix("to ")
        self.boxes["pixel_axial_mm"].setSuffix(" mm axial")
        self.boxes["pixel_lateral_mm"].setSuffix(" mm lateral")
        self.reset_button = QPushButton("Reset to the file's values")
        self.reset_button.setEnabled(False)
        self.live = QCheckBox("Live preview")
        self._lay_out()
        self._set_tooltips()
        self.show_opened(None)
        self.ask_for_names(None)

    def path(self) -> Path | None:
        """Return the file that is written in the line, if any."""
        text = self.path_line.text().strip()
        return Path(text).expanduser() if text else None

    def names(self) -> dict[str, str] | None:
        """Return the names that were filled in, of a MATLAB file."""
        if not self.names_box.isVisibleTo(self):
            return None
        return MatlabNames(**self.names_form.values()).given() or None

    def ask_for_names(self, path: Path | None) -> bool:
        """Show the fields of the names for a MATLAB file, filled where it is known.

        Returns
        -------
        bool
            Whether the user has to fill them before the file can be opened.
        """
        from napari_usflow.io import matlab

        is_matlab = path is not None and matlab.is_v73(path) is not None
        self.names_box.setVisible(is_matlab)
        if not is_matlab or path is None:
            return False
        try:
            known, variables = matlab.names_of(path), matlab.variables(path)
        except UsflowError as error:
            self.content_label.setText(str(error))
            return False
        self.names_form.set_values(known)
        listed = [
            f"{v.name} ({'×'.join(map(str, v.shape))})" for v in variables.values()
        ]
        self.names_form.setToolTip("In the file: " + ", ".join(listed[:40]))
        if known.given():
            return False
        self.show_opened(None)
        self.content_label.setText(
            "Say which variable is what. In the file: " + ", ".join(listed[:12])
        )
        self.names_box.expand(animate=False)
        return True

    def show_opened(self, opened: Opened | None) -> None:
        """Fill the fields with what a file and the preferences say."""
        self._opened = opened
        data = None if opened is None else opened.channel_data
        preferred = preferences().beamform
        for box in (self.plane_waves, *self.boxes.values()):
            box.blockSignals(True)
            box.setEnabled(data is not None)
        self.boxes["f_number"].setValue(preferred.f_number)
        self.boxes["bandwidth"].setValue(preferred.bandwidth)
        self.boxes["dynamic_range_db"].setValue(preferred.dynamic_range_db)
        self.live.setEnabled(data is not None)
        self.reset_button.setEnabled(data is not None)
        if opened is None or data is None:
            self.content_label.setText(_NO_FILE)
        else:
            self.content_label.setText(describe_acquisition(data))
            self._fill(data, opened.grid, preferred)
        for box in (self.plane_waves, *self.boxes.values()):
            box.blockSignals(False)

    def opened(self) -> Opened | None:
        """Return the file that is open."""
        return self._opened

    def reset(self) -> None:
        """Take back what was changed since the file was opened."""
        self.show_opened(self._opened)
        self.changed.emit()

    def request(self) -> AcquisitionRequest:
        """Return what is set.

        Raises
        ------
        ValueError
            When no file is open.
        """
        if self._opened is None or self._opened.channel_data is None:
            raise ValueError("Open a file of channel data first.")
        values: dict[str, Any] = {name: self._number(name) for name in self.boxes}
        values["plane_waves"] = self.plane_waves.value()
        if self._opened.channel_data.is_focused:
            values.update(dict.fromkeys((*_OF_A_GRID, "plane_waves")))
        return AcquisitionRequest(
            self._opened, BeamformParams(**values), preferences().device
        )

    def _number(self, name: str) -> float:
        exact, shown = self._usual.get(name, (0.0, None))
        value = float(self.boxes[name].value())
        return exact if value == shown else value

    def _fill(
        self,
        data: ChannelData,
        stated: PixelGrid | PolarGrid | None,
        preferred: BeamformParams,
    ) -> None:
        count = len(data.transmits)
        self.plane_waves.setRange(1, count)
        self.plane_waves.setValue(preferred.angles(data) or count)
        self.plane_waves.setSuffix(f" of {count}")
        speed = preferred.sound_speed_m_s or data.sound_speed_m_s
        numbers = {"sound_speed_m_s": speed}
        for name in _OF_A_GRID:
            self.boxes[name].setEnabled(not data.is_focused)
        self.plane_waves.setEnabled(not data.is_focused)
        grid = preferred.grid(preferred.channel_data(data), stated)
        if grid is not None:
            z_mm, _ = grid.axes_mm()
            ends = float(z_mm[0]), float(z_mm[-1])
            numbers |= dict(zip(_OF_A_GRID, (*ends, *grid.spacing_mm), strict=True))
        self._usual = {}
        for name, value in numbers.items():
            box = self.boxes[name]
            box.setDecimals(_DECIMALS[name])
            box.setValue(value)
            self._usual[name] = (value, float(box.value()))

    def _lay_out(self) -> None:
        boxes = self.boxes
        layout = form_layout()
        for label, field in (
            ("File", row(self.path_line, self.browse_button)),
            ("", self.content_label),
            ("", self.names_box),
            ("Plane waves", self.plane_waves),
            ("F-number", boxes["f_number"]),
            ("Receive filter", boxes["bandwidth"]),
            ("Sound speed", boxes["sound_speed_m_s"]),
            ("Depth", column(boxes["depth_from_mm"], boxes["depth_to_mm"])),
            (
                "Pixel size",
                column(boxes["pixel_axial_mm"], boxes["pixel_lateral_mm"]),
            ),
            ("Dynamic range", boxes["dynamic_range_db"]),
        ):
            if field is self.names_box:
                layout.addRow(field)
            else:
                layout.addRow(label, field)
        top, content = QWidget(), QWidget()
        top.setLayout(layout)
        outer = QVBoxLayout(content)
        outer.setContentsMargins(0, 0, 0, 0)
        for widget in (top, self.reset_button, self.live):
            outer.addWidget(widget)
        self.set_content(content)

    def _set_tooltips(self) -> None:
        self.reset_button.setToolTip(
            "Restore the values of the file and the preferences."
        )
        self.names_button.setToolTip("Open the file again with these names")
        for name, box in (("plane_waves", self.plane_waves), *self.boxes.items()):
            box.setToolTip(field_tooltip(BeamformParams, name))
        self.live.setToolTip(
            "Beamform again after each change of a setting; of a stack, the "
            "current frame"
        )

    def _browse(self) -> None:
        before = self.path()
        path, _ = QFileDialog.getOpenFileName(
            self, "Open channel data", str(before.parent) if before else "", _FILTER
        )
        if path:
            self.path_line.setText(path)
            self.asked.emit()
