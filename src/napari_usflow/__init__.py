"""Ultrasound speckle suppression with a normalizing-flow prior learned from MRI.

The public names are loaded when they are first used, so that importing the package
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "read": "io",
    "read_channel_data": "io",
    "write": "io.outputs.writing",
    "beamform": "ultrasound.beamform",
    "scan_convert": "ultrasound.scan_convert",
    "find_sector": "ultrasound.sectors.find",
    "Sector": "ultrasound.sectors.geometry",
    "simulate_speckle": "ultrasound.simulate.speckle",
    "denoise": "denoising.denoise",
    "method_class": "denoising.algorithms",
    "methods": "denoising.algorithms",
    "uncertainty": "denoising.uncertainty",
    "load_prior": "prior.flow_prior",
    "DeepinvDenoiser": "interop.deepinv",
    "train_network": "training.network.train",
    "train_prior": "training.flow.train",
    "cnr": "evaluate.region_metrics",
    "contrast": "evaluate.region_metrics",
    "enl": "evaluate.region_metrics",
    "gcnr": "evaluate.region_metrics",
    "measure": "evaluate.measure",
    "psnr": "evaluate.metrics",
    "Region": "evaluate.regions",
    "speckle_snr": "evaluate.region_metrics",
    "ssim": "evaluate.metrics",
    "ChannelData": "ultrasound.data",
    "DivergingWave": "ultrasound.data",
    "FocusedBeam": "ultrasound.data",
    "MriStack": "mri",
    "PixelGrid": "ultrasound.data",
    "PlaneWave": "ultrasound.data",
    "PolarGrid": "ultrasound.data",
    "UltrasoundImage": "ultrasound.data",
    "CancelToken": "jobs",
    "Event": "jobs",
    "FrameDone": "jobs",
    "Note": "jobs",
    "Progress": "jobs",
    "CheckpointWritten": "training.events",
    "Estimated": "training.events",
    "Previewed": "training.events",
    "TrainStep": "training.events",
    "Validated": "training.events",
    "Cancelled": "errors",
    "FileFormatError": "errors",
    "PriorError": "errors",
    "UsflowError": "errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
