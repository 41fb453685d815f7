"""Files that are written whole or not at all, and what a killed process leaves.

A part is locked as long as its process lives, so that whoever finds one that is not
locked may delete it.
"""

from __future__ import annotations

import glob
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["new_part", "part_prefix", "sweep_parts", "write_beside"]

# A part is locked right after it is made, and another process may look in between.
_YOUNG_S = 60.0
# Where nothing can be locked, what nobody has touched for so long is left over.
_OLD_S = 86400.0


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a new file in the same folder, renamed to ``path`` if all went well.

    Parts that killed processes left are deleted first.
    """
    sweep_parts(path.parent, part_prefix(path), path.suffix)
    with new_part(path.parent, part_prefix(path), path.suffix) as beside:
        yield beside
        # mkstemp's files are private; a result is an ordinary file.
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        os.replace(beside, path)


def part_prefix(path: Path) -> str:
    """Return how the names of a file's parts begin; short, as names have a limit."""
    return f".{path.stem[:40]}-part-"


@contextmanager
def new_part(folder: Path, prefix: str, suffix: str) -> Iterator[Path]:
    """Yield a new file that is deleted on exit, unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=folder)
    part = Path(name)
    try:
        if sys.platform == "win32":
            # An open file could not be renamed.
            os.close(handle)
        else:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield part
    finally:
        part.unlink(missing_ok=True)
        if sys.platform != "win32":
            os.close(handle)


def sweep_parts(folder: Path, prefix: str, suffix: str) -> None:
    """Delete the parts in a folder whose processes are gone."""
    for left in folder.glob(f"{glob.escape(prefix)}*{glob.escape(suffix)}"):
        # Another process may have deleted it, or own it.
        with suppress(OSError):
            if _is_abandoned(left):
                left.unlink()


def _is_abandoned(part: Path) -> bool:
    age_s = time.time() - part.lstat().st_mtime
    if not part.is_file() or part.is_symlink() or age_s < _YOUNG_S:
        return False
    if sys.platform == "win32":
        return age_s > _OLD_S
    handle = os.open(part, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return age_s > _OLD_S
    finally:
        os.close(handle)
