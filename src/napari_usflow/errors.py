"""The errors this package raises on purpose, and sizes in words for their texts.

None derives from :class:`RuntimeError`: napari's generator workers swallow that
one, and torch raises it for everything from a wrong shape to a full memory.
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "FileFormatError",
    "JobError",
    "PriorError",
    "UsflowError",
    "size_text",
]


class UsflowError(Exception):
    """Base of the family; its text is written for the user, in one line."""


class FileFormatError(UsflowError, ValueError):
    """A file is damaged, of another kind, or declares something absurd."""


class PriorError(UsflowError, ValueError):
    """A prior file cannot be used, or cannot do what a method asks of it."""


class JobError(UsflowError):
    """A long-running job failed; the cause is chained."""


class Cancelled(UsflowError):
    """The user asked a job to stop. What was finished has already been reported."""


def size_text(count: int) -> str:
    """Write a number of bytes for a message, such as ``4 TB``."""
    for unit, step in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} bytes"
