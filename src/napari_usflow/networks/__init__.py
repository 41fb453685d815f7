"""Feed-forward denoisers: one pass for an image."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["export_onnx", "load_network"]

_HOMES = {
    "export_onnx": "onnx_export",
    "load_network": "store",
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; a file can be described without it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
