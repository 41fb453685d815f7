"""The body part that a stack shows: by what its file says, not by what it is called.

fastMRI's files have names such as ``file1000001.h5``. What they show is said by the
ISMRMRD header (``studyInformation/bodyPartExamined``,
``measurementInformation/protocolName``) and by the attribute ``acquisition``, which
holds the name of the protocol: ``CORPD_FBK`` and ``CORPDFS_FBK`` are knees; ``AXT1``,
``AXT1PRE``, ``AXT1POST``, ``AXT2`` and ``AXFLAIR`` are brains (fastMRI's
``mri_data.py`` and README).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["is_shown", "stated_anatomy", "words_of"]

_PROTOCOLS = {"CORPD": "knee", "AXT1": "brain", "AXT2": "brain", "AXFLAIR": "brain"}
"""Beginnings of the names of fastMRI's protocols."""


def stated_anatomy(body_parts: Iterable[object], protocols: Iterable[object]) -> str:
    """Return the first body part that is stated, in small letters; empty if none.

    Parameters
    ----------
    body_parts : iterable
        Names of body parts, the most trusted first; empty ones are passed over.
    protocols : iterable
        Names of protocols, which tell it where they are fastMRI's.
    """
    for part in body_parts:
        if isinstance(part, str) and part.strip():
            return part.strip().lower()
    for protocol in protocols:
        for beginning, part in _PROTOCOLS.items():
            if isinstance(protocol, str) and protocol.upper().startswith(beginning):
                return part
    return ""


def words_of(text: str) -> list[str]:
    """Split ``"knee, Brain"`` into the body parts that are asked for."""
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def is_shown(wanted: Sequence[str], anatomy: str, name: str) -> bool:
    """Return whether a stack shows one of the body parts.

    Parameters
    ----------
    wanted : sequence of str
        From :func:`words_of`; none means any.
    anatomy : str
        What the file states; one of its words must begin with what is wanted.
    name : str
        Of the stack; where nothing is stated its beginning counts instead.
    """
    if not wanted:
        return True
    if not anatomy:
        return name.lower().startswith(tuple(wanted))
    words = " ".join(["", *re.findall(r"\w+", anatomy.lower())])
    return any(f" {part}" in words for part in wanted)
