"""The choices whose entries cost something to find: priors, networks, devices."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QContextMenuEvent
from qtpy.QtWidgets import QApplication, QComboBox, QFileDialog, QMenu

from napari_usflow._napari.denoise.own_weights import (
    is_network,
    is_weights,
    own_weights_registry,
    weights_label,
)
from napari_usflow._napari.shared.form_parts import shrinkable
from napari_usflow.errors import PriorError

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
        shrinkable(self)
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
        if not path:
            return
        problem = self._problem(path)
        if problem:
            from napari.utils.notifications import show_warning

            show_warning(problem)
            return
        self.offer(path)

    def _problem(self, path: str) -> str:
        """Say why a file cannot be used here; empty when it can."""
        try:
            self._read_card(path)
        except (PriorError, OSError, ValueError) as error:
            other = "prior" if self.network else "network"
            kind = "network" if self.network else "prior"
            if is_network(path) != self.network and is_weights(path):
                return f"{path} is a {other}; choose a {kind}."
            return str(error)
        return ""

    @staticmethod
    def _read_card(path: str) -> None:
        from napari_usflow.prior.store import read_card

        read_card(path)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """Offer to take the chosen file off the list."""
        path = self.weights()
        if event is None or not self._is_own(path):
            return
        menu = QMenu(self)
        menu.addAction(
            f"Remove {weights_label(path)} from the list", self.remove_chosen
        )
        menu.exec(event.globalPos())

    def remove_chosen(self) -> None:
        """Take the chosen file off the list; the file stays."""
        path = self.weights()
        if self._is_own(path):
            self.removeItem(self.currentIndex())
            self.setCurrentIndex(0)
            self._before = 0
            own_weights_registry().forget(path)

    def _is_own(self, path: str) -> bool:
        return bool(path) and path not in (_BROWSE, *self._shipped())


class NetworkCombo(WeightsCombo):
    """The shipped networks, those the user trained, and any other file."""

    network = True

    @staticmethod
    def _shipped() -> list[str]:
        from napari_usflow.networks.store import available_networks

        return available_networks()

    @staticmethod
    def _read_card(path: str) -> None:
        from napari_usflow.networks.store import read_network_card

        read_network_card(path)


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
        shrinkable(self)
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
