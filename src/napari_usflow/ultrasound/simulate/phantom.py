"""The sample acquisition: simulated on first use, then kept in the user's cache."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from napari_usflow.errors import UsflowError
from napari_usflow.jobs import CancelToken, Event, Note, result_of
from napari_usflow.ultrasound.data import ChannelData
from napari_usflow.ultrasound.simulate.picmus_files import (
    is_whole,
    write_dataset,
    write_phantom,
)
from napari_usflow.ultrasound.simulate.plane_waves import (
    simulate_acquisition,
    simulate_acquisition_events,
)
from napari_usflow.ultrasound.simulate.scene import Scene, sample_scene

__all__ = [
    "sample_acquisition",
    "sample_files",
    "sample_folder",
    "simulate_acquisition",
]

SAMPLE_ANGLES_RAD = np.radians(np.linspace(-16, 16, 11))
"""The plane waves of the sample, spread over the range of the PICMUS challenge."""

SAMPLE_RESOLUTION_MM = (0.35, 0.52)
"""Axial and lateral -6 dB width of a point of the sample.

Axially that of the pulse behind the beamformer's receive filter, laterally the
wavelength times the f-number of 1.75.
"""

# Raise it when the sample changes: a cached one of another number is not used.
_RECIPE = 1


def sample_folder() -> Path:
    """Where samples are kept: ``samples`` in the user's cache of napari-usflow."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("napari-usflow", appauthor=False)) / "samples"


def sample_acquisition(seed: int = 0) -> tuple[ChannelData, Scene]:
    """Simulate the sample acquisition without keeping it.

    Parameters
    ----------
    seed : int
        Of the scatterers and of the noise.

    Returns
    -------
    ChannelData
        Eleven plane waves from -16 to 16 degrees on the 128 elements of the PICMUS
        probe, RF, white noise 40 dB below the signal.
    Scene
        What was simulated, see
        :func:`~napari_usflow.ultrasound.simulate.scene.sample_scene`.
    """
    return result_of(_sample_events(seed, None))


def sample_files(
    *, seed: int = 0, folder: Path | None = None, token: CancelToken | None = None
) -> Generator[Event, None, tuple[Path, Path]]:
    """Return the files of the sample acquisition, simulating it if they are not there.

    Parameters
    ----------
    seed : int
        As for :func:`sample_acquisition`.
    folder : Path, optional
        Where to keep them; :func:`sample_folder` when omitted.
    token : CancelToken, optional
        Looked at between two elements.

    Returns
    -------
    (Path, Path)
        The PICMUS dataset (RF) and the PICMUS phantom. Files that are damaged are
        made again.

    Raises
    ------
    UsflowError
        If the folder cannot be written.
    """
    folder = sample_folder() if folder is None else Path(folder)
    stem = folder / f"in_silico_{_RECIPE}_seed_{seed}_simu"
    paths = (Path(f"{stem}_dataset_rf.hdf5"), Path(f"{stem}_phantom.hdf5"))
    if all(is_whole(path) for path in paths):
        return paths
    yield Note(f"simulating the sample acquisition, once; it is kept in {folder}")
    channel_data, scene = yield from _sample_events(seed, token)
    axial, lateral = SAMPLE_RESOLUTION_MM
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_dataset(paths[0], channel_data)
        write_phantom(
            paths[1], scene, axial_resolution_mm=axial, lateral_resolution_mm=lateral
        )
    except OSError as error:
        raise UsflowError(
            f"the sample acquisition cannot be written to {folder} ({error}); "
            "free some space there or make it writable"
        ) from error
    return paths


def _sample_events(
    seed: int, token: CancelToken | None
) -> Generator[Event, None, tuple[ChannelData, Scene]]:
    scene = sample_scene(seed)
    channel_data = yield from simulate_acquisition_events(
        scene, angles_rad=SAMPLE_ANGLES_RAD, seed=seed, token=token
    )
    return channel_data, scene
