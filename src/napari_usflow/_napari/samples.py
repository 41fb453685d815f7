"""Sample data: made on first use, or downloaded when asked for by name."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from napari_usflow._napari.jobs.modal_wait import wait_for
from napari_usflow._napari.layers.content import LayerData, layer_data
from napari_usflow._napari.readers import read_layers
from napari_usflow._napari.settings import associate_files, preferences
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Event, Note, changed_events

__all__ = [
    "moving_clip",
    "picmus_contrast",
    "picmus_resolution",
    "plane_wave_acquisition",
]

T = TypeVar("T")

_NAMES = {
    "image": "in-silico B-mode",
    "shapes": "in-silico regions",
    "points": "in-silico points",
}


def moving_clip() -> list[LayerData]:
    """Simulate a vessel that pulsates, one beat of 20 frames; takes a few seconds.

    Returns
    -------
    list of layer data
        The clip, in seconds and millimetres.
    """
    from napari_usflow.ultrasound.simulate.pulsating_vessel import vessel_clip_events

    clip = wait_for(vessel_clip_events(), "Simulating a clip")
    return [layer_data(clip)]


def plane_wave_acquisition() -> list[LayerData]:
    """Simulate a plane-wave acquisition (or take the one made before) and open it.

    Returns
    -------
    list of layer data
        The beamformed image, and the phantom's regions and points over it.
    """
    from napari_usflow.ultrasound.simulate.phantom import sample_files

    associate_files()
    dataset, phantom = wait_for(sample_files(), "Simulating an acquisition")
    layers = [*read_layers(dataset), *read_layers(phantom)]
    return [(data, {**kw, "name": _NAMES[kind]}, kind) for data, kw, kind in layers]


def picmus_contrast() -> list[LayerData]:
    """Open the measured contrast phantom of the PICMUS challenge with its targets.

    The challenge's archive is downloaded first where that was not done before; napari
    waits, and a dialog shows how far it is.

    Returns
    -------
    list of layer data
        The beamformed image of the 75 plane waves, the cysts and the speckle regions.

    Raises
    ------
    UsflowError
        When the archive cannot be had, or the download was cancelled.
    """
    return _picmus("contrast_speckle_expe")


def picmus_resolution() -> list[LayerData]:
    """Open the measured resolution phantom of the PICMUS challenge with its points.

    Downloads as :func:`picmus_contrast` does.
    """
    return _picmus("resolution_distorsion_expe")


def _picmus(stem: str) -> list[LayerData]:
    from napari.utils.notifications import show_warning

    from napari_usflow.io.picmus.challenge import ARCHIVE_URL, challenge_files

    associate_files()
    token = CancelToken()
    events = challenge_files(
        # IQ is a quarter of the RF, and gives the same image.
        f"{stem}_dataset_iq.hdf5",
        f"{stem}_phantom.hdf5",
        f"{stem}_scan.hdf5",
        url=preferences().picmus_url or ARCHIVE_URL,
        token=token,
    )
    warnings: list[str] = []
    try:
        dataset, phantom, _ = wait_for(
            _keeping_notes(events, warnings), "PICMUS challenge", token=token
        )
    except Cancelled as error:
        # napari wants layers or a reason.
        raise Cancelled("the download of the PICMUS archive was cancelled") from error
    # The first note only says that the download begins.
    for text in warnings[1:]:
        show_warning(text)
    return [*read_layers(dataset), *read_layers(phantom)]


def _keeping_notes(
    events: Generator[Event, None, T], texts: list[str]
) -> Generator[Event, None, T]:
    """Pass events on, keeping what the user should read."""

    def keep(event: Event) -> Event:
        if isinstance(event, Note):
            texts.append(event.text)
        return event

    return changed_events(events, keep)
