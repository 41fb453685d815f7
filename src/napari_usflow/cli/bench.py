"""``usflow bench``: time, memory and quality of every method and peer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_usflow.cli.evaluate.options import (
    MRI,
    add_methods,
    check_folders,
    report,
    run_test,
)
from napari_usflow.cli.options import add_parameters, given_parameters
from napari_usflow.denoising.algorithms import methods
from napari_usflow.lab.bench.contest import (
    QUICK,
    QUICK_SIZES,
    SCALED,
    SIZES,
    WORKERS,
    bench_events,
)
from napari_usflow.lab.bench.figures import write_bench
from napari_usflow.lab.bench.measurements import BenchParams
from napari_usflow.lab.bench.scores import BenchScore, duration, two_digits
from napari_usflow.lab.bench.tables import markdown
from napari_usflow.lab.contest.peers import GAUSSIAN_PEERS, PEERS

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    del argv
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("bench"),
        metavar="DIR",
        help="folder for bench.csv, bench.md and bench.png; made if missing (default "
        "bench)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a first look in a minute or two: {' '.join(QUICK_SIZES)}, without "
        "workers, a lower limit; what is given besides holds",
    )
    add_methods(
        parser,
        (*methods(), *PEERS),
        note=f"{', '.join(GAUSSIAN_PEERS)} need the bench extra, epll and patchnr "
        "--train-data, sar2sar and mulog (for speckle) a package of that kind; "
        "scikit-image's NLM always takes part (default: all that can but patchnr)",
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        metavar="SIZE",
        help="stacks to time, as ROWSxCOLUMNS or FRAMESxROWSxCOLUMNS in pixels of "
        f"0.4375 mm (default {' '.join(SIZES)})",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"{MRI}, to measure quality on crops of it; without it scenes are drawn, "
        "on which differences between methods are not those on tissue",
    )
    parser.add_argument(
        "--anatomies",
        nargs="+",
        default=("knee", "brain"),
        metavar="NAME",
        help="what file names in DATA begin with (default knee brain)",
    )
    parser.add_argument(
        "--train-data",
        type=Path,
        metavar="DIR",
        help="folder of MRI that epll and patchnr are fitted on; the fit is kept in "
        "OUT/peers",
    )
    parser.add_argument(
        "--workers",
        nargs="*",
        type=int,
        metavar="N",
        help="processes of a local dask cluster that the longest clip is computed on "
        f"(default {' '.join(map(str, WORKERS))}; without a number: none)",
    )
    parser.add_argument(
        "--scaled",
        nargs="+",
        choices=methods(),
        default=SCALED,
        metavar="NAME",
        help=f"methods that are run with workers (default {' '.join(SCALED)})",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the lines on standard output"
    )
    add_parameters(parser, BenchParams, "measuring")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    check_folders(args, args.train_data)
    params = replace(
        QUICK if args.quick else BenchParams(), **given_parameters(args, BenchParams)
    )
    workers = () if args.quick else WORKERS
    test = run_test(
        bench_events(
            fits=args.out / "peers",
            params=params,
            methods=args.methods,
            sizes=args.sizes or (QUICK_SIZES if args.quick else SIZES),
            data=args.data,
            anatomies=args.anatomies,
            train_data=args.train_data,
            workers=workers if args.workers is None else args.workers,
            scaled=args.scaled,
            device=args.device,
        ),
        _said,
        table=args.out / "bench.csv",
    )
    return report(
        args, write_bench(test, args.out), test.scores, lambda _: print(markdown(test))
    )


def _said(score: BenchScore) -> str:
    """Format a line of the table as a sentence."""
    where = f"{score.size.label}, {score.label}"
    if score.workers:
        where += f", {score.workers} workers"
    if not score.timed:
        return f"{where}: {score.note}"
    text = f"{where}: {duration(score.seconds)}"
    if score.times_nlm == score.times_nlm:
        text += f", {two_digits(score.times_nlm)} times NLM"
    if score.speckle_psnr_db == score.speckle_psnr_db:
        text += f", {score.speckle_psnr_db:.2f} dB"
    return text
