"""``usflow evaluate detail``: layers, stripes, walls, points, flat fields, lattices."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.evaluate.options import (
    add_methods,
    report,
    run_test,
    show_groups,
)
from napari_usflow.denoising.algorithms import methods
from napari_usflow.io.outputs.writing import check_folder
from napari_usflow.lab.detail.figures import write_detail
from napari_usflow.lab.detail.run import DetailScore, detail_events

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    parser.add_argument(
        "--files",
        nargs="+",
        type=Path,
        default=(),
        metavar="FILE",
        help="images or clips whose lattice is measured too, in their first frame",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for detail.csv; made if missing",
    )
    add_methods(parser, methods(), note="default all but flow-map")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the table on standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    check_folder(args.out)
    path = args.out / "detail.csv"
    test = run_test(
        detail_events(files=args.files, names=args.methods, device=args.device),
        lambda s: f"{s.scene}, {s.measure}, {s.method}: {s.result:.2f} {s.unit}",
        table=path,
    )
    return report(args, write_detail(test, args.out), test.scores, _show)


def _show(scores: Sequence[DetailScore]) -> None:
    """Print one line a method, detail by detail."""
    show_groups(
        scores,
        lambda s: f"{s.scene}: {s.measure}",
        "     truth     input    result",
        lambda s: f"  {s.truth:8.2f}  {s.input:8.2f}  {s.result:8.2f} {s.unit}",
    )
