"""The normalizing flow: architecture, weights, and the prior it makes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["PRIOR_PIXEL_MM", "FlowPrior", "load_prior"]

PRIOR_PIXEL_MM = 14 / 32
"""The prior sees 32 by 32 pixels that cover 14 mm by 14 mm."""

_HOMES = {
    "FlowPrior": "flow_prior",
    "load_prior": "flow_prior",
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; a file can be described without it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
