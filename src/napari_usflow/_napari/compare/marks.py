"""The curtain's line, its handle and the names of the two sides, over the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.compare.picture import Divider
from napari_usflow._napari.layers.placement import Placement, unit_factors
from napari_usflow._napari.layers.screen import Screen
from napari_usflow._napari.layers.views import view_metadata

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

__all__ = ["Marks"]

Floats = npt.NDArray[np.float64]

COLOR = "#ffd166"
_LINE_PX, _HANDLE_PX = 2.0, 9.0
_GAP_PX, _LETTER_PX = 14.0, 5.2
_LABEL_ROW_PX = 16.0
_TEXT_SIZE = 11


class Marks:
    """A shapes layer with the marks of a comparison, as large as the screen wants them.

    Parameters
    ----------
    like : napari.layers.Image
        Gives the units.
    lengths : bool
        Whether positions are in mm.
    """

    def __init__(self, like: Image, *, lengths: bool) -> None:
        from napari.layers import Shapes

        self._factors = unit_factors(like.units, lengths=lengths)
        # Carriers of the two names: lines that are not drawn.
        blank = [np.zeros((2, 2)), np.zeros((4, 2)), np.zeros((2, 2)), np.zeros((2, 2))]
        self.layer: Shapes = Shapes(
            blank,
            shape_type=["line", "ellipse", "line", "line"],
            name="Compare (line)",
            edge_color=[COLOR, COLOR, "transparent", "transparent"],
            face_color=["transparent", COLOR, "transparent", "transparent"],
            features={"label": [""] * 4},
            text={"string": "{label}", "size": _TEXT_SIZE, "color": COLOR},
            units=like.units[-2:],
            axis_labels=like.axis_labels[-2:],
            metadata=view_metadata(),
            opacity=1.0,
        )
        self._labels = ("", "")

    def show_curtain(
        self,
        divider: Divider,
        placement: Placement,
        labels: tuple[str, str],
        screen: Screen,
    ) -> None:
        """Draw the line and name both sides.

        Parameters
        ----------
        divider : Divider
            The line.
        placement : Placement
            Of the picture.
        labels : (str, str)
            Names of the sides before and after.
        screen : Screen
            What of the world is on the screen.
        """
        pixel = screen.pixel
        ends = divider.ends(placement)
        point = np.asarray(divider.point)
        if ends is None:
            ends = np.stack([point, point])
        shown = screen.part_of(ends)
        top = shown[np.argmin(shown[:, 0] + 1e-6 * shown[:, 1])]
        inwards = _unit(shown.mean(axis=0) - top)
        names = []
        for sign, label in zip((-1, 1), labels, strict=True):
            # Names are centred: a long one needs more room beside an upright line, and
            # along a level one.
            half = _LETTER_PX * len(label)
            across = sign * (_GAP_PX + half * abs(divider.normal[1])) * pixel
            along = (_LABEL_ROW_PX + half * abs(inwards[1])) * pixel
            names.append(top + along * inwards + across * divider.normal)
        handle = _box(point, _HANDLE_PX * pixel)
        self._draw([ends, handle, *map(_dot, names)], labels, _LINE_PX * pixel)

    def show_label(self, label: str, placement: Placement, screen: Screen) -> None:
        """Name what is shown at the top of the picture, as far as it is on the screen.

        Parameters
        ----------
        label : str
            The name.
        placement, screen
            As of :meth:`show_curtain`.
        """
        top, end = placement.corners()[:2]
        place = screen.part_of(np.stack([top, end])).mean(axis=0)
        if screen.limits is not None:
            place = np.maximum(place, [screen.limits[0, 0], -np.inf])
        place = place + np.array([_LABEL_ROW_PX * screen.pixel, 0])
        hidden = [_dot(place), _box(place, 0.0), _dot(place), _dot(place)]
        self._draw(hidden, (label, ""), 0.0)

    def _draw(
        self, shapes: list[Floats], labels: tuple[str, str], width: float
    ) -> None:
        kinds = ("line", "ellipse", "line", "line")
        data: list[Any] = [
            (shape / self._factors, kind)
            for shape, kind in zip(shapes, kinds, strict=True)
        ]
        layer = self.layer
        # The marks lie on the picture: the viewer need not measure all layers anew,
        # which takes half of the time of a step.
        with layer.events.extent.blocker():
            layer.data = data
        layer.edge_width = [width / float(self._factors.mean()), 0, 0, 0]
        if labels != self._labels:
            self._labels = labels
            layer.features = {"label": ["", "", *labels]}
            layer.text.refresh(layer.features)


def _box(center: Floats, half: float) -> Floats:
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], float)
    return np.asarray(center + max(half, 1e-6) * corners)


def _unit(vector: Floats) -> Floats:
    length = float(np.hypot(*vector))
    return vector / length if length else vector


def _dot(place: Floats) -> Floats:
    """A line too short to be seen, that carries a name."""
    return np.asarray(np.stack([place, place + 1e-6]))
