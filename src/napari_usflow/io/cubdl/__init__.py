"""Acquisitions of the challenge on beamforming with deep learning, CUBDL (IEEE 2020).

Seven institutions contributed plane waves and focused beams, in flat HDF5 files named
after institution and number, such as ``MYO003.hdf5``. Each stored angles, times and
positions in its own way; :mod:`~napari_usflow.io.cubdl.conventions` says how. The data
come under a signed agreement (https://doi.org/10.21227/f0hn-8f92) and are no part of
this project.
"""

from __future__ import annotations

from napari_usflow.io.cubdl.channel_data import read_channel_data
from napari_usflow.io.cubdl.conventions import CONVENTIONS, INSTITUTIONS, Conventions
from napari_usflow.io.cubdl.identify import detect
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.opened import Opened

__all__ = [
    "CONVENTIONS",
    "INSTITUTIONS",
    "OPTIONS",
    "PATTERNS",
    "TITLE",
    "Conventions",
    "detect",
    "open_file",
    "read_channel_data",
]

TITLE = "CUBDL HDF5 files"
PATTERNS = ("*.hdf5", "*.h5")
OPTIONS = ("acquisition",)


def open_file(file: SourceFile, *, acquisition: str | None = None) -> Opened:
    """Open an acquisition; ``acquisition`` says which, such as ``MYO003``."""
    data = read_channel_data(file, acquisition=acquisition)
    details = {"acquisition": data.metadata["acquisition"]}
    return Opened(channel_data=data, details=details)
