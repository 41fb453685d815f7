"""``usflow evaluate speckle``: simulated speckle over MRI; the paper's Fig. 5."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from napari_usflow.cli.evaluate.options import (
    add_changes,
    add_common,
    add_crops,
    add_methods,
    check_folders,
    priors_of,
    report,
    run_test,
    show_groups,
)
from napari_usflow.lab.speckle.figures import write_speckle
from napari_usflow.lab.speckle.run import (
    LEVELS,
    READINGS,
    contestant_names,
    speckle_events,
)
from napari_usflow.lab.speckle.scores import SpeckleScore

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    add_common(parser, results="speckle.csv, speckle.png and speckle_*.png")
    add_methods(
        parser,
        contestant_names(),
        note="bm3d needs the bench extra; baselines have the best of a grid of "
        "settings for every line (default: all but flow-map, and bm3d if installed)",
    )
    parser.add_argument(
        "--readings",
        nargs="+",
        choices=READINGS,
        default=READINGS,
        metavar="NAME",
        help="what the grey of MRI is: display (grey is proportional to decibels over "
        "60 dB), amplitude (grey is the amplitude of the echo); default both",
    )
    parser.add_argument(
        "--levels",
        nargs="+",
        choices=LEVELS,
        default=LEVELS,
        metavar="NAME",
        help="how methods know the noise level: given (5.57 dB), estimated; default "
        "both",
    )
    add_changes(parser)
    add_crops(parser, count=8)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the scatterers (default 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    check_folders(args)
    test = run_test(
        speckle_events(
            args.data,
            methods=args.methods,
            priors=priors_of(args),
            anatomies=args.anatomies,
            readings=args.readings,
            levels=args.levels,
            count=args.count,
            seed=args.seed,
            changes=args.changes,
            device=args.device,
        ),
        lambda s: (
            f"{s.anatomy}, {s.reading}, {s.level or 'speckle'}, {s.label}: "
            f"{s.psnr_db:.2f} dB, {s.ssim:.3f}"
        ),
        table=args.out / "speckle.csv",
    )
    return report(args, write_speckle(test, args.out), test.scores, _show)


def _show(scores: Sequence[SpeckleScore]) -> None:
    """Print one line a method, map by map."""
    show_groups(
        scores,
        lambda s: f"{s.anatomy}, {s.reading}",
        "  noise      PSNR      SSIM   offset   removed  whiteness   s/crop",
        lambda s: (
            f"  {s.level:9}  {s.psnr_db:5.2f} dB  {s.ssim:.3f}"
            f"  {s.offset_db:+5.2f} dB  {s.residual_db:4.2f} dB"
            f"  {s.whiteness:9.3f}  {s.seconds:7.2g}"
        ),
    )
