"""Plain-valued summaries of what a file holds, for ``usflow info`` and JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import (
    ChannelData,
    DivergingWave,
    FocusedBeam,
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)

__all__ = ["summary"]


def summary(opened: Opened) -> dict[str, Any]:
    """Summarise what a file holds: its channel data, else its first image."""
    content: dict[str, Any] = {"kind": opened.kind}
    if opened.channel_data is not None:
        content |= _channels(opened.channel_data)
    elif opened.images:
        content |= _image(opened.images[0])
        if len(opened.images) > 1:
            content["images"] = len(opened.images)
    elif opened.grid is not None:
        content |= _grid(opened.grid)
    return {**content, **opened.details}


def _image(image: UltrasoundImage) -> dict[str, Any]:
    """Summarise an image; times in s, lengths in mm."""
    data, place = image.data, _grid(image.grid)
    if image.metadata.get("pixel_size_known") is False:
        place = {"pixels": place["pixels"], "pixel_mm": None}
    content = {
        "shape": list(data.shape),
        "axes": [image.frame_axis, "axial", "lateral"],
        "dtype": str(data.dtype),
        "values": "unknown" if image.metadata.get("question") else image.values,
        "frame_interval_s": image.frame_interval_s,
        **place,
    }
    if isinstance(data, np.ndarray):
        content["value_range"] = [float(np.nanmin(data)), float(np.nanmax(data))]
    shown = image.metadata.get("value_range")
    if shown is not None and not image.metadata.get("question"):
        content["black_and_white"] = list(shown)
    for name in ("question", "plane_waves", "not_for_denoising", "notes"):
        if name in image.metadata:
            content[name] = image.metadata[name]
    return content


def _channels(data: ChannelData) -> dict[str, Any]:
    """Summarise channel data; lengths in mm, frequencies in MHz, angles in degrees."""
    x_mm = 1e3 * data.element_positions_m[:, 0]
    pitch = float(np.median(np.diff(np.sort(x_mm)))) if x_mm.size > 1 else None
    first_s, last_s = (float(edge) for edge in (data.start_time_s.min(), _end_s(data)))
    half_speed = 1e3 * data.sound_speed_m_s / 2
    return {
        "title": data.metadata.get("title", ""),
        "signal": "IQ" if data.is_iq else "RF",
        "shape": list(data.samples.shape),
        "axes": ["frames", "transmits", "channels", "samples"],
        "dtype": str(data.samples.dtype),
        "sampling_mhz": round(data.sampling_frequency_hz / 1e6, 6),
        "center_mhz": round(data.center_frequency_hz / 1e6, 6),
        "demodulation_mhz": round(data.demodulation_frequency_hz / 1e6, 6),
        "sound_speed_m_s": round(data.sound_speed_m_s, 3),
        "start_time_us": round(first_s * 1e6, 4),
        "transmits": _transmit_class(data),
        "angles_deg": [
            round(math.degrees(t.angle_rad), 4)
            for t in data.transmits
            if not isinstance(t, DivergingWave)
        ],
        "element_pitch_mm": None if pitch is None else round(pitch, 5),
        "lateral_range_mm": [round(float(x_mm.min()), 4), round(float(x_mm.max()), 4)],
        "depth_range_mm": [
            round(max(0.0, first_s) * half_speed, 3),
            round(last_s * half_speed, 3),
        ],
        "frame_interval_s": data.frame_interval_s,
        "notes": list(data.metadata.get("notes", [])),
    }


def _transmit_class(data: ChannelData) -> str:
    names = {FocusedBeam: "focused beams", DivergingWave: "diverging waves"}
    return names.get(type(data.transmits[0]), "plane waves")


def _end_s(data: ChannelData) -> float:
    duration = (data.samples.shape[-1] - 1) / data.sampling_frequency_hz
    return float(data.start_time_s.max()) + duration


def _grid(grid: PixelGrid | PolarGrid) -> dict[str, Any]:
    """Summarise where the pixels of an image are."""
    if isinstance(grid, PolarGrid):
        return {
            "pixels": list(grid.shape),
            "radius_mm": [round(v, 5) for v in grid.radius_mm],
            "angle_deg": [round(math.degrees(v), 5) for v in grid.angle_rad],
            "apex_mm": [round(v, 5) for v in grid.apex_mm],
        }
    z_mm, x_mm = grid.axes_mm()
    return {
        "pixels": list(grid.shape),
        "pixel_mm": [round(s, 6) for s in grid.spacing_mm],
        "depth_range_mm": [round(float(z_mm[0]), 4), round(float(z_mm[-1]), 4)],
        "lateral_range_mm": [round(float(x_mm[0]), 4), round(float(x_mm[-1]), 4)],
    }
