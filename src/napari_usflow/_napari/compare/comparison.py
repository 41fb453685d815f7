"""A comparison on the canvas: a layer above the pair, and marks that can be dragged."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.compare.linked_look import LinkedLook
from napari_usflow._napari.compare.marks import Marks
from napari_usflow._napari.compare.pair import Pair
from napari_usflow._napari.compare.picture import Divider, Mode, Picture
from napari_usflow._napari.layers.placement import world_factors
from napari_usflow._napari.layers.results import current_frame
from napari_usflow._napari.layers.screen import screen_of
from napari_usflow._napari.layers.views import view_metadata
from napari_usflow._napari.shared.viewer_keys import ViewerKeys

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["Comparison", "side_names"]

_GRAB_PX = 8.0
_PLACE_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")
_RANGE_PERCENTILE = 99.5
_LONGEST_NAME = 28
_OVER_OTHERS = ("translucent", "translucent_no_depth", "opaque")


class Comparison:
    """Shows a pair of layers in one layer of its own, above both.

    The layers of the pair stay as they are, but for their look where it is linked.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Holds both layers and gets the comparison.
    before, after : napari.layers.Image
        See :class:`Pair`.
    mode : str
        See :class:`Picture`.
    link : bool
        Give all the look of the layer before, and keep it so.
    divider : Divider, optional
        The curtain's line; through the middle by default.
    keys : mapping of str to callable
        Keys of the viewer while the comparison is on, where they are free.
    on_moved : callable
        Called with the divider when it was dragged.
    on_frame : callable
        Called when another frame is looked at.
    on_gone : callable
        Called with a sentence when the comparison ended by itself: a layer was removed,
        or the canvas went to 3-D.

    Raises
    ------
    LayerError
        When the layers cannot be compared.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        before: Image,
        after: Image,
        *,
        mode: Mode,
        link: bool = True,
        divider: Divider | None = None,
        keys: Mapping[str, Callable[[], None]] | None = None,
        on_moved: Callable[[Divider], None],
        on_frame: Callable[[], None],
        on_gone: Callable[[str], None],
    ) -> None:
        from napari.layers import Image

        self._viewer = viewer
        self._on_moved, self._on_gone = on_moved, on_gone
        self._on_other_frame = on_frame
        self._link = link
        self._look: LinkedLook | None = None
        pair = Pair(before, after)
        middle = pair.placement.corners().mean(axis=0)
        line = divider or Divider((float(middle[0]), float(middle[1])))
        self.picture = Picture(pair, mode, line)
        self._shapes = _shapes(pair)
        self.layer = Image(
            self.picture,
            name="Compare",
            metadata=view_metadata(),
            **{
                **pair.kwargs(),
                "contrast_limits": before.contrast_limits,
                "colormap": before.colormap,
            },
        )
        self.marks = Marks(before, lengths=pair.lengths)
        self._insert()
        self._follow()
        self._keys = ViewerKeys(viewer, keys or {})
        self.set_mode(mode)

    @property
    def pair(self) -> Pair:
        """The layers that are compared."""
        return self.picture.pair

    def pair_is_there(self) -> bool:
        """Return whether both layers are in the viewer still."""
        layers = self._viewer.layers
        return self.pair.before in layers and self.pair.after in layers

    def frame_index(self) -> int:
        """Return the frame that is looked at."""
        return current_frame(self._viewer, self.layer)

    def set_mode(self, mode: Mode) -> None:
        """Show the pair in another way."""
        self.picture.mode = mode
        self._dress()
        self.refresh()
        self._draw_marks()

    def set_link(self, link: bool) -> None:
        """Link contrast, gamma and colours of the pair, or let each have its own."""
        self._link = link
        self.set_mode(self.picture.mode)

    def move(self, divider: Divider) -> None:
        """Put the curtain's line elsewhere; it stays on the picture."""
        self.picture.divider = self._on_picture(divider)
        self.refresh()
        self._draw_marks()

    def refresh(self, event: Any = None) -> None:
        """Draw the picture anew, of frames that are read already."""
        self.layer.refresh(thumbnail=False, extent=False, highlight=False)

    def stop(self) -> None:
        """Take the comparison off the canvas; the pair stays as it looks."""
        self.abandon()
        for layer in (self.marks.layer, self.layer):
            if layer in self._viewer.layers:
                # napari 0.9 may crash when an image layer is removed while hidden.
                layer.visible = True
                self._viewer.layers.remove(layer)

    def abandon(self, *_: object) -> None:
        """Follow nothing any more; can be connected to any signal."""
        if self._look is not None:
            self._look.stop()
            self._look = None
        for emitter, callback in self._followed:
            emitter.disconnect(callback)
        self._followed.clear()
        drags = self._viewer.mouse_drag_callbacks
        if self._on_drag in drags:
            drags.remove(self._on_drag)
        self._keys.release()
        self._on_moved = self._on_gone = self._on_other_frame = _ignore

    def _insert(self) -> None:
        """Lie above every image that would hide it, and below what is drawn on them."""
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        hiding = [
            index
            for index, layer in enumerate(layers)
            if layer in (self.pair.before, self.pair.after)
            or (
                type(layer).__name__ == "Image"
                and layer.visible
                and str(layer.blending) in _OVER_OTHERS
            )
        ]
        layers.insert(max(hiding) + 1, self.layer)
        layers.append(self.marks.layer)
        layers.selection = selected
        layers.selection.active = active

    def _follow(self) -> None:
        viewer, before, after = self._viewer, self.pair.before, self.pair.after
        camera = getattr(viewer, "scene", viewer).camera
        self._followed = [
            (viewer.layers.events.removed, self._on_removed),
            (viewer.layers.events.renamed, self._draw_marks),
            (viewer.dims.events.ndisplay, self._on_ndisplay),
            (viewer.dims.events.current_step, self._on_slider),
            (camera.events.zoom, self._draw_marks),
            (camera.events.center, self._draw_marks),
        ]
        for layer in (before, after):
            self._followed += [
                (layer.events.set_data, self._on_frame),
                (layer.events.data, self._on_data),
                (layer.events.contrast_limits, self._on_contrast),
                *(
                    (getattr(layer.events, name), self._on_place)
                    for name in _PLACE_EVENTS
                ),
            ]
        for emitter, callback in self._followed:
            emitter.connect(callback)
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def _dress(self) -> None:
        """Set the look of the layer for its mode."""
        if self._look is not None:
            self._look.stop()
            self._look = None
        picture, before = self.picture, self.pair.before
        if picture.mode in ("difference", "ratio"):
            picture.own_contrast = False
            limit = self._residual_limit()
            self.layer.colormap, self.layer.gamma = _difference_colors(), 1.0
            self.layer.contrast_limits_range = (-2 * limit, 2 * limit)
            self.layer.contrast_limits = (-limit, limit)
            return
        picture.own_contrast = not (self._link and self.pair.same_values())
        if picture.own_contrast:
            self.layer.colormap, self.layer.gamma = before.colormap, before.gamma
            self.layer.contrast_limits_range = (0.0, 1.0)
            self.layer.contrast_limits = (0.0, 1.0)
            return
        self.layer.contrast_limits_range = before.contrast_limits_range
        self._look = LinkedLook([before, self.pair.after, self.layer])

    def _residual_limit(self) -> float:
        residual = self.picture.residual(self.frame_index())
        if residual is None:
            return 1.0
        strength = np.abs(residual[np.isfinite(residual)])
        if not strength.size:
            return 1.0
        return float(np.percentile(strength, _RANGE_PERCENTILE)) or 1.0

    def _draw_marks(self, event: Any = None) -> None:
        if self._viewer.dims.ndisplay == 3:
            return  # the comparison is about to end
        pair, picture = self.pair, self.picture
        screen = screen_of(self._viewer, lengths=pair.lengths)
        names = side_names(pair)
        if picture.mode == "curtain":
            self.marks.show_curtain(picture.divider, pair.placement, names, screen)
            return
        label = {
            "before": names[0],
            "after": names[1],
            "difference": f"{names[0]} − {names[1]}",
            "ratio": f"{names[0]} / {names[1]} in dB",
        }[picture.mode]
        self.marks.show_label(label, pair.placement, screen)

    def _on_picture(self, divider: Divider) -> Divider:
        """Keep the handle on the picture, so that it can be grabbed again."""
        placement = self.pair.placement
        pixels = placement.pixels(divider.point)
        inside = np.clip(pixels, -0.5, np.subtract(placement.shape, 0.5))
        z, x = placement.positions(inside)
        return replace(divider, point=(float(z), float(x)))

    def _on_drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Move the line with the mouse; with Shift, turn it about its handle."""
        if not self._grabbed(event):
            return
        turning = "Shift" in event.modifiers
        event.handled = True
        yield
        while event.type == "mouse_move":
            event.handled = True
            position, divider = self._position(event), self.picture.divider
            if turning:
                toward = position - np.asarray(divider.point)
                if np.hypot(*toward) > 0:
                    angle = np.rad2deg(np.arctan2(-toward[1], toward[0]))
                    # A line has no direction: the sides must not change places.
                    turned = (angle - divider.angle_deg + 90) % 180 - 90
                    divider = replace(
                        divider, angle_deg=float(divider.angle_deg + turned)
                    )
            else:
                z, x = position
                divider = replace(divider, point=(float(z), float(x)))
            self.move(divider)
            self._on_moved(self.picture.divider)
            yield

    def _grabbed(self, event: Any) -> bool:
        """Return whether a press is on the line while the mouse draws nothing."""
        active = self._viewer.layers.selection.active
        drawing = active is not None and str(active.mode) != "pan_zoom"
        if self.picture.mode != "curtain" or drawing or not self.layer.visible:
            return False
        factor = world_factors(self._viewer, lengths=self.pair.lengths).mean()
        distance = abs(self.picture.divider.distance(self._position(event)))
        return bool(distance / factor * event.camera_zoom <= _GRAB_PX)

    def _position(self, event: Any) -> npt.NDArray[np.float64]:
        factors = world_factors(self._viewer, lengths=self.pair.lengths)
        return np.asarray(event.position[-2:], float) * factors

    def _on_slider(self, event: Any) -> None:
        self._on_other_frame()

    def _on_frame(self, event: Any) -> None:
        # Sent also when the slider moves; then the layer above is drawn by itself.
        if self.pair.last_frame == self.frame_index():
            self._on_data()

    def _on_data(self, event: Any = None) -> None:
        if self._shapes != _shapes(self.pair):
            self._end("The data of a compared layer have another shape now.")
            return
        self.pair.forget()
        self.refresh()

    def _on_contrast(self, event: Any) -> None:
        if self.picture.own_contrast:
            self.refresh()

    def _on_place(self, event: Any) -> None:
        self._end("A compared layer was moved; start the comparison again.")

    def _on_ndisplay(self, event: Any) -> None:
        if self._viewer.dims.ndisplay == 3:
            self._end("The comparison is for 2-D display; it ended with the 3-D view.")

    def _on_removed(self, event: Any) -> None:
        mine = (self.layer, self.marks.layer)
        if any(event.value is layer for layer in (self.pair.before, self.pair.after)):
            self._end(f"Layer {event.value.name!r} was removed.")
        elif any(event.value is layer for layer in mine):
            self._end("")

    def _end(self, sentence: str) -> None:
        on_gone = self._on_gone
        self.stop()
        on_gone(sentence)


def side_names(pair: Pair) -> tuple[str, str]:
    """Return short names of both sides: of a result only what was done to its input."""
    before, after = pair.before.name, pair.after.name
    if after.startswith(before) and len(after) > len(before):
        after = after[len(before) :].strip(" []")
    return _short(before), _short(after)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _difference_colors() -> Any:
    """Blue where it became brighter, black where nothing was done, else orange."""
    from napari.utils import Colormap

    colors = [[0.3, 0.7, 1, 1], [0, 0, 0, 1], [1, 0.6, 0.2, 1]]
    return Colormap(colors, name="blue-black-orange")


def _shapes(pair: Pair) -> list[tuple[int, ...]]:
    stacks = [
        layer.data[0] if layer.multiscale else layer.data
        for layer in (pair.before, pair.after)
    ]
    return [tuple(stack.shape) for stack in stacks]


def _ignore(*_: object) -> None:
    """Take the place of the callbacks once nobody listens."""
