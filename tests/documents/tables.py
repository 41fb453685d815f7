"""Tables of the documents, and lines of the CSV files beside the pictures."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

__all__ = ["assert_shown", "cells_below", "lines_of", "rows_below"]

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"NLM": "nlm", "OBNLM": "obnlm", "BM3D": "bm3d"}
_NUMBER = re.compile(r"[+−-]?\d*\.\d+")


def cells_below(head: str, document: str) -> list[list[str]]:
    """Return the cells of each row of the table with this head."""
    text = (ROOT / document).read_text(encoding="utf-8")
    start = text.index(head)
    table = text[start : text.index("\n\n", start)].splitlines()[2:]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table]


def rows_below(head: str, document: str = "docs/results.md") -> dict[str, Any]:
    """Return the numbers in the cells of each row, by its name."""
    rows = {}
    for name, *cells in cells_below(head, document):
        name = name.strip("`").removesuffix(", tuned")
        rows[NAMES.get(name, name)] = [_NUMBER.findall(cell) for cell in cells]
    return rows


def lines_of(name: str) -> list[dict[str, str]]:
    """Return the lines of a table in ``docs/images``."""
    with open(ROOT / "docs" / "images" / name, newline="") as file:
        return list(csv.DictReader(file))


def assert_shown(text: str, value: str) -> None:
    """Check that a number is the value, rounded to the digits that it has."""
    digits = len(text.partition(".")[2])
    shown = float(text.replace("−", "-"))
    assert shown == pytest.approx(float(value), abs=0.51 * 10**-digits)
