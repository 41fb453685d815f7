"""Storage conventions of each CUBDL institution: one table.

The files share a flat layout and little else. What the challenge's loaders correct, by
institution and acquisition, stands here as data; nothing of it is repeated in code.

With a the angle of a plane wave, x the lateral position of the last element and f the
carrier, the time of the first sample counted from the wave at the array's centre is

    start = sign * stored - x |sin a| / c (from the first element that fires)
            - periods / f.

(The challenge's ``time_zero``, which its beamformer adds, is minus that.)

Reference: the loaders ``datasets/PWDataLoaders.py`` and ``datasets/FTDataLoaders.py``
of https://gitlab.com/dongwoon.hyun/cubdl; D. Hyun et al., "Deep learning for ultrasound
image formation: CUBDL evaluation framework and open datasets", IEEE Trans. Ultrason.
Ferroelectr. Freq. Control 68, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CONVENTIONS", "INSTITUTIONS", "Conventions"]

INSTITUTIONS = {
    "MYO": "Mayo Clinic",
    "UFL": "University of Florence",
    "EUT": "Eindhoven University of Technology",
    "INS": "INSERM, Lyon",
    "OSL": "University of Oslo",
    "TSH": "Tsinghua University",
    "JHU": "Johns Hopkins University",
}
"""The letters that a file's name starts with, and whose they are."""


@dataclass(frozen=True)
class Conventions:
    """One row of the table.

    Attributes
    ----------
    institution : str
        A key of :data:`INSTITUTIONS`.
    acquisitions : tuple of int
        The numbers that the row is for.
    angles : str
        Where the angles of plane waves are: the dataset ``angles`` in radians or in
        degrees, the first row or column of ``transmit_direction`` (radians), or
        nowhere: evenly spaced over +-16 degrees, whatever the file says.
    beams : str, optional
        Where the origins of focused beams are: ``transmit_origin``, or a multiple of
        the pitch apart; None for plane waves.
    origin_factor, direction_factor : float
        What the stored origins and directions of beams are multiplied by; 0 where
        they are known to be wrong.
    sound_speed : mapping, optional
        Speed in m/s by acquisition, which the file's own does not replace.
    usual_speed : float, optional
        Of acquisitions that ``sound_speed`` leaves out; None takes the file's.
    pitch_m : float, optional
        Of the elements, where it is not stored.
    centred : bool
        Whether the stored positions of the elements are shifted to their middle.
    start : str, optional
        Dataset with the time of the first sample; None where it is not stored, or
        not believed.
    start_sign : int
        What it is multiplied by.
    start_is_smallest : bool
        Take the smallest of the stored times for all transmits.
    first_to_fire : bool
        Whether it counts from the first element that fires.
    late_periods : float
        Periods of the carrier after that.
    sampling : str
        Dataset with the sampling frequency.
    channel_major : bool
        Whether the samples are stored by channel first and transmit second.
    demodulated : bool
        Whether the reference demodulates the RF and decimates it to about one sample
        a period on loading.
    depth_mm : (float, float)
        Depths that the challenge shows.
    """

    institution: str
    acquisitions: tuple[int, ...]
    depth_mm: tuple[float, float]
    angles: Literal["radians", "degrees", "row", "column", "16 degrees"] = "radians"
    beams: Literal["stored", "half pitch"] | None = None
    origin_factor: float = 1.0
    direction_factor: float = 1.0
    sound_speed: Mapping[int, float] = field(default_factory=dict)
    usual_speed: float | None = None
    pitch_m: float | None = None
    centred: bool = True
    start: str | None = None
    start_sign: int = 1
    start_is_smallest: bool = False
    first_to_fire: bool = False
    late_periods: float = 0.0
    sampling: str = "sampling_frequency"
    channel_major: bool = False
    demodulated: bool = False


def _speeds(first: int, *lines: str) -> dict[int, float]:
    """Number speeds in m/s from the first acquisition on."""
    return dict(enumerate(map(float, " ".join(lines).split()), first))


_INSERM_SPEEDS = _speeds(
    1,
    "1521 1517 1506 1501 1506 1509 1490 1504 1473 1502 1511 1535 1453",
    "1542 1539 1466 1462 1479 1469 1464 1508 1558 1463 1547 1477 1497",
)

CONVENTIONS = (
    Conventions(
        "MYO",
        tuple(range(1, 7)),
        (5, 55),
        sound_speed=_speeds(1, "1580 1583 1578 1572 1562"),
        usual_speed=1581,
        pitch_m=0.30e-3,
        first_to_fire=True,
    ),
    Conventions(
        "UFL",
        tuple(range(1, 6)),
        (10, 50),
        angles="degrees",
        sound_speed=_speeds(1, "1526 1523 1525 1523 1523"),
        usual_speed=1525,
        pitch_m=0.245e-3,
        start="channel_data_t0",
        sampling="channel_data_sampling_frequency",
        demodulated=True,
    ),
    Conventions(
        "EUT",
        tuple(range(1, 7)),
        (10, 80),
        angles="column",
        sound_speed=_speeds(1, "1603 1618 1607 1614 1495"),
        usual_speed=1479,
        # A start_time is stored, and overwritten.
        first_to_fire=True,
        late_periods=10,
    ),
    Conventions(
        "INS",
        tuple(range(1, 13)),
        (10, 60),
        angles="16 degrees",
        sound_speed=_INSERM_SPEEDS,
        usual_speed=1540,
        start="start_time",
        first_to_fire=True,
    ),
    Conventions(
        "INS",
        tuple(range(13, 27)),
        (10, 50),
        angles="16 degrees",
        sound_speed=_INSERM_SPEEDS,
        usual_speed=1540,
        start="start_time",
        first_to_fire=True,
    ),
    Conventions(
        "OSL",
        tuple(range(2, 8)),
        (10, 65),
        angles="row",
        sound_speed=_speeds(2, "1536 1543 1538 1539 1541 1540"),
        usual_speed=1540,
        start="start_time",
    ),
    Conventions(
        "OSL",
        (10,),
        (5, 50),
        angles="row",
        usual_speed=1540,
        start="start_time",
    ),
    Conventions(
        "TSH",
        tuple(range(2, 502)),
        (10, 45),
        usual_speed=1540,
        pitch_m=0.30e-3,
        first_to_fire=True,
        channel_major=True,
    ),
    Conventions(
        "JHU",
        tuple(range(24, 35)),
        (2, 30),
        centred=False,
        start="time_zero",
    ),
    # Focused beams. Carotid, linear array: the stored directions are wrong.
    Conventions(
        "OSL",
        (8, 9),
        (2, 38),
        beams="stored",
        direction_factor=0,
        start="start_time",
        start_is_smallest=True,
    ),
    # Heart, phased array: the stored origins are wrong.
    Conventions(
        "OSL",
        (11, 12, 13, 14),
        (2, 125),
        beams="stored",
        origin_factor=0,
        start="start_time",
    ),
    # Breast, linear array: two beams an element, and no positions.
    Conventions(
        "JHU",
        (1, 2),
        (2, 40),
        beams="half pitch",
        usual_speed=1540,
    ),
    # Phantom, steered beams: origins twice too far out, times of the other sign.
    Conventions(
        "JHU",
        (19, 20, 21, 22, 23),
        (2, 60),
        beams="stored",
        origin_factor=0.5,
        usual_speed=1540,
        start="start_time",
        start_sign=-1,
    ),
)
"""Every acquisition that the challenge's loaders know."""
