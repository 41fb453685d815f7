"""One line on what was taken away of the frame that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_usflow.evaluate.residuals import ResidualReport, residual_report

if TYPE_CHECKING:
    from napari_usflow._napari.compare.comparison import Comparison

__all__ = ["residual_line"]


def residual_line(comparison: Comparison) -> str:
    """Describe the residual of the visible frame: how strong it is, and whether white.

    Parameters
    ----------
    comparison : Comparison
        In the mode ``difference`` or ``ratio``.
    """
    picture = comparison.picture
    residual = picture.residual(comparison.frame_index())
    if residual is None:
        return "One of the layers has no frame here."
    report = residual_report(residual)
    if report is None:
        return "Nothing was removed from this frame, or the frame is too small to tell."
    in_db = picture.mode == "ratio" or picture.pair.values("before")[0] == "db"
    return _sentences(report, " dB" if in_db else "")


def _sentences(report: ResidualReport, unit: str) -> str:
    axial, lateral = report.lengths
    kind = "white" if report.is_white else "not white"
    # A mean of 1e-9 is none.
    mean = report.mean if abs(report.mean) > 0.005 * report.std else 0.0
    text = (
        f"Removed: {report.std:.3g}{unit} (standard deviation), mean "
        f"{mean:+.2g}{unit}. It is {kind}: correlated over {axial:.1f} × "
        f"{lateral:.1f} pixels (white noise 1 × 1; speckle, the size of its grains). "
    )
    if report.is_even:
        return text + "It is about as strong everywhere, as speckle is."
    return text + (
        f"In {report.strong_share:.0%} of the frame it is more than 1.3 times as "
        "strong as usual: look there for structure that was removed too."
    )
