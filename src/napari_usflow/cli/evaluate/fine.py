"""``usflow evaluate fine``: speckle at the own pixel, and simulated exports."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from napari_usflow.cli.evaluate.options import (
    add_common,
    add_crops,
    add_methods,
    check_folders,
    report,
    run_test,
    show_groups,
)
from napari_usflow.denoising.algorithms import methods
from napari_usflow.lab.speckle.fine import (
    KINDS,
    METHODS,
    FineScore,
    fine_events,
    write_fine,
)

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    add_common(parser, results="fine.csv and fine_grey.csv")
    add_methods(
        parser,
        (*methods(), "bm3d"),
        note="nlm, obnlm and bm3d have the best of a grid of strengths and pixels for "
        f"every line; bm3d needs the bench extra (default {' '.join(METHODS)})",
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=KINDS,
        default=KINDS,
        metavar="NAME",
        help=f"grain of the speckle, or an exported picture: {', '.join(KINDS)} "
        "(default all)",
    )
    add_crops(parser, count=4)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the scatterers (default 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    check_folders(args)
    path = args.out / "fine.csv"
    test = run_test(
        fine_events(
            args.data,
            methods=args.methods or METHODS,
            anatomies=args.anatomies,
            kinds=args.kinds,
            count=args.count,
            seed=args.seed,
            device=args.device,
        ),
        lambda s: (
            f"{s.anatomy}, {s.kind}, {s.method}: {s.psnr_db:.2f} dB, {s.ssim:.3f}"
        ),
        table=path,
    )
    return report(args, write_fine(test, args.out), test.scores, _show)


def _show(scores: Sequence[FineScore]) -> None:
    """Print one line a method, kind by kind."""
    show_groups(
        scores,
        lambda s: f"{s.anatomy}, {s.kind}",
        "      PSNR      SSIM     worst   grey: mean, worst, worst near black",
        lambda s: (
            f"  {s.psnr_db:5.2f} dB  {s.ssim:.3f}  {s.worst_db:5.2f} dB"
            f"  {_grey(s)}  {s.setting}"
        ),
    )


def _grey(score: FineScore) -> str:
    """Write how far regions of an exported picture were moved, in grey levels."""
    if not score.regions:
        return " " * 28
    cells = [f"{score.grey_mean:5.1f}"]
    cells += [f"{n:+6.1f}" for n in (score.grey_worst, score.grey_dark_worst)]
    return " ".join(cells).replace("nan", "  -").ljust(28)
