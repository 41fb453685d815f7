"""Drawing regions: the role of what is selected, and the layer that is drawn on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_usflow._napari.measure.bench import Bench
from napari_usflow._napari.measure.form import ROLE_KEYS, MeasureForm
from napari_usflow._napari.measure.lines import (
    is_calipers,
    new_calipers,
    new_points,
    new_regions,
)
from napari_usflow._napari.measure.roles import (
    can_hold_regions,
    draw_next,
    roles_of,
    selected_regions,
    set_roles,
)
from napari_usflow._napari.shared.viewer_keys import ViewerKeys

if TYPE_CHECKING:
    from napari.layers import Image, Layer

__all__ = ["DrawingTools"]


class DrawingTools(QObject):
    """Gives regions their roles, by the form or by a key, and starts napari's tools.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    form : MeasureForm
        Its role, and its buttons that draw.
    bench : Bench
        Says which layers are measured.
    """

    changed = Signal()

    def __init__(self, viewer: Any, form: MeasureForm, bench: Bench) -> None:
        super().__init__()
        self._viewer, self._form, self._bench = viewer, form, bench
        form.role.activated.connect(self._on_role)
        form.region.clicked.connect(self._draw_regions)
        form.point.clicked.connect(self._draw_points)
        form.line.clicked.connect(self._draw_lines)
        self._keys = ViewerKeys(
            viewer, {key: partial(self.give, role) for role, key in ROLE_KEYS.items()}
        )

    def stop(self, *_: object) -> None:
        """Take the keys away; can be connected to any signal."""
        self._keys.release()

    def give(self, role: str) -> None:
        """Give what is selected a role, and what is drawn next."""
        self._form.show_role(role)
        self._on_role()

    def show_role(self) -> None:
        """Show the role of what is selected."""
        layer = self._active_regions()
        if layer is None:
            return
        roles = roles_of(layer)
        selected = {roles.get(n, "") for n in selected_regions(layer)} - {""}
        if len(selected) == 1:
            self._form.show_role(selected.pop())

    def regions_layer(self, image: Image) -> Layer:
        """Return the shapes layer to draw on; a new one where there is none."""
        layer = self._active_regions()
        if layer is None or type(layer).__name__ != "Shapes" or layer.ndim != 2:
            return new_regions(self._viewer, image, self._form.role.currentData())
        self._viewer.layers.selection.active = layer
        return layer

    def _on_role(self, _: int = 0) -> None:
        layer = self._active_regions()
        if layer is None:
            return
        role = self._form.role.currentData()
        set_roles(layer, dict.fromkeys(selected_regions(layer), role))
        draw_next(layer, role)
        self.changed.emit()

    def _active_regions(self) -> Layer | None:
        active = self._viewer.layers.selection.active
        drawn = self._form.drawn.layer()
        for layer in (active, drawn, *reversed(self._bench.drawn)):
            if layer is not None and can_hold_regions(layer) and not is_calipers(layer):
                return layer
        return None

    def _draw_regions(self) -> None:
        before = self._form.before.layer()
        if before is not None:
            layer = self.regions_layer(before)
            draw_next(layer, self._form.role.currentData())
            layer.mode = "add_ellipse"

    def _draw_points(self) -> None:
        before = self._form.before.layer()
        if before is not None:
            new_points(self._viewer, before)

    def _draw_lines(self) -> None:
        before = self._form.before.layer()
        if before is not None:
            new_calipers(self._viewer, before)
