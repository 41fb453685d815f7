"""Names for the arrays and numbers that denoisers take and return."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Frame", "Grain", "Mask", "UncertaintyKind"]

Frame = npt.NDArray[np.float32]
"""An image (Z, X), nominally in [0, 1]."""

Grain = tuple[float, float]
"""Standard deviation (axial, lateral) of the amplitude of the point-spread function, in
pixels."""

Mask = npt.NDArray[np.bool_]
"""Which pixels (Z, X)."""

UncertaintyKind = Literal["std", "disagreement", "spread"]
"""Kind of an uncertainty: standard deviation, or a network's measure."""
