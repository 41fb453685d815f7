"""The numbers that can be measured in a region; a new one is a line in :data:`MODULES`.

A module describes its numbers and measures them (its ``QUANTITIES``). Tables, tooltips,
plots, :func:`napari_usflow.measure` and ``usflow measure`` find them here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from napari_usflow.evaluate.quantities.contract import Quantity

__all__ = ["MODULES", "quantities"]

MODULES = (
    f"{__name__}.level",
    f"{__name__}.contrast",
    f"{__name__}.speckle",
    f"{__name__}.point",
    f"{__name__}.wall",
)
"""Where the numbers are, in the order of the table."""


def quantities() -> tuple[Quantity, ...]:
    """Return what is measured, in the order of the table."""
    return _loaded(MODULES)


@cache
def _loaded(modules: tuple[str, ...]) -> tuple[Quantity, ...]:
    return tuple(q for name in modules for q in import_module(name).QUANTITIES)
