"""The tables in the model cards and the guide agree with the CSV files."""

from __future__ import annotations

import re

import pytest

from documents.tables import assert_shown, cells_below, lines_of, rows_below

PRIOR = "src/napari_usflow/prior/weights/mri.md"
NETWORK = "src/napari_usflow/networks/weights/realtime-white.md"
CELLS = [(a, s) for a in ("knee", "brain") for s in ("0.1", "0.2", "0.3", "0.4")]
SECONDS = {"ms": 1e-3, "s": 1.0}


@pytest.mark.parametrize(
    ("document", "rows"),
    [("docs/results.md", 5), (PRIOR, 3), (NETWORK, 4)],
)
def test_white_noise(document: str, rows: int) -> None:
    lines = {
        (r["method"], r["anatomy"], r["sigma"]): r for r in lines_of("gaussian.csv")
    }
    table = rows_below("| | knee 0.1 |", document)
    # The search of this prior has no line there; the card says what it is.
    table.pop("flow-map", None)
    assert len(table) == rows
    for name, cells in table.items():
        method = re.sub(r"`?,.*", "", name)
        for cell, numbers in zip(CELLS, cells, strict=True):
            line = lines[method, *cell]
            for text, key in zip(numbers, ("psnr_db", "ssim"), strict=False):
                assert_shown(text, line[key])


def test_white_noise_over_subjects() -> None:
    lines = {
        (r["method"], r["anatomy"], r["sigma"]): r for r in lines_of("subjects.csv")
    }
    columns = [*CELLS, *(("pelvis", sigma) for sigma in ("0.1", "0.2", "0.3"))]
    table = rows_below(
        "| | knee 0.1 | 0.2 | 0.3 | 0.4 | brain 0.1 | 0.2 | 0.3 | 0.4 | pel"
    )
    assert len(table) == 4
    for name, cells in table.items():
        for column, (mean, half) in zip(columns, cells, strict=True):
            line = lines[re.sub(r"`?,.*", "", name), *column]
            assert_shown(mean, line["psnr_db"])
            assert_shown(half, line["psnr_half_db"])
    counts = {r["anatomy"]: r["subjects"] for r in lines.values()}
    assert counts == {"knee": "2", "brain": "5", "pelvis": "3"}


def test_small_prior_of_the_papers_kind() -> None:
    lines = {
        (r["method"], r["anatomy"], r["sigma"]): r for r in lines_of("papers_prior.csv")
    }
    columns = [("knee", sigma) for sigma in ("0.1", "0.2", "0.3", "0.4")]
    table = rows_below("| | knee 0.1 |", "docs/paper.md")
    assert len(table) == 2
    for method, cells in table.items():
        for column, (psnr, ssim) in zip(columns, cells, strict=True):
            assert_shown(psnr, lines[method, *column]["psnr_db"])
            assert_shown(ssim, lines[method, *column]["ssim"])


def test_densities() -> None:
    ((flow, mixture, gaussian),) = cells_below("| flow | mixture of", PRIOR)
    lines = {r["model"]: r for r in lines_of("density.csv")}
    for cell, model in ((flow, "flow"), (mixture, "mixture"), (gaussian, "gaussian")):
        bits, error = cell.split(" ± ")
        assert_shown(bits, lines[model]["bits_per_dim"])
        assert_shown(error, lines[model]["error"])


def test_times() -> None:
    kinds = [("1", "96"), ("1", "384"), ("1", "768"), ("200", "96")]
    lines = {
        (r["method"], r["frames"], r["rows"]): r
        for r in lines_of("bench.csv")
        if r["workers"] == "0"
    }
    names = {
        "scikit-image NLM": "skimage-nlm",
        "BM3D": "bm3d",
        "EPLL (deepinv)": "epll",
    }
    for name, *cells in cells_below("| | 96 × 96 | 384", "docs/results.md"):
        method = names.get(name, name.strip("`"))
        for kind, cell in zip(kinds, cells, strict=True):
            line = lines[method, *kind]
            if not cell:
                assert not line["seconds"]
                continue
            found = re.fullmatch(
                r"([\d.]+) (ms|s)(?: \(([\d.,]+)\))?", cell.replace("*", "")
            )
            assert found is not None, cell
            time, unit, ratio = found.groups()
            # Two digits, of which the last may have been rounded.
            assert float(time) * SECONDS[unit] == pytest.approx(
                float(line["seconds"]), rel=0.051
            )
            if ratio:
                times = float(ratio.replace(",", ""))
                assert times == pytest.approx(float(line["times_nlm"]), rel=0.1)


DETAILS = {
    "dark layer of 10": [(f"dark layer, {n} px", "step") for n in (1, 2, 3)],
    "bright layer of 10": [(f"bright layer, {n} px", "step") for n in (1, 2, 3)],
    "stripes of 6": [(f"stripes, {n} px", "step") for n in (2, 3, 4)],
    "flat field": [
        (f"flat, grain {grain} px", "spread")
        for grain in ("0.5 x 0.7", "1 x 1.5", "1.7 x 2.1", "3 x 4")
    ],
    "moved by": [("moved by a pixel", f"change, {a}") for a in ("axial", "lateral")],
    "panned by": [
        ("panned by a fraction", f"change, {a} 1/2 px") for a in ("axial", "lateral")
    ],
    "points 15": [("points", f"peak, {db} dB") for db in (15, 20, 25, 30)],
    "lattice of a carotid,": [
        ("DAS75_carotid_cross.mat", f"lattice, {a}") for a in ("axial", "lateral")
    ],
    "lattice of a carotid (": [
        ("carotid_env.raw", f"lattice, {a}") for a in ("axial", "lateral")
    ],
    "lattice of a calf muscle": [
        ("rf_dataset.hdf5", f"lattice, {a}") for a in ("axial", "lateral")
    ],
    "lattice of an echo": [
        ("examples_ybr_color.dcm", f"lattice, {a}") for a in ("axial", "lateral")
    ],
}


def test_details() -> None:
    lines = {(r["method"], r["scene"], r["measure"]): r for r in lines_of("detail.csv")}
    table = cells_below("| | input | NLM |", "docs/user-guide.md")
    seen = 0
    for name, *cells in table:
        for begin, measures in DETAILS.items():
            if not name.startswith(begin):
                continue
            seen += 1
            for column, cell in enumerate(cells):
                method = ("best", "nlm", "flow", "realtime", "best")[column]
                key = "input" if column == 0 else "result"
                for text, measure in zip(cell.split(" / "), measures, strict=True):
                    assert_shown(text, lines[method, *measure][key])
    assert seen == len(DETAILS)
