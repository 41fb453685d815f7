"""Packages that only some formats need, and what they raise for damaged files."""

from __future__ import annotations

import importlib
import struct
import zlib
from pathlib import Path
from typing import Any

from napari_usflow.errors import UsflowError

__all__ = ["LIBRARY_ERRORS", "need_package"]

LIBRARY_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""Exceptions that libraries raise when the bytes of a file are nonsense."""


def need_package(name: str, path: Path, kind: str, *, extra: str) -> Any:
    """Import an optional package; UsflowError with the remedy when it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsflowError(
            f"{path} is a {kind} file, and reading it needs {name}: "
            f'pip install "napari-usflow[{extra}]"'
        ) from error
