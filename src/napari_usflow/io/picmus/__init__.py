"""Files of the plane-wave imaging challenge PICMUS (IEEE IUS 2016).

An HDF5 file holds one group ``/US/US_DATASET0000`` of one of four kinds: a *dataset*
(channel data, RF or IQ), a *scan* (pixel axes), a *phantom* (see
:class:`Phantom`) or an *image* (envelopes compounded from
several numbers of plane waves). The kind is told by what the group holds, never by the
file's name. The files are written by MATLAB, so that every array has its axes reversed
here: images are (image, lateral, axial).

``initial_time`` is the time from the transmit event, when the wave passes x = z = 0,
to the first sample: sample n was taken at t = initial_time + n / fs, as in the
challenge's own beamformers (other readers add or ignore it).

Reference: H. Liebgott et al., "Plane-wave imaging challenge in medical ultrasound",
IEEE International Ultrasonics Symposium, 2016.
"""

from __future__ import annotations

from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.guards.hdf5 import open_hdf5
from napari_usflow.io.opened import Opened
from napari_usflow.io.picmus.dataset import CENTER_FREQUENCY_HZ, read_channel_data
from napari_usflow.io.picmus.image import find_scan, read_image, read_scan
from napari_usflow.io.picmus.layout import detect, find_group
from napari_usflow.io.picmus.phantom import (
    Cyst,
    Phantom,
    SpeckleRegion,
    describe_phantom,
    read_phantom,
)

__all__ = [
    "CENTER_FREQUENCY_HZ",
    "PATTERNS",
    "TITLE",
    "Cyst",
    "Phantom",
    "SpeckleRegion",
    "detect",
    "find_scan",
    "open_file",
    "read_channel_data",
    "read_image",
    "read_phantom",
    "read_scan",
]

TITLE = "PICMUS HDF5 files"
PATTERNS = ("*.hdf5", "*.h5")


def open_file(file: SourceFile) -> Opened:
    """Open a file of any kind, a dataset with the grid of its scan file."""
    with open_hdf5(file) as hdf5:
        group = find_group(hdf5)
    kind = None if group is None else group[1]
    if kind == "picmus-dataset":
        scan = find_scan(file)
        noted = {"scan": None if scan is None else str(scan)}
        return Opened(
            channel_data=read_channel_data(file),
            grid=None if scan is None else read_scan(scan),
            grid_metadata={} if scan is None else noted,
            details=noted,
        )
    if kind == "picmus-image":
        image = read_image(file)
        details = {name: image.metadata[name] for name in ("title", "algorithm")}
        return Opened([image], details=details)
    if kind == "picmus-phantom":
        phantom = read_phantom(file)
        return Opened(
            phantom=phantom,
            details=describe_phantom(phantom),
            instead=f"{file} ({kind}) holds no image; open the dataset or the image of "
            "the phantom",
        )
    return Opened(
        grid=read_scan(file),
        instead=f"{file} ({kind}) holds no image, only the pixel positions of an "
        "acquisition; open the dataset file beside it, which is then beamformed at "
        "these positions",
    )
