"""``usflow bench``: what it writes, says, keeps and answers to bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lab.bench.fakes import Clock, Timed, apart_taking
from napari_usflow.cli import bench as command
from napari_usflow.cli import main
from napari_usflow.lab.bench import entrants, figures
from napari_usflow.lab.bench import measurements as cells
from napari_usflow.lab.bench.process import CLOCKS
from napari_usflow.lab.contest import peers

COSTS = {"skimage-nlm": [10.0], "tv": [2.0], "srad": [40.0]}


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Methods and processes of a fake clock; gives what ran in processes."""
    clock, apart = Clock(), []

    def events(self, token, *, decibels=True):
        yield from ()
        return Timed(self.method, clock, COSTS[self.method], [], shift=-0.02)

    monkeypatch.setattr(entrants.Entrant, "events", events)
    monkeypatch.setattr(cells, "apart_events", apart_taking(COSTS, apart))
    monkeypatch.setitem(CLOCKS, "wall", clock)
    # The figure has tests of its own, and takes long.
    monkeypatch.setattr(figures, "_draw", lambda test, path: path.touch())
    return apart


def argv(out: Path, *more: str) -> list[str]:
    given = ["--out", str(out), "--methods", "tv", "srad", "--count", "1"]
    return ["bench", *given, "--sizes", "32x32", "64x64", *more]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_writes_files_and_shows_the_table(tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "out"

    assert main(argv(out)) == 0

    said = capsys.readouterr()
    names = ["bench.csv", "bench.md", "bench.png"]
    assert sorted(p.name for p in out.iterdir()) == names
    assert said.out.strip() == (out / "bench.md").read_text(encoding="utf-8").strip()
    assert "64 × 64, srad: 0.16 s, 4 times NLM" in said.err
    assert f"{out / 'bench.png'} written" in said.err


def test_json_is_the_csv(tmp_path: Path, capsys) -> None:
    assert main(argv(tmp_path, "--json")) == 0

    rows, lines = json.loads(capsys.readouterr().out), table(tmp_path / "bench.csv")
    assert len(rows) == len(lines) == 6
    for row, line in zip(rows, lines, strict=True):
        assert list(row) == list(line)
        for key, text in line.items():
            value = row[key]
            if isinstance(value, float):
                assert float(text) == pytest.approx(value, rel=1e-3, abs=0.1)
            else:
                assert text == ("" if value is None else str(value))


def test_lines_that_were_finished_before_ctrl_c_are_kept(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    """Ctrl-C comes while the second size is measured."""
    fake = apart_taking(COSTS, [])

    def interrupted(entrant, size, **how):
        if size.rows == 64 and entrant.method == "srad":
            raise KeyboardInterrupt
        return (yield from fake(entrant, size, **how))

    monkeypatch.setattr(cells, "apart_events", interrupted)

    assert main(argv(tmp_path)) == 130

    kept = tmp_path / "bench-so-far.csv"
    lines = table(kept)
    assert [line["method"] for line in lines] == ["skimage-nlm", "tv", "srad"]
    assert [float(line["times_nlm"]) for line in lines] == [1, 0.2, 4]
    assert f"{kept} keeps what was made (lines: 3)" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == [kept.name]

    monkeypatch.setattr(cells, "apart_events", fake)
    assert main(argv(tmp_path)) == 0
    assert not kept.exists()


def test_quick_has_fewer_sizes_and_what_is_given_holds(
    tmp_path: Path, ran, monkeypatch
) -> None:
    seen = {}
    run = command.bench_events

    def watched(**how):
        seen.update(how)
        return run(**{**how, "sizes": ["32x32"]})

    monkeypatch.setattr(command, "bench_events", watched)

    more = ["--methods", "tv", "--repeats", "2"]
    assert main(["bench", "--quick", "--out", str(tmp_path), *more]) == 0

    assert seen["sizes"] == ("96x96", "384x384")
    assert seen["workers"] == ()
    assert seen["params"].repeats == 2
    assert seen["params"].limit == 15.0


def test_limit_leaves_out_what_would_take_longer(tmp_path: Path, ran) -> None:
    assert main(argv(tmp_path, "--limit", "0.1")) == 0

    left_out = table(tmp_path / "bench.csv")[3]
    assert (left_out["method"], left_out["rows"]) == ("srad", "64")
    assert left_out["seconds"] == ""
    assert left_out["note"] == "left out: about 0.16 s, and the limit is 0.1 s"
    assert ("srad", "64 × 64") not in ran


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--methods", "magic"], "invalid choice: 'magic'"),
        (["--methods", "bm3d"], "bm3d, which is not installed"),
        (["--sizes", "big"], "'big' is no size"),
        (["--limit", "0"], "limit is 0"),
        (["--data", "nowhere"], "nowhere: no such folder"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--clock", "sun"], "invalid choice: 'sun'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    more: list[str], said: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)

    assert main(argv(tmp_path / "out", *more)) == 2

    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not list((tmp_path / "out").glob("*.*"))
