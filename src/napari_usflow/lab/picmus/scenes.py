"""Finding the images of the PICMUS challenge in a folder, and reading a carotid.

The images are told by their names: those of the challenge
(``contrast_speckle_expe_img_from_rf.hdf5``), or 1 to 4 as they are numbered in
collections (simulated points, simulated cysts, points and cysts of the experiment).
What is on them is in the challenge's phantom files (``contrast_speckle_expe_
phantom.hdf5``), whose names say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io import detect, read
from napari_usflow.io.guards.hdf5 import open_hdf5, read_array
from napari_usflow.io.picmus import Phantom, read_phantom
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = [
    "CAROTID_ENVELOPE_MM",
    "TARGETS",
    "Scene",
    "Target",
    "find_carotid",
    "find_scenes",
    "grid_of",
    "plane_wave_frame",
    "read_carotid",
]

CAROTID_ENVELOPE_MM = 0.42
"""Side of the square over which the root mean square of a carotid is its envelope."""

_NUMBERED = {
    "1": "resolution_distorsion_simu",
    "2": "contrast_speckle_simu",
    "3": "resolution_distorsion_expe",
    "4": "contrast_speckle_expe",
}
_SCENES = {"experiment": "expe", "simulation": "simu"}
TARGETS = {
    f"{shown}_{kind}": (scene, part)
    for scene, kind in _SCENES.items()
    for shown, part in (
        ("contrast_speckle", "cysts"),
        ("resolution_distorsion", "points"),
    )
}
"""Scene, and ``cysts`` or ``points``, by the challenge's name of the phantom."""

_CAROTID_SHAPE = (256, 256)
_CAROTID_PIXEL_MM = 36 / 255
_CAROTID_ORIGIN_MM = (10.0, -18.0)


@dataclass(frozen=True)
class Target:
    """An image (decibels, one frame a number of plane waves) and what is on it."""

    image: UltrasoundImage
    phantom: Phantom


@dataclass(frozen=True)
class Scene:
    """Cysts and points of one kind of acquisition.

    Attributes
    ----------
    name : {"experiment", "simulation"}
    cysts : Target
    points : Target, optional
        None where the folder does not hold them.
    """

    name: str
    cysts: Target
    points: Target | None = None


def find_scenes(folder: Path, phantoms: Path | None = None) -> list[Scene]:
    """Find and read the contrast and resolution images of the challenge.

    Parameters
    ----------
    folder : Path
        Searched for image files at any depth.
    phantoms : Path, optional
        Searched for phantom files at any depth; ``folder`` when omitted.

    Raises
    ------
    ValueError
        When there is no contrast image, or the phantom of an image is missing.
    FileFormatError
        When a file is damaged.
    """
    images = _named(folder, "picmus-image")
    places = phantoms or folder
    targets = _named(places, "picmus-phantom")
    scenes = []
    for name, kind in _SCENES.items():
        cysts = _target(f"contrast_speckle_{kind}", images, targets, places)
        if cysts is not None:
            points = _target(f"resolution_distorsion_{kind}", images, targets, places)
            scenes.append(Scene(name, cysts, points))
    if not scenes:
        raise ValueError(
            f"{folder} holds no contrast image of the PICMUS challenge; expected image "
            "files named contrast_speckle_expe_*.hdf5, contrast_speckle_simu_*.hdf5, "
            "or 4.hdf5 and 2.hdf5"
        )
    return scenes


def _target(
    name: str, images: Mapping[str, Path], phantoms: Mapping[str, Path], places: Path
) -> Target | None:
    if name not in images:
        return None
    if name not in phantoms:
        raise ValueError(
            f"{images[name]} shows the phantom {name}, and {places} does not hold "
            f"{name}_phantom.hdf5; name the folder with --phantoms"
        )
    return Target(read(images[name])[0], read_phantom(phantoms[name]))


def _named(folder: Path, kind: str) -> dict[str, Path]:
    """Files of one kind by what they show; the first of each name."""
    paths: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.h*5")):
        if detect(path) == kind:
            stem = re.sub(r"_(phantom|img.*)$", "", path.stem, flags=re.IGNORECASE)
            paths.setdefault(_NUMBERED.get(stem, stem.lower()), path)
    return paths


def plane_wave_frame(image: UltrasoundImage, plane_waves: int) -> UltrasoundImage:
    """Take the frame of so many plane waves out of a challenge image.

    Raises
    ------
    ValueError
        When it has no such frame.
    """
    counts = list(image.metadata["plane_waves"])
    if plane_waves not in counts:
        raise ValueError(
            f"{image.metadata.get('source', 'the file')} has images of "
            f"{', '.join(map(str, counts))} plane waves, but none of {plane_waves}"
        )
    frame = np.asarray(image.data[counts.index(plane_waves)], dtype=np.float32)
    metadata = {**image.metadata, "plane_waves": [plane_waves]}
    return image.with_data(frame[None], metadata=metadata)


def grid_of(image: UltrasoundImage) -> PixelGrid:
    """Return the Cartesian grid that targets in millimetres need."""
    if not isinstance(image.grid, PixelGrid):
        raise ValueError(
            "a polar image cannot be scored; the targets are given in millimetres"
        )
    return image.grid


def find_carotid(folder: Path) -> Path | None:
    """Find beamformed RF of the challenge's carotid (``*carotid_cross*.mat``)."""
    return next(iter(sorted(folder.rglob("*carotid_cross*.mat"))), None)


def read_carotid(path: Path) -> UltrasoundImage:
    """Read the in-vivo carotid of the challenge, beamformed by others.

    The file (MATLAB 7.3) holds ``x``, signed beamformed RF of 256 x 256 pixels over
    lateral -18 to 18 mm and depth 10 to 46 mm. Its axial step of 0.141 mm is a sample
    and a little a half wavelength at 5.2 MHz: too coarse for the carrier, and a
    Hilbert transform would make streaks. The envelope is therefore the root mean square
    over 0.42 mm each way (3 x 3 pixels). It is for looking at: what speckle is left has
    neither the spread nor the size of the acquisition's.

    Returns
    -------
    UltrasoundImage
        Decibels, one frame.
    """
    from scipy.ndimage import uniform_filter

    with open_hdf5(path) as file:
        rf = read_array(file, "x", ndim=2).T.astype(np.float64)
    if rf.shape != _CAROTID_SHAPE:
        raise FileFormatError(
            f"{path}: x has shape {rf.shape}, expected {_CAROTID_SHAPE}"
        )
    side = round(CAROTID_ENVELOPE_MM / _CAROTID_PIXEL_MM)
    power = uniform_filter(rf**2, size=side, mode="nearest")
    amplitude = np.sqrt(np.maximum(power, 0.0))
    pixel = (_CAROTID_PIXEL_MM, _CAROTID_PIXEL_MM)
    grid = PixelGrid(_CAROTID_SHAPE, pixel, _CAROTID_ORIGIN_MM)
    metadata = {"source": str(path), "name": path.stem}
    return UltrasoundImage(log_compress(amplitude)[None], "db", grid, metadata=metadata)
