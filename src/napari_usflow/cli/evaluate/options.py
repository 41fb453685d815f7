"""Shared arguments and reports of the evaluation commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.denoising.algorithms import methods
from napari_usflow.evaluate.tables import Scored, write_table
from napari_usflow.io.outputs.writing import check_folder
from napari_usflow.jobs import Event, result_of
from napari_usflow.prior.store import DEFAULT_PRIOR

__all__ = [
    "add_changes",
    "add_common",
    "add_crops",
    "add_methods",
    "check_folders",
    "priors_of",
    "report",
    "run_test",
    "show_groups",
]

T = TypeVar("T")

MRI = "folder of MRI that was not trained on (fastMRI layout, HDF5)"


def add_common(
    parser: argparse.ArgumentParser,
    *,
    results: str,
    data: str = MRI,
    several: bool = False,
) -> None:
    """Add ``--data``, ``--out``, ``--weights``, ``--device`` and ``--json``.

    With ``several`` the data are a list of folders and files.
    """
    many: dict[str, Any] = {"nargs": "+"} if several else {}
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help=data, **many
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"folder for {results}; made if missing",
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        metavar="FILE",
        help="shipped priors or .safetensors files; each gets its own rows "
        "(default: the shipped one)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the table on standard output"
    )


def add_methods(
    parser: argparse.ArgumentParser, names: Sequence[str], *, note: str
) -> None:
    """Add ``--methods``."""
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=names,
        metavar="NAME",
        help=f"any of {', '.join(names)}; {note}",
    )


def add_changes(parser: argparse.ArgumentParser) -> None:
    """Add ``--set``."""
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        type=_change,
        metavar="METHOD.FIELD=VALUE",
        help="set a parameter of a method, such as flow-map.iterations=250, or take "
        "named ones, such as flow-map.preset=paper; a baseline that is set is not "
        "tuned; may be repeated",
    )


def _change(text: str) -> str:
    name, dot, rest = text.partition(".")
    if name.strip() not in methods() or not dot or "=" not in rest:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not METHOD.FIELD=VALUE; methods are {', '.join(methods())}"
        )
    return text


def add_crops(parser: argparse.ArgumentParser, *, count: int) -> None:
    """Add ``--count`` and ``--anatomies``, of the tests on crops of MRI."""
    parser.add_argument(
        "--count",
        type=int,
        default=count,
        metavar="N",
        help=f"crops an anatomy (default {count})",
    )
    parser.add_argument(
        "--anatomies",
        nargs="+",
        default=("knee", "brain"),
        metavar="NAME",
        help="body parts, by what a file says or the beginning of its name (default "
        "knee brain)",
    )


def check_folders(args: argparse.Namespace, *more: Path | None) -> None:
    """Refuse wrong folders before any work is done; make the one for the results."""
    several = isinstance(args.data, list)
    for path in (*(args.data if several else [args.data]), *more):
        if path is None or path.is_dir() or (several and path.is_file()):
            continue
        raise ValueError(f"{path}: no such folder; choose one of files to read")
    check_folder(args.out)


def priors_of(args: argparse.Namespace) -> list[str]:
    """Return the priors that were named, else the shipped one."""
    return args.weights or [DEFAULT_PRIOR]


def run_test(
    events: Generator[Event, None, T],
    said: Callable[[Any], str] | None = None,
    *,
    table: Path | None = None,
) -> T:
    """Run a test to its end, saying each line of its table as it is known.

    Parameters
    ----------
    events : generator
        The test.
    said : callable, optional
        Makes a sentence of a line.
    table : Path, optional
        The table that the test will write. Until :func:`report`, another beside it has
        the lines that are known, so that a test that is stopped has not been in vain.
    """
    reporter = Reporter()
    watched = reporter.watch(events)
    so_far = None if table is None else _so_far(table)
    scores: list[Any] = []

    def keep(event: Event) -> None:
        if isinstance(event, Scored):
            scores.append(event.score)
            if so_far is not None:
                write_table(so_far, scores)
            if said is not None:
                reporter.line(said(event.score))

    try:
        return result_of(watched, keep)
    except BaseException:
        if so_far is not None and scores:
            reporter.line(f"{so_far} keeps what was made (lines: {len(scores)})")
        raise


def _so_far(table: Path) -> Path:
    return table.with_name(f"{table.stem}-so-far{table.suffix}")


def report(
    args: argparse.Namespace,
    paths: Sequence[Path],
    rows: Sequence[Any],
    show: Callable[[Sequence[Any]], None],
) -> int:
    """Name the files that were written and show the table; give the exit code.

    The first file is the table.
    """
    _so_far(paths[0]).unlink(missing_ok=True)
    for path in paths:
        Reporter().line(f"{path} written")
    if args.json:
        # JSON has no NaN: what has no value is null.
        show_json(
            [{k: None if v != v else v for k, v in asdict(row).items()} for row in rows]
        )
    else:
        show(rows)
    return 0


def show_groups(
    rows: Sequence[Any],
    group: Callable[[Any], str],
    columns: str,
    cells: Callable[[Any], str],
) -> None:
    """Print one line a row, below the name of its group and those of the columns.

    Parameters
    ----------
    rows : sequence of dataclass
        Each has a ``label``.
    group : callable
        Names the group of a row.
    columns : str
        Heads of the columns.
    cells : callable
        Writes a row, aligned with the heads.
    """
    width = max(len(row.label) for row in rows)
    for name in dict.fromkeys(map(group, rows)):
        print(f"{name}\n{'':{width}}{columns}")
        for row in rows:
            if group(row) == name:
                print(f"{row.label:{width}}{cells(row)}")
