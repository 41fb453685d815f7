"""Beamforming parameters, as forms and preferences offer them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from napari_usflow.parameters import check_parameters, parameter
from napari_usflow.ultrasound.beamform.frame import F_NUMBER, default_grid
from napari_usflow.ultrasound.data import (
    ChannelData,
    PixelGrid,
    PolarGrid,
    pixel_count,
)

__all__ = ["MAX_PIXELS", "BeamformParams"]

MAX_PIXELS = 2**24
"""Largest image that is beamformed by these parameters."""


@dataclass(frozen=True)
class BeamformParams:
    """Beamforming parameters; None takes the value of the file or its grid."""

    plane_waves: int | None = parameter(
        None, minimum=1, help="Number of plane waves to compound"
    )
    f_number: float = parameter(
        F_NUMBER,
        minimum=0.1,
        maximum=20.0,
        help="Depth divided by the width of the receive aperture",
    )
    bandwidth: float = parameter(
        1.0,
        minimum=0.0,
        maximum=2.0,
        help="Width of the receive filter, in carrier frequencies; 0 for none. It "
        "takes out noise and hum, and lengthens echoes in depth",
    )
    sound_speed_m_s: float | None = parameter(
        None, unit="m/s", minimum=300.0, maximum=6000.0, help="Speed of sound"
    )
    depth_from_mm: float | None = parameter(
        None, unit="mm", minimum=0.0, maximum=1000.0, help="Depth of the first pixel"
    )
    depth_to_mm: float | None = parameter(
        None, unit="mm", minimum=0.1, maximum=1000.0, help="Depth of the last pixel"
    )
    pixel_axial_mm: float | None = parameter(
        None, unit="mm", minimum=0.001, maximum=10.0, help="Pixel size in depth"
    )
    pixel_lateral_mm: float | None = parameter(
        None, unit="mm", minimum=0.001, maximum=10.0, help="Pixel size across"
    )
    dynamic_range_db: float = parameter(
        60.0,
        unit="dB",
        minimum=10.0,
        maximum=150.0,
        help="Range of the display below the maximum; the values are not clipped",
    )

    def __post_init__(self) -> None:
        check_parameters(self)

    @property
    def receive_bandwidth(self) -> float | None:
        """Width of the receive filter as the beamformer takes it; None for none."""
        return self.bandwidth or None

    def channel_data(self, data: ChannelData) -> ChannelData:
        """Return the acquisition with the chosen speed of sound."""
        if self.sound_speed_m_s is None:
            return data
        return replace(data, sound_speed_m_s=self.sound_speed_m_s)

    def angles(self, data: ChannelData) -> int | None:
        """Return how many plane waves to compound; None for focused beams."""
        if data.is_focused or self.plane_waves is None:
            return None
        # A preference may ask for more than an acquisition has.
        return min(self.plane_waves, len(data.transmits))

    def grid(
        self, data: ChannelData, stored: PixelGrid | PolarGrid | None
    ) -> PixelGrid | None:
        """Lay the chosen pixels over the usual ones.

        Parameters
        ----------
        data : ChannelData
            The acquisition.
        stored : PixelGrid or PolarGrid, optional
            Pixels that come with it. Without any, or with polar ones, those of
            :func:`~napari_usflow.ultrasound.beamform.default_grid`.

        Returns
        -------
        PixelGrid or None
            None for focused beams, whose image has a line a beam.

        Raises
        ------
        ValueError
            When the depths are the wrong way round, the pixels too many, or pixels are
            chosen for focused beams.
        """
        asked = (
            self.depth_from_mm,
            self.depth_to_mm,
            self.pixel_axial_mm,
            self.pixel_lateral_mm,
        )
        if data.is_focused:
            if any(number is not None for number in asked):
                raise ValueError(
                    "the acquisition holds focused beams, whose image has a line a "
                    "beam; leave depth and pixel size out"
                )
            return None
        usual = stored if isinstance(stored, PixelGrid) else default_grid(data)
        if all(number is None for number in asked):
            return usual
        z_mm, x_mm = usual.axes_mm()
        first, last = (
            float(end if asked is None else asked)
            for asked, end in (
                (self.depth_from_mm, z_mm[0]),
                (self.depth_to_mm, z_mm[-1]),
            )
        )
        if not first < last:
            raise ValueError(
                f"the image would reach from {first:g} to {last:g} mm; let the last "
                "depth be the larger one"
            )
        axial, lateral = (
            asked or step
            for asked, step in zip(
                (self.pixel_axial_mm, self.pixel_lateral_mm),
                usual.spacing_mm,
                strict=True,
            )
        )
        shape = (
            pixel_count(last - first, axial),
            pixel_count(float(x_mm[-1] - x_mm[0]), lateral),
        )
        if math.prod(shape) > MAX_PIXELS:
            raise ValueError(
                f"the image would have {shape[0]} x {shape[1]} pixels; at most "
                f"{MAX_PIXELS} are made: choose larger pixels"
            )
        return PixelGrid(shape, (axial, lateral), (first, usual.origin_mm[1]))
