"""Ultrasound speckle suppression with a normalizing-flow prior learned from MRI.

The public names are loaded when they are first used, so that importing the package
costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Threads that wait must sleep. OpenMP's spin by default, and where another program
# wants the same cores torch is then ten times slower. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "read": "io",
    "read_channel_data": "io",
    "beamform": "ultrasound.beamform",
    "scan_convert": "ultrasound.scan_convert",
    "simulate_speckle": "ultrasound.simulate.speckle",
    "denoise": "denoise",
    "methods": "denoise",
    "uncertainty": "denoise.uncertainty",
    "measure": "evaluate.measure",
    "Region": "evaluate.regions",
    "load_prior": "prior",
    "train_network": "training.network.train",
    "train_prior": "training.flow.train",
    "ChannelData": "ultrasound.data",
    "DivergingWave": "ultrasound.data",
    "FocusedBeam": "ultrasound.data",
    "PixelGrid": "ultrasound.data",
    "PlaneWave": "ultrasound.data",
    "PolarGrid": "ultrasound.data",
    "UltrasoundImage": "ultrasound.data",
    "UsflowError": "errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    module = import_module(f"{__name__}.{home}")
    # ``denoise`` is a package that can be called. Importing it binds it here, and
    # whoever imports it must find the package, whatever was used first.
    value = module if home == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
