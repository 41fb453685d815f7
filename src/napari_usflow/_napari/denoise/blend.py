"""Strength and Mix back of a finished result: a blend with its input, at once."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow._napari.layers.content import usflow_metadata
from napari_usflow._napari.layers.frame_array import FrameArray

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_usflow.ultrasound.data import ArrayLike, Values

__all__ = ["Blend", "BlendedStack"]

_LEAST = 1e-3
"""Share of the speckle that a run must have removed to be blended."""


class BlendedStack(FrameArray):
    """Input and result of a denoiser, mixed when a frame is looked at.

    Parameters
    ----------
    source, result : array, shape (T, Z, X) or (Z, X)
        Input and result.
    share : float
        0 shows the input, 1 the result.
    envelope : bool
        Whether the values are a linear envelope, which is mixed in decibels.
    """

    def __init__(
        self, source: ArrayLike, result: ArrayLike, share: float, *, envelope: bool
    ) -> None:
        super().__init__(source.shape)
        self._source, self._result = source, result
        self._share, self._envelope = share, envelope

    def _shown(self, index: int) -> npt.NDArray[np.float32]:
        key: Any = ... if self.ndim == 2 else index
        noisy = np.asarray(self._source[key], np.float32)
        clean = np.asarray(self._result[key], np.float32)
        if self._envelope:
            tiny = np.finfo(np.float32).tiny
            noisy, clean = (np.log(np.maximum(part, tiny)) for part in (noisy, clean))
        mixed = noisy + np.float32(self._share) * (clean - noisy)
        return np.exp(mixed) if self._envelope else mixed


class Blend:
    """A finished result that follows Strength and Mix back without a new run.

    Parameters
    ----------
    source : array
        The input, of the shape of the result.
    result : napari.layers.Image
        Its data are those of the run.
    values : {"db", "envelope", "display"}
        What the numbers are.
    strength, mix_back : float
        Of the run.
    """

    def __init__(
        self,
        source: ArrayLike,
        result: Image,
        values: Values,
        strength: float,
        mix_back: float,
    ) -> None:
        self._source, self._values = source, values
        self._result, self._data = weakref.ref(result), result.data
        self._strength, self._removed = strength, 1 - mix_back
        self._shown = (strength, mix_back)

    def follow(self, strength: float, mix_back: float) -> str:
        """Show the result with other settings.

        Returns
        -------
        str
            What the user should know.
        """
        result = self._result()
        if result is None or (strength, mix_back) == self._shown:
            return ""
        if min(self._strength, self._removed) < _LEAST:
            return "This result keeps the input; run again to change it."
        if strength > self._strength:
            return "A higher strength than that of the run takes a new run."
        self._shown = (strength, mix_back)
        share = strength / self._strength
        share *= (1 - mix_back) / self._removed
        noted = {**usflow_metadata(result)}
        noted.pop("blend", None)
        if abs(share - 1) < _LEAST:
            result.data = self._data
        else:
            result.data = BlendedStack(
                self._source, self._data, share, envelope=self._values == "envelope"
            )
            noted["blend"] = {"strength": strength, "mix_back": mix_back}
        result.metadata["usflow"] = noted
        return (
            f"Strength {strength:g}, mix back {100 * mix_back:.0f} %: blended with "
            "the input."
        )
