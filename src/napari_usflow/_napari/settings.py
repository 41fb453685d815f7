"""What the user prefers, from napari's preferences where there are any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_usflow.ultrasound.beamform.params import BeamformParams

__all__ = [
    "PICMUS_NAMES",
    "PLUGIN",
    "Preferences",
    "associate_files",
    "own_weights",
    "preferences",
    "remember_own_weights",
]

PLUGIN = "napari-usflow"

PICMUS_NAMES = (
    "*_dataset_rf.hdf5",
    "*_dataset_iq.hdf5",
    "*_img_from_rf.hdf5",
    "*_img_from_iq.hdf5",
    "*_phantom.hdf5",
    "*_scan.hdf5",
)
"""How the files of the PICMUS challenge are called."""


@dataclass(frozen=True)
class Preferences:
    """Defaults of the widgets and of the menu command.

    Attributes
    ----------
    device : str
        ``auto`` or a torch device.
    prior : str
        Name or path of a prior for the flow methods; empty for the one that is shipped.
    associate : bool
        Whether napari may be told to open PICMUS files without asking.
    beamform : BeamformParams
        How raw data are beamformed when they are opened.
    picmus_url : str
        Address of the PICMUS archive; empty for the challenge's own site.
    """

    device: str = "auto"
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

        kept: Any = get_plugin_settings(PLUGIN)
        return Preferences(
            device=str(kept.compute.device),
            prior=str(kept.compute.prior).strip(),
            associate=bool(kept.files.associate),
            beamform=BeamformParams(
                # Preferences hold numbers only: 0 stands for what the file says.
                plane_waves=int(kept.acquisition.plane_waves) or None,
                f_number=float(kept.acquisition.f_number),
                bandwidth=float(kept.acquisition.bandwidth),
                sound_speed_m_s=float(kept.acquisition.sound_speed_m_s) or None,
                dynamic_range_db=float(kept.acquisition.dynamic_range_db),
            ),
            picmus_url=str(kept.files.picmus_url).strip(),
        )
    except (ImportError, KeyError, AttributeError):
        return Preferences()


def own_weights() -> list[str]:
    """Return the paths of the weights that the user took into use, the newest first."""
    compute = _compute()
    kept = "" if compute is None else str(getattr(compute, "own_weights", ""))
    return [path for path in kept.split(os.pathsep) if path]


def remember_own_weights(paths: Sequence[str]) -> None:
    """Keep these paths for the next session, where napari keeps preferences."""
    compute = _compute()
    if compute is not None and hasattr(compute, "own_weights"):
        compute.own_weights = os.pathsep.join(paths)


def _compute() -> Any:
    try:
        from napari.settings import get_plugin_settings

        kept: Any = get_plugin_settings(PLUGIN)
        return kept.compute
    except (ImportError, KeyError, AttributeError):
        return None


def associate_files() -> None:
    """Have napari open files with PICMUS names by this plugin, without asking.

    napari's own reader claims every ``*.hdf5`` too, so that a dropped file brings up
    a choice of readers. Only the names of the challenge are associated, and none that
    the user has given to another plugin; the preference *Files* turns this off.
    """
    if not preferences().associate:
        return
    from napari.settings import get_settings

    plugins = get_settings().plugins
    known = plugins.extension2reader
    missing = {name: PLUGIN for name in PICMUS_NAMES if name not in known}
    if missing:
        # Assigned, not updated in place: only that is saved.
        plugins.extension2reader = {**known, **missing}
