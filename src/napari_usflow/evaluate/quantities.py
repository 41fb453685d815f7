"""The numbers that can be measured: what each is called, and what it is good for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUANTITIES", "Quantity"]


@dataclass(frozen=True)
class Quantity:
    """What a number is, for tables, axes and tooltips.

    Attributes
    ----------
    name : str
        Field of :class:`Measurement`.
    label, unit : str
        For the user.
    digits : int
        Digits after the point.
    help : str
        What it is, and what it is good and bad for.
    """

    name: str
    label: str
    unit: str
    digits: int
    help: str

    @property
    def title(self) -> str:
        """Label with the unit, for an axis or a row."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


_ANY_SMOOTHING = (
    " It rises with any smoothing: read it beside a width (point or wall), or a blur "
    "looks like an improvement."
)

QUANTITIES: tuple[Quantity, ...] = (
    Quantity(
        "area_mm2",
        "Area",
        "mm²",
        2,
        "Area of the pixels that were measured. Small regions give unsure numbers: "
        "count on a few hundred grains of speckle.",
    ),
    Quantity(
        "mean_db",
        "Mean",
        "dB",
        2,
        "Mean of the decibels. Its change is the level shift: a method that keeps the "
        "level of homogeneous tissue has none. It says nothing of noise or detail.",
    ),
    Quantity(
        "contrast_db",
        "Contrast",
        "dB",
        2,
        "20 log10(|difference of the means| / pooled standard deviation), as the "
        "PICMUS challenge defines it; against the background (or else the speckle "
        "region) nearest to the target." + _ANY_SMOOTHING,
    ),
    Quantity(
        "cnr",
        "CNR",
        "",
        2,
        "Contrast-to-noise ratio: difference of the means over the root of the summed "
        "variances." + _ANY_SMOOTHING,
    ),
    Quantity(
        "gcnr",
        "gCNR",
        "",
        3,
        "Generalized CNR: share of the two histograms that does not overlap, 0 to 1. "
        "Changes of the grey map do not move it, but it ends at 1, and few grey levels "
        "or few pixels push it up." + _ANY_SMOOTHING,
    ),
    Quantity(
        "speckle_snr",
        "Speckle SNR",
        "",
        2,
        "Mean over standard deviation of the envelope. 1.91 is fully developed "
        "speckle; despeckling raises it. Good only where tissue is homogeneous."
        + _ANY_SMOOTHING,
    ),
    Quantity(
        "enl",
        "ENL",
        "",
        1,
        "Equivalent number of looks: mean squared over variance of the intensity. 1 is "
        "fully developed speckle. Good only where tissue is homogeneous; a gradient "
        "lowers it." + _ANY_SMOOTHING,
    ),
    Quantity(
        "fwhm_axial_mm",
        "FWHM axial",
        "mm",
        3,
        "Width along depth of the brightest point within 1.8 mm, 6 dB below its peak. "
        "Resolution of the system where the point stands alone; a saturated point is "
        "too wide, and a method that sharpens points makes no new detail.",
    ),
    Quantity(
        "fwhm_lateral_mm",
        "FWHM lateral",
        "mm",
        3,
        "Width across the beam of the brightest point within 1.8 mm, 6 dB below its "
        "peak; see FWHM axial.",
    ),
    Quantity(
        "edge_mm",
        "Edge 10-90 %",
        "mm",
        3,
        "Distance over which the level goes from 10 % to 90 % of its step, along a "
        "line or, averaged, along a box drawn across the wall. Speckle makes single "
        "lines unsure: draw a box. Smoothing widens it; that is what it is for.",
    ),
)
"""What is measured, in the order of the table."""
