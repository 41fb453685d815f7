"""Progress, speed and duration of a job, in the words of the window."""

from __future__ import annotations

import numpy as np

__all__ = ["duration_text", "elapsed_text", "figure_text", "progress_text"]


def progress_text(done: int, fraction: float, total: int, elapsed_s: float) -> str:
    """Format the progress of a stack and the time left.

    Parameters
    ----------
    done, total : int
        Finished frames, of all.
    fraction : float
        Part of the frame in work that is done, in [0, 1].
    elapsed_s : float
        Time since the first frame was begun.
    """
    worked = done + fraction
    unit = "frame" if total == 1 else "frames"
    text = f"{done}/{total} {unit}"
    if worked <= 0 or elapsed_s <= 0:
        return text
    each = elapsed_s / worked
    return (
        f"{text} · {figure_text(each, 2)} s/frame · "
        f"{duration_text((total - worked) * each)} left"
    )


def figure_text(value: float, digits: int = 3) -> str:
    """Write a figure to so many significant digits, and never as a power of ten."""
    return np.format_float_positional(
        value, precision=digits, unique=False, fractional=False, trim="-"
    )


def duration_text(seconds: float) -> str:
    """Write a time in at most two units."""
    whole = round(max(seconds, 0.0))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {rest:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def elapsed_text(seconds: float) -> str:
    """Write the time that something took; below a minute with fractions of a second."""
    if seconds < 59.95:
        return f"{figure_text(seconds)} s"
    return duration_text(seconds)
