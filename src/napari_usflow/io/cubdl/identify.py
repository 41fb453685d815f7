"""Which institution and acquisition a CUBDL file is: by its name, else by content.

The files do not say it inside, but the institutions stored different datasets, which
tells most of them apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io.cubdl.conventions import CONVENTIONS, INSTITUTIONS, Conventions
from napari_usflow.io.guards.file_checks import FilePath, SourceFile
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    open_hdf5,
    read_array,
)

__all__ = ["Identity", "detect", "identify"]

# At the start of a word: letters and number, or the letters alone.
_LETTERS = "|".join(INSTITUTIONS)
_NAME = re.compile(rf"(?<![A-Z])({_LETTERS})(?:[ _-]?(\d{{1,3}})(?!\d)|(?![A-Z0-9]))")
_SAMPLING = ("sampling_frequency", "channel_data_sampling_frequency")


@dataclass(frozen=True)
class Identity:
    """Identity of a CUBDL file.

    Attributes
    ----------
    conventions : Conventions
        How it is to be read.
    acquisition : int, optional
        Its number, where that is known.
    notes : list of str
        What had to be decided.
    """

    conventions: Conventions
    acquisition: int | None
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Letters and number, such as ``MYO003``; the letters without a number."""
        number = "" if self.acquisition is None else f"{self.acquisition:03d}"
        return self.conventions.institution + number


def detect(file: SourceFile) -> str | None:
    """Return ``cubdl`` for a file of this layout, else None; reads no data."""
    if not file.is_hdf5:
        return None
    with open_hdf5(file) as hdf5:
        if not has_member(hdf5, "modulation_frequency"):
            return None
        if not any(has_member(hdf5, name) for name in _SAMPLING):
            return None
        find_dataset(hdf5, "channel_data", max_bytes=None)
        return "cubdl"


def identify(
    file: h5py.File, path: FilePath, acquisition: str | None = None
) -> Identity:
    """Find out what a file is.

    Parameters
    ----------
    file : h5py.File
        The open file.
    path : path
        Its path; the name may say it, as in ``MYO003.hdf5``.
    acquisition : str, optional
        What the user says that it is, as ``MYO003`` or ``MYO``; goes before the name.

    Raises
    ------
    ValueError
        When ``acquisition`` names nothing.
    FileFormatError
        When neither tells, or the file lacks what its name promises.
    """
    if acquisition is not None:
        said = _NAME.fullmatch(acquisition.strip().upper())
        if said is None:
            raise ValueError(
                f"acquisition is {acquisition!r}; expected one of "
                f"{', '.join(INSTITUTIONS)} with its number, such as MYO003"
            )
    else:
        said = _NAME.search(Path(path).stem.upper())
    if said is None:
        letters, number, note = _institution(file, path), None, ""
    else:
        letters, number = said[1], None if said[2] is None else int(said[2])
        note = "the number of the acquisition is not known"
        if number is not None:
            note = f"{said[0]}: an acquisition that the challenge does not describe"
    for row in CONVENTIONS:
        if row.institution == letters and number in row.acquisitions:
            return Identity(row, number)
    note = note or f"taken for {letters} by its content; its number is not known"
    row = _row(letters, file, path)
    return Identity(row, number, [f"{note}; read as others of {letters}"])


def _institution(file: h5py.File, path: FilePath) -> str:
    """Tell the institution by what it stored, or ask."""
    candidates = _candidates(file)
    if len(candidates) != 1:
        guess = " or ".join(candidates) or "none that is known"
        raise FileFormatError(
            f"{path} is a CUBDL file, but its name does not say which, and by its "
            f"content it is {guess}; name it after institution and number, such as "
            f"MYO003.hdf5 ({', '.join(INSTITUTIONS)}), or give acquisition='MYO003'"
        )
    return candidates[0]


def _candidates(file: h5py.File) -> tuple[str, ...]:
    if _is_focused(file):
        return ("OSL", "JHU") if has_member(file, "transmit_origin") else ("JHU",)
    if has_member(file, "channel_data_sampling_frequency"):
        return ("UFL",)
    if has_member(file, "time_zero"):
        return ("JHU",)
    transmits = find_dataset(file, "channel_data", max_bytes=None).shape[0]
    if has_member(file, "angles"):
        angles = find_dataset(file, "angles", max_bytes=2**20)
        return ("MYO",) if angles.size == transmits else ("TSH",)
    if has_member(file, "transmit_direction"):
        direction = find_dataset(file, "transmit_direction", max_bytes=2**20)
        return ("EUT",) if direction.shape[0] == transmits else ("INS", "OSL")
    return ()


def _row(letters: str, file: h5py.File, path: FilePath) -> Conventions:
    """Choose the row of an institution for an acquisition without a known number."""
    focused = _is_focused(file)
    rows = [
        row
        for row in CONVENTIONS
        if row.institution == letters and (row.beams is not None) == focused
    ]
    if focused:
        stored = has_member(file, "transmit_origin")
        rows = [row for row in rows if (row.beams == "stored") == stored]
        steered = stored and _starts_at_one_point(file)
        # Of beams that start side by side the directions are not to be trusted.
        rows.sort(key=lambda row: (row.direction_factor != 0) != steered)
    if not rows:
        kind = "focused beams" if focused else "plane waves"
        raise FileFormatError(
            f"{path} holds {kind}, which {letters} ({INSTITUTIONS[letters]}) did not "
            "contribute in this layout; say which acquisition it is, such as "
            "acquisition='MYO003'"
        )
    return rows[0]


def _is_focused(file: h5py.File) -> bool:
    """Return whether a focal distance is stored that is one, and not infinity or 0."""
    if not has_member(file, "transmit_focus"):
        return False
    dataset = find_dataset(file, "transmit_focus", max_bytes=2**20)
    focus = np.asarray(dataset[()], np.float64)
    return bool((np.isfinite(focus) & (focus > 0)).any())


def _starts_at_one_point(file: h5py.File) -> bool:
    origin = read_array(file, "transmit_origin", ndim=2, max_bytes=2**20)
    return bool(np.ptp(origin[0]) == 0)
