"""The figure is drawn, and whole, whatever was measured."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from lab.bench.test_tables import NAN, PICTURES, SCORES, line
from napari_usflow.lab.bench import figures
from napari_usflow.lab.bench.figures import write_bench
from napari_usflow.lab.bench.scores import BenchTest

CLIP = [line(s.method, 20 * s.seconds, 27.0, "20x96x96") for s in SCORES]
SCALED = [line("tv", 0.5, 26.0, "20x96x96", workers=n) for n in (1, 2)]


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([*SCORES, *CLIP, *SCALED], id="clip and workers"),
        pytest.param([*CLIP, line("srad", 0.1, NAN)], id="clips and no quality"),
        pytest.param([line("tv", NAN, NAN, note="failed")], id="nothing"),
    ],
)
def test_files_are_whole_and_nothing_else_is_left(scores, tmp_path: Path) -> None:
    test = BenchTest(scores, "A machine", PICTURES)

    files = write_bench(test, tmp_path / "out")

    assert [f.name for f in files] == ["bench.csv", "bench.md", "bench.png"]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    with Image.open(files[2]) as figure:
        assert min(figure.size) > 600


def test_the_csv_has_every_number_and_nothing_for_what_is_not_known(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(figures, "_draw", lambda test, path: path.touch())
    scores = [*SCORES, line("srad", NAN, NAN, note="left out: long")]

    table, *_ = write_bench(BenchTest(scores, "A machine", PICTURES), tmp_path)

    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["seconds"]) for r in rows[:-1]] == [s.seconds for s in SCORES]
    assert [float(r["times_nlm"]) for r in rows[:-1]] == [1, 0.2, 120, 2]
    assert rows[-1]["seconds"] == rows[-1]["frames_per_second"] == ""
    assert rows[-1]["note"] == "left out: long"
