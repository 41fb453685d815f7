"""Meaning of the variables of a MATLAB file: known layouts, or a user's names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.io.matlab.steps import NAME
from napari_usflow.io.matlab.variables import Variable
from napari_usflow.parameters import parameter

__all__ = ["MatlabNames", "Quantity", "parse_quantity", "sole_image"]

_QUANTITY = re.compile(rf"\s*({NAME})\s*(?:([*/])\s*(\S+))?\s*")
_RECIPROCAL = re.compile(rf"\s*([^\s/]+)\s*/\s*({NAME})\s*")
_SMALLEST_IMAGE = 16


@dataclass(frozen=True)
class Quantity:
    """A variable times a factor, or a factor divided by the variable."""

    name: str
    factor: float = 1.0
    is_reciprocal: bool = False

    def of(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the quantity of what the variable holds."""
        values = np.asarray(stored, np.float64)
        with np.errstate(divide="ignore"):
            return self.factor / values if self.is_reciprocal else self.factor * values


@dataclass(frozen=True)
class MatlabNames:
    """Names of the variables that hold an acquisition, or an image.

    A number can be typed in place of a name, and a name can be scaled to the unit that
    is asked for: ``param.fs``, ``Trans.frequency * 1e6``, ``0.01 / pixels_per_cm``,
    ``7.6e6``. What is in structs and cells is named as in MATLAB: ``RcvData{1}``,
    ``TX(2).Delay``. Empty: not there. Axes are letters in MATLAB's order.
    """

    samples: str = parameter("", help="Channel data: RF, or complex IQ")
    samples_imag: str = parameter(
        "", help="Imaginary part of the IQ, where it is a variable of its own"
    )
    samples_axes: str = parameter(
        "sctf",
        help="Axes of the channel data: s samples, c channels, t transmits, f frames",
    )
    sampling_frequency_hz: str = parameter("", unit="Hz", help="Sampling frequency")
    center_frequency_hz: str = parameter("", unit="Hz", help="Centre of the pulse")
    demodulation_frequency_hz: str = parameter(
        "", unit="Hz", help="Demodulation of IQ; the centre frequency when empty"
    )
    sound_speed_m_s: str = parameter("1540", unit="m/s", help="Sound speed")
    pitch_m: str = parameter("", unit="m", help="Distance between elements")
    element_positions_m: str = parameter(
        "", unit="m", help="Positions (elements, 3) or x of each, instead of the pitch"
    )
    angles_rad: str = parameter("", unit="rad", help="Steering of each plane wave")
    tx_delays_s: str = parameter(
        "", unit="s", help="Transmit delays (transmits, elements), instead of angles"
    )
    start_time_s: str = parameter("0", unit="s", help="Time of the first sample")
    frame_rate_hz: str = parameter("", unit="Hz", help="Frames a second")
    image: str = parameter("", help="An image or a stack, instead of channel data")
    image_axes: str = parameter(
        "zxf", help="Axes of the image: z depth, x across, f frames"
    )
    z_axis_m: str = parameter(
        "", unit="m", help="Depth of each row of the image, or its step"
    )
    x_axis_m: str = parameter("", unit="m", help="Position of each column, or its step")
    values: str = parameter(
        "auto",
        help="What the numbers of the image are",
        choices=("auto", "db", "envelope", "display", "rf"),
    )

    @classmethod
    def from_mapping(cls, names: Mapping[str, Any]) -> MatlabNames:
        """Make names from a mapping, saying which of its keys are known.

        Raises
        ------
        ValueError
            When a key is unknown, or the axes make no sense.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                f"there is no name {unknown[0]!r}; choose among {', '.join(known)}"
            )
        return cls(**{name: str(value) for name, value in names.items()})

    def __post_init__(self) -> None:
        for name, needed, allowed in (
            ("samples_axes", "sc", "sctf"),
            ("image_axes", "zx", "zxf"),
        ):
            axes = getattr(self, name)
            if len(set(axes)) != len(axes) or not set(needed) <= set(axes) <= set(
                allowed
            ):
                raise ValueError(
                    f"{name} is {axes!r}; it must be letters of {allowed!r}, each "
                    f"once, {' and '.join(needed)} among them"
                )

    def given(self) -> dict[str, str]:
        """Return the names that differ from the defaults."""
        usual = asdict(MatlabNames())
        return {key: text for key, text in asdict(self).items() if text != usual[key]}


MUST = MatlabNames(
    samples="RF",
    samples_axes="scf",
    sampling_frequency_hz="param.fs",
    center_frequency_hz="param.fc",
    sound_speed_m_s="param.c",
    pitch_m="param.pitch",
    tx_delays_s="param.TXdelay",
    start_time_s="param.t0",
    frame_rate_hz="param.PRF",
)
"""The MUST toolbox (D. Garcia, https://www.biomecardio.com/MUST) and PyMUST."""

PICMUS = MatlabNames(
    samples="PARAM.real",
    samples_imag="PARAM.imag",
    sampling_frequency_hz="PARAM.sampling_frequency",
    demodulation_frequency_hz="PARAM.modulation_frequency",
    sound_speed_m_s="PARAM.c0",
    element_positions_m="PARAM.probe_geometry",
    angles_rad="PARAM.angles",
    start_time_s="PARAM.initial_time",
)
"""A dataset of the PICMUS challenge as a MAT file (``us_dataset.m``)."""


def known_layout(found: Collection[Variable]) -> str | None:
    """Name the layout of a file by its variables; None for one that is not known."""
    kinds = {variable.name: variable.kind for variable in found}
    if kinds.get("PARAM") == "struct":
        return "matlab-picmus"
    if kinds.get("param") == "struct" and "numbers" in (
        kinds.get("RF"),
        kinds.get("IQ"),
    ):
        return "matlab-must"
    is_vantage = kinds.get("RcvData") in ("cell", "numbers") and all(
        kinds.get(name) == "struct" for name in ("Trans", "TX", "Receive")
    )
    if is_vantage:
        return "matlab-verasonics"
    return None if sole_image(found) is None else "matlab-image"


def sole_image(found: Collection[Variable]) -> Variable | None:
    """Return the one array of a file that can be an image, if there is just one."""
    images = [
        variable
        for variable in found
        if variable.kind == "numbers"
        and len(variable.shape) in (2, 3)
        and min(variable.shape[:2]) >= _SMALLEST_IMAGE
    ]
    return images[0] if len(images) == 1 else None


def parse_quantity(text: str) -> Quantity | float | None:
    """Take ``name``, ``name * factor``, ``number / name`` or a number apart.

    Returns
    -------
    Quantity, float or None
        A name and what is done with it; a number; None for an empty text.

    Raises
    ------
    ValueError
        When it is none of these.
    """
    text = text.strip()
    if not text:
        return None
    number = _number(text)
    if number is not None:
        return number
    match = _QUANTITY.fullmatch(text)
    factor = _number(match[3]) if match and match[2] else 1.0
    if match and factor:
        return Quantity(match[1], 1 / factor if match[2] == "/" else factor)
    match = _RECIPROCAL.fullmatch(text)
    factor = _number(match[1]) if match else None
    if match and factor:
        return Quantity(match[2], factor, is_reciprocal=True)
    raise ValueError(
        f"{text!r} is no quantity; write a name, name * factor, number / name, or a "
        "number"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
