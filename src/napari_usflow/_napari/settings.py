"""User preferences, from napari's where there are any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_usflow.ultrasound.beamform.params import BeamformParams

__all__ = [
    "OWN_NAMES",
    "PLUGIN",
    "Preferences",
    "associate_files",
    "own_weights",
    "preferences",
    "remember_own_weights",
]

PLUGIN = "napari-usflow"

OWN_NAMES = (
    "*_dataset_rf.hdf5",
    "*_dataset_iq.hdf5",
    "*_img_from_rf.hdf5",
    "*_img_from_iq.hdf5",
    "*_phantom.hdf5",
    "*_scan.hdf5",
    "*.ome.tif",
    "*.ome.tiff",
    "*.tif",
    "*.tiff",
    "*.zarr/",
)
"""Names of files that are opened here: those of the PICMUS challenge and of results.

TIFF and Zarr of other programs are passed on to napari's own reader.
"""


@dataclass(frozen=True)
class Preferences:
    """Defaults of the widgets and of the menu command.

    Attributes
    ----------
    device : str
        ``auto`` or a torch device.
    method : str
        Name of the method that the menu and the widget start with.
    prior : str
        Name or path of a prior for the flow methods; empty for the one that is shipped.
    associate : bool
        Whether napari may be told to open such files without asking.
    beamform : BeamformParams
        How raw data are beamformed when they are opened.
    picmus_url : str
        Address of the PICMUS archive; empty for the challenge's own site.
    """

    device: str = "auto"
    method: str = "best"
    prior: str = ""
    associate: bool = True
    beamform: BeamformParams = field(default_factory=BeamformParams)
    picmus_url: str = ""


def preferences() -> Preferences:
    """Read the preferences; the defaults where napari keeps none for plugins.

    napari has had preferences of plugins since 0.9, and has none for a plugin that
    is disabled or run from a script without being installed.
    """
    try:
        from napari.settings import get_plugin_settings

        stored: Any = get_plugin_settings(PLUGIN)
        return Preferences(
            device=str(stored.compute.device),
            method=str(stored.compute.method),
            prior=str(stored.compute.prior).strip(),
            associate=bool(stored.files.associate),
            beamform=BeamformParams(
                # Preferences hold numbers only: 0 stands for what the file says.
                plane_waves=int(stored.acquisition.plane_waves) or None,
                f_number=float(stored.acquisition.f_number),
                bandwidth=float(stored.acquisition.bandwidth),
                sound_speed_m_s=float(stored.acquisition.sound_speed_m_s) or None,
                dynamic_range_db=float(stored.acquisition.dynamic_range_db),
            ),
            picmus_url=str(stored.files.picmus_url).strip(),
        )
    except (ImportError, KeyError, AttributeError):
        return Preferences()


def own_weights() -> list[str]:
    """Return the paths of the weights that the user took into use, the newest first."""
    compute = _compute()
    joined = "" if compute is None else str(getattr(compute, "own_weights", ""))
    return [path for path in joined.split(os.pathsep) if path]


def remember_own_weights(paths: Sequence[str]) -> None:
    """Keep these paths for the next session, where napari keeps preferences."""
    compute = _compute()
    if compute is not None and hasattr(compute, "own_weights"):
        compute.own_weights = os.pathsep.join(paths)


def _compute() -> Any:
    try:
        from napari.settings import get_plugin_settings

        stored: Any = get_plugin_settings(PLUGIN)
        return stored.compute
    except (ImportError, KeyError, AttributeError):
        return None


def associate_files() -> None:
    """Have napari open files with names of ours by this plugin, without asking.

    napari's own reader claims every ``*.hdf5`` and ``*.tif`` too, so that a dropped
    file brings up a choice of readers. Only :data:`OWN_NAMES` are associated, and none
    that the user has given to another plugin; the preference *Files* turns this off.
    """
    if not preferences().associate:
        return
    from napari.settings import get_settings

    plugins = get_settings().plugins
    known = plugins.extension2reader
    missing = {name: PLUGIN for name in OWN_NAMES if name not in known}
    if missing:
        # Assigned, not updated in place: only that is saved.
        plugins.extension2reader = {**known, **missing}
