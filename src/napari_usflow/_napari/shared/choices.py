"""The choices whose entries cost something to find: priors, networks, devices."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QComboBox, QFileDialog

from napari_usflow._napari.denoise.own_weights import (
    is_network,
    own_weights_registry,
    weights_label,
)

__all__ = ["DeviceCombo", "NetworkCombo", "WeightsCombo"]

_BROWSE = "Browse …"


class WeightsCombo(QComboBox):
    """The shipped priors, those the user trained, and any other file.

    A prior that is taken into use while this is open is chosen here at once.

    Parameters
    ----------
    preferred : str
        Name or path to start with; empty for the default.
    default : str
        What no choice is called.
    follow : bool
        Choose what is taken into use elsewhere.
    """

    network: ClassVar[bool] = False
    """Whether networks are offered, and no priors."""

    def __init__(
        self, preferred: str = "", *, default: str = "Default", follow: bool = True
    ) -> None:
        super().__init__()
        self.addItem(default, "")
        for name in self._shipped():
            self.addItem(name, name)
        self.addItem(_BROWSE, _BROWSE)
        own = own_weights_registry()
        for path in own.paths():
            if is_network(path) == self.network:
                self._add(path)
        if preferred:
            self.offer(preferred)
        if follow and (current := own.current(network=self.network)):
            self.offer(current)
        self._follow = follow
        own.chosen.connect(self._on_chosen)
        self._before = self.currentIndex()
        self.activated.connect(self._on_activated)

    def weights(self) -> str:
        """Return the name or path that is chosen; empty for the default."""
        return str(self.currentData())

    def offer(self, name_or_path: str) -> None:
        """Choose weights, adding it to the list when it is not there."""
        index = self.findData(name_or_path)
        if index < 0:
            index = self._add(name_or_path)
        self.setCurrentIndex(index)
        self._before = index

    @staticmethod
    def _shipped() -> list[str]:
        from napari_usflow.prior.store import available_priors

        return available_priors()

    def _on_chosen(self, path: str) -> None:
        if is_network(path) != self.network:
            return
        if self._follow:
            self.offer(path)
        elif self.findData(path) < 0:
            self._add(path)

    def _add(self, name_or_path: str) -> int:
        index = self.count() - 1
        self.insertItem(index, weights_label(name_or_path), name_or_path)
        self.setItemData(index, name_or_path, Qt.ItemDataRole.ToolTipRole)
        return index

    def _on_activated(self, index: int) -> None:
        if self.itemData(index) != _BROWSE:
            self._before = index
            return
        self.setCurrentIndex(self._before)
        kind = "network" if self.network else "prior"
        path, _ = QFileDialog.getOpenFileName(
            self, f"Choose a {kind}", "", f"{kind.capitalize()}s (*.safetensors)"
        )
        if path:
            self.offer(path)


class NetworkCombo(WeightsCombo):
    """The shipped networks, those the user trained, and any other file."""

    network = True

    @staticmethod
    def _shipped() -> list[str]:
        from napari_usflow.networks.store import available_networks

        return available_networks()


class DeviceCombo(QComboBox):
    """Where to compute.

    Which devices there are is only known to torch, which takes seconds to load; it
    is asked when the list is opened for the first time.

    Parameters
    ----------
    preferred : str
        ``auto`` or a torch device.
    """

    def __init__(self, preferred: str = "auto") -> None:
        super().__init__()
        self.addItem("auto")
        if preferred != "auto":
            self.addItem(preferred)
        self.setCurrentText(preferred)
        self._complete = False

    def showPopup(self) -> None:
        """Fill the list before it is shown."""
        self.fill()
        super().showPopup()

    def fill(self) -> None:
        """List torch's devices, once."""
        if self._complete:
            return
        self._complete = True
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            from napari_usflow.device import available_devices

            for name in available_devices():
                if self.findText(name) < 0:
                    self.addItem(name)
        finally:
            QApplication.restoreOverrideCursor()
