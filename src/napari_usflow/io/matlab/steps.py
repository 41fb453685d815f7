"""The way from a variable to what is in it: ``a.b.c``, ``RcvData{1}``, ``TX(2).Delay``.

Indices count from 1, and through the elements of an array in MATLAB's order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["NAME", "Step", "steps_of"]

NAME = r"[A-Za-z]\w*(?:\.[A-Za-z]\w*|\{\d+\}|\(\d+\))*"
"""A regular expression for names."""

_STEP = re.compile(r"\.?([A-Za-z]\w*)|\{(\d+)\}|\((\d+)\)")


@dataclass(frozen=True)
class Step:
    """One step: a field of a struct, a cell, or an element of an array of structs."""

    kind: Literal["field", "cell", "element"]
    name: str = ""
    index: int = 0


def steps_of(name: str) -> tuple[str, list[Step]]:
    """Take a name apart: the variable, and the steps into it.

    Raises
    ------
    ValueError
        When it is no name.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError(
            f"{name!r} is no name of MATLAB; write such as a.b, RcvData{{1}} or TX(2).c"
        )
    steps = [
        Step("field", field)
        if field
        else Step("cell" if cell else "element", index=int(cell or element))
        for field, cell, element in _STEP.findall(name)
    ]
    return steps[0].name, steps[1:]
