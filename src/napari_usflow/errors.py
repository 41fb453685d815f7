"""The errors this package raises on purpose.

None derives from :class:`RuntimeError`: napari's generator workers swallow that
one, and torch raises it for everything from a wrong shape to a full memory.
"""

from __future__ import annotations

__all__ = ["Cancelled", "FileFormatError", "JobError", "PriorError", "UsflowError"]


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
