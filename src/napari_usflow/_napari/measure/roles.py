"""Roles of regions on layers: kept in their features, and seen by their colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow._napari.layers.views import is_marks, is_view
from napari_usflow.evaluate.regions import ROLE_COLORS, ROLES

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = [
    "can_hold_regions",
    "color_by_role",
    "draw_next",
    "roles_of",
    "selected_regions",
    "set_roles",
]

_NO_ROLE = "#adb5bd"

_ROLE, _KIND, _INDEX = "role", "kind", "index"
_KINDS = {"cyst": "target", "speckle": "speckle"}
"""Roles of the targets that a phantom is opened with."""


def can_hold_regions(layer: Layer) -> bool:
    """Return whether regions can be on a layer."""
    drawn = type(layer).__name__ in ("Shapes", "Labels", "Points")
    return drawn and not is_view(layer) and not is_marks(layer)


def roles_of(layer: Layer) -> dict[int, str]:
    """Return the regions of a layer that have a role: their numbers and roles.

    The number is the place of a shape or of a point, or the value of a label. Points
    are points unless they say otherwise.
    """
    features = layer.features
    if type(layer).__name__ == "Labels":
        if _ROLE not in features or _INDEX not in features:
            return {}
        noted = zip(features[_INDEX], features[_ROLE], strict=True)
        return {int(value): role for value, role in noted if role in ROLES and value}
    usual = "point" if type(layer).__name__ == "Points" else ""
    if _ROLE in features:
        roles = [role if role in ROLES else usual for role in features[_ROLE]]
    elif _KIND in features:
        roles = [_KINDS.get(str(kind), usual) for kind in features[_KIND]]
    else:
        roles = [usual] * len(layer.data)
    return {number: role for number, role in enumerate(roles) if role}


def set_roles(layer: Layer, roles: Mapping[int, str]) -> None:
    """Set the roles of a layer's regions and colour all of them by role.

    Parameters
    ----------
    layer : napari.layers.Shapes, Labels or Points
    roles : mapping of int to str
        Numbers as of :func:`roles_of`; the others keep theirs.
    """
    known = {**roles_of(layer), **roles}
    if type(layer).__name__ == "Labels":
        import pandas as pd

        values = [0, *sorted(known)]
        named = ["", *(known[value] for value in values[1:])]
        layer.features = pd.DataFrame({_INDEX: values, _ROLE: named})
    else:
        features = layer.features.copy()
        named = [known.get(number, "") for number in range(len(layer.data))]
        features[_ROLE] = np.array(named, object)
        layer.features = features
    color_by_role(layer)


def selected_regions(layer: Layer) -> list[int]:
    """Return the numbers of the regions that are selected; the chosen label."""
    if type(layer).__name__ == "Labels":
        return [int(layer.selected_label)] if layer.selected_label else []
    return sorted(int(number) for number in layer.selected_data)


def draw_next(layer: Layer, role: str) -> None:
    """Set the role of the regions that are drawn from now on.

    :func:`color_by_role` colours them once they are there. Labels have the role of the
    label that is chosen.
    """
    if type(layer).__name__ == "Labels":
        return
    if _ROLE not in layer.features:
        set_roles(layer, {})
    defaults = {name: column.iloc[0] for name, column in layer.feature_defaults.items()}
    layer.feature_defaults = {**defaults, _ROLE: role}


def color_by_role(layer: Layer) -> None:
    """Colour the regions of a layer by their roles."""
    roles, kind = roles_of(layer), type(layer).__name__
    if kind == "Labels":
        from napari.utils.colormaps import DirectLabelColormap

        colors: dict[int | None, str] = {
            number: ROLE_COLORS[role] for number, role in roles.items()
        }
        layer.colormap = DirectLabelColormap(
            color_dict={**colors, 0: "#00000000", None: _NO_ROLE}
        )
        return
    every: list[Any] = [
        ROLE_COLORS.get(roles.get(number, ""), _NO_ROLE)
        for number in range(len(layer.data))
    ]
    if every:
        setattr(layer, "edge_color" if kind == "Shapes" else "border_color", every)
