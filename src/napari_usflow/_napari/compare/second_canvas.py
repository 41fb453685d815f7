"""The layer after on a canvas of its own, beside that of the viewer.

What is drawn on the viewer's canvas is seen on it as well. Cameras, sliders and the
look of the images move together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QVBoxLayout, QWidget

from napari_usflow._napari.compare.comparison import Comparison
from napari_usflow._napari.compare.linked_look import LinkedLook
from napari_usflow._napari.compare.picture import Picture
from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.shared.layer_changes import follow_layers, unfollow_layers

if TYPE_CHECKING:
    import napari
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["SecondCanvas"]

_DRAWN = {
    "Shapes": ("edge_color", "face_color", "edge_width", "opacity", "visible"),
    "Points": ("face_color", "border_color", "size", "opacity", "visible"),
    "Labels": ("colormap", "opacity", "visible"),
}
_CAMERA = ("center", "zoom")
_COPY_MS = 50
_LAYOUT_MS, _LAYOUT_TRIES = 50, 40
_UNEVEN_PX = 20


class SecondCanvas(QWidget):
    """A canvas with the side after of a comparison, docked beside the viewer's.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its window gets the canvas.
    comparison : Comparison
        Shows the side before on the viewer's canvas.
    beside : QWidget
        A docked widget that the canvas comes to the left of.
    on_closed : callable
        Called when the user closed the dock.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        comparison: Comparison,
        *,
        beside: QWidget,
        on_closed: Callable[[], None],
    ) -> None:
        super().__init__()
        from napari.components import ViewerModel
        from napari.layers import Image
        from napari.qt import QtViewer

        self._viewer, self._comparison = viewer, comparison
        self._on_closed = on_closed
        pair, shown = comparison.pair, comparison.picture
        self.picture = Picture(pair, "after", shown.divider)
        self.layer = Image(
            self.picture,
            name=pair.after.name,
            **{**pair.kwargs(), "contrast_limits": comparison.layer.contrast_limits},
        )
        self.model: ViewerModel = ViewerModel(title="Compare")
        self.model.theme = viewer.theme
        self.canvas = QtViewer(self.model)
        self.canvas.setAcceptDrops(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.model.layers.append(self.layer)
        self._look = LinkedLook([comparison.layer, self.layer])
        self._copies: list[tuple[Layer, Layer]] = []
        self._copying = QTimer(self)
        self._copying.setSingleShot(True)
        self._copying.setInterval(_COPY_MS)
        self._copying.timeout.connect(self._copy_changes)
        self._open = True
        self._width_beside = 0
        self._widening = QTimer(self)
        self._widening.setSingleShot(True)
        self._widening.timeout.connect(self._widen)
        self._dock: Any = viewer.window.add_dock_widget(
            self, name=f"After: {pair.after.name}", area="right"
        )
        self._beside = beside
        self._tries_left = _LAYOUT_TRIES
        self._split()
        self._follow()
        self._copy_all()
        self._move(self._cameras()[0], self._cameras()[1])
        self.model.dims.set_point(range(self.model.dims.ndim), self._point())

    def stop(self) -> None:
        """Take the canvas out of the window and let everything go."""
        if not self._open:
            return
        self.abandon()
        self._copying.stop()
        self._widening.stop()
        self._viewer.window.remove_dock_widget(self._dock)
        self._narrow()
        self.model.layers.clear()
        self.canvas.close()
        self.deleteLater()

    def abandon(self, *_: object) -> None:
        """Follow nothing any more; can be connected to any signal."""
        self._open = False
        self._look.stop()
        self._unfollow()

    def refresh(self) -> None:
        """Draw the picture anew."""
        self.picture.own_contrast = self._comparison.picture.own_contrast
        self.layer.refresh(thumbnail=False, extent=False, highlight=False)

    def changeEvent(self, event: QEvent | None) -> None:
        """End when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        closed = moved and self.parent() is None
        super().changeEvent(event)
        if closed and self._open:
            self._on_closed()

    def _split(self) -> None:
        """Come to the left of the widget, as wide as the viewer's canvas."""
        own, other = _dock_of(self), _dock_of(self._beside)
        window = None if own is None else own.parentWidget()
        if other is not None and isinstance(window, QMainWindow):
            window.splitDockWidget(own, other, Qt.Orientation.Horizontal)
            self._width_beside = other.width()
        # Sizes can be given once the window has been laid out.
        self._widening.start(0)

    def _widen(self) -> None:
        own = _dock_of(self)
        window = None if own is None else own.parentWidget()
        middle = window.centralWidget() if isinstance(window, QMainWindow) else None
        if isinstance(window, QMainWindow) and own is not None and middle is not None:
            self._tries_left -= 1
            if abs(middle.width() - own.width()) <= _UNEVEN_PX:
                return
            half = (middle.width() + own.width()) // 2
            docks, widths = [own], [half]
            if (other := _dock_of(self._beside)) is not None:
                docks, widths = [own, other], [half, other.minimumSizeHint().width()]
            window.resizeDocks(docks, widths, Qt.Orientation.Horizontal)
            # On a busy machine the window is laid out later.
            if self._tries_left > 0:
                self._widening.start(_LAYOUT_MS)

    def _narrow(self) -> None:
        """Return the freed width to the viewer's canvas, not to the form."""
        other, width = _dock_of(self._beside), self._width_beside
        window = None if other is None else other.parentWidget()
        if other is None or not isinstance(window, QMainWindow) or width <= 0:
            return
        window.resizeDocks([other], [width], Qt.Orientation.Horizontal)

    def _follow(self) -> None:
        for camera in self._cameras():
            for name in _CAMERA:
                camera.events[name].connect(self._on_camera)
        self._viewer.dims.events.point.connect(self._on_slider)
        self.model.dims.events.point.connect(self._on_slider)
        self._comparison.layer.events.set_data.connect(self._on_picture)
        follow_layers(self._viewer, self._copy_all)

    def _unfollow(self) -> None:
        for camera in self._cameras():
            for name in _CAMERA:
                camera.events[name].disconnect(self._on_camera)
        self._viewer.dims.events.point.disconnect(self._on_slider)
        self.model.dims.events.point.disconnect(self._on_slider)
        self._comparison.layer.events.set_data.disconnect(self._on_picture)
        unfollow_layers(self._viewer, self._copy_all)
        self._let_copies_go()

    def _cameras(self) -> tuple[Any, Any]:
        first, second = (
            getattr(model, "scene", model).camera
            for model in (self._viewer, self.model)
        )
        return first, second

    def _on_camera(self, event: Any) -> None:
        first, second = self._cameras()
        here = event.source is second
        self._move(second, first) if here else self._move(first, second)

    def _move(self, leading: Any, other: Any) -> None:
        for name in _CAMERA:
            if getattr(other, name) != getattr(leading, name):
                setattr(other, name, getattr(leading, name))

    def _point(self) -> tuple[float, ...]:
        return tuple(self._viewer.dims.point[-self.model.dims.ndim :])

    def _on_slider(self, event: Any) -> None:
        count = self.model.dims.ndim
        ours, theirs = self.model.dims, self._viewer.dims
        if event.source is ours:
            axes = range(theirs.ndim - count, theirs.ndim)
            if ours.point != self._point():
                theirs.set_point(list(axes), list(ours.point))
        elif ours.point != self._point():
            ours.set_point(list(range(count)), list(self._point()))

    def _on_picture(self, event: Any) -> None:
        self.refresh()

    def _copy_all(self, event: Any = None) -> None:
        """Draw what is drawn on the viewer's canvas."""
        from napari.layers import Layer

        self._let_copies_go()
        if self.layer not in self.model.layers:
            return  # the window is closing
        for layer in list(self.model.layers)[1:]:
            self.model.layers.remove(layer)
        for layer in self._viewer.layers:
            if type(layer).__name__ not in _DRAWN or is_view(layer):
                continue
            copy = Layer.create(*layer.as_layer_data_tuple())
            copy.editable = False
            self.model.layers.append(copy)
            self._copies.append((layer, copy))
            for emitter in self._changes(layer):
                emitter.connect(self._on_drawn)
        self.model.layers.selection.active = self.layer

    def _let_copies_go(self) -> None:
        for layer, _ in self._copies:
            for emitter in self._changes(layer):
                emitter.disconnect(self._on_drawn)
        self._copies = []

    def _changes(self, layer: Layer) -> list[Any]:
        names = ("set_data", "data", *_DRAWN[type(layer).__name__])
        return [layer.events[name] for name in names if name in layer.events]

    def _on_drawn(self, event: Any) -> None:
        if not self._copying.isActive():
            self._copying.start()

    def _copy_changes(self) -> None:
        for layer, copy in self._copies:
            kind = type(layer).__name__
            if kind == "Shapes":
                copy.data = list(zip(layer.data, layer.shape_type, strict=True))
            elif kind == "Points":
                copy.data = layer.data
            else:
                copy.refresh()
            if len(layer.data):
                for name in _DRAWN[kind]:
                    setattr(copy, name, getattr(layer, name))


def _dock_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
