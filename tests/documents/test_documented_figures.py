"""The tables in README and results.md agree with the CSV files beside the pictures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from documents.tables import assert_shown, lines_of, rows_below

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "docs/results.md")
KINDS = ("fine", "paper", "coarse", "1 look", "3 looks", "8 looks")
PICMUS = (
    "contrast_db",
    "gcnr",
    "edge_mm",
    "speckle_db",
    "fwhm_axial_mm",
    "fwhm_lateral_mm",
    "peak_db",
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_fine_speckle(document: str) -> None:
    lines = {(r["method"], r["anatomy"], r["kind"]): r for r in lines_of("fine.csv")}
    table = rows_below("| knee; brain |", document)
    assert {"input", "bm3d", "best"} <= set(table)
    for method, cells in table.items():
        for kind, numbers in zip(KINDS, cells, strict=True):
            expected = [
                lines[method, anatomy, kind][name]
                for anatomy in ("knee", "brain")
                for name in ("psnr_db", "ssim")
            ]
            for text, value in zip(numbers, expected, strict=True):
                assert_shown(text, value)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_picmus(document: str) -> None:
    lines = {
        (r["method"], r["scene"]): r
        for r in lines_of("picmus.csv")
        if r["plane_waves"] == "75"
    }
    table = rows_below("| experiment / simulation |", document)
    for method, cells in table.items():
        for name, numbers in zip(PICMUS, cells, strict=True):
            expected = [
                lines[method, scene][name] for scene in ("experiment", "simulation")
            ]
            if method == "input" and name == "peak_db":
                assert not numbers
                continue
            for text, value in zip(numbers, expected, strict=True):
                assert_shown(text, value)


def test_simulated_speckle() -> None:
    lines = {
        (r["method"], r["anatomy"], r["reading"]): r
        for r in lines_of("speckle.csv")
        if r["level"] in ("", "given")
    }
    table = rows_below("| | knee, display |")
    columns = [(a, r) for a in ("knee", "brain") for r in ("display", "amplitude")]
    for name, cells in table.items():
        method = name.lower()
        for column, numbers in zip(columns, cells[:4], strict=True):
            line = lines[method, *column]
            for text, key in zip(numbers, ("psnr_db", "ssim"), strict=True):
                assert_shown(text, line[key])


def test_sector_of_a_heart_that_is_found() -> None:
    lines = {row["image"]: row for row in lines_of("sector_found.csv")}
    text = (ROOT / "docs" / "user-guide.md").read_text(encoding="utf-8")
    start = text.index("**Sectors in pictures.**")
    (sentence,) = re.findall(
        r"gCNR is (\d\.\d+)\s+\(`realtime`; (\d\.\d+) on the lines themselves, "
        r"(\d\.\d+)",
        text[start:],
    )
    for shown, name in zip(sentence, ("found", "lines", "picture"), strict=True):
        assert_shown(shown, lines[name]["gcnr"])
    assert float(lines["found"]["gcnr"]) >= 0.90


def test_drawn_sectors() -> None:
    fits = lines_of("sectors.csv")
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    below = text[text.index("| drawn |") :]
    table = {
        cells[0]: cells[1:]
        for cells in (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in below.split("\n\n")[0].splitlines()[2:]
        )
    }
    assert set(table) == {*(fit["kind"] for fit in fits), "all"}
    for kind, (screens, right, used, good, *errors) in table.items():
        rows = [fit for fit in fits if kind in (fit["kind"], "all")]
        sure = [fit for fit in rows if float(fit["confidence"]) >= 0.5]
        assert int(screens) == len(rows) and int(used) == len(sure)
        assert int(right) == sum(is_right(fit) for fit in rows)
        assert int(good) == sum(is_right(fit) for fit in sure)
        for shown, name in zip(errors, ("apex_px", "angle_deg"), strict=True):
            known = [float(fit[name]) for fit in rows if fit[name]]
            numbers = re.findall(r"\d+\.\d+", shown)
            assert bool(numbers) == bool(known)
            for number, level in zip(numbers, (0.5, 0.9), strict=False):
                assert_shown(number, str(np.quantile(known, level)))


def is_right(fit: dict[str, str]) -> bool:
    if fit["kind"] == "linear":
        return bool(fit["box_px"]) and float(fit["box_px"]) <= 2
    close = bool(fit["apex_px"]) and float(fit["apex_px"]) <= 2
    return close and float(fit["angle_deg"]) <= 0.5
