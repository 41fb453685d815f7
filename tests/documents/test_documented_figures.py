"""The tables in README and results.md agree with the CSV files beside the pictures."""

from __future__ import annotations

import pytest

from documents.tables import assert_shown, lines_of, rows_below

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
