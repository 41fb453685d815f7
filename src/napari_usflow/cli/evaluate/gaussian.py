"""``usflow evaluate gaussian``: the paper's Fig. 3 and 4 for any methods and priors."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.evaluate.options import (
    add_changes,
    add_common,
    add_crops,
    add_methods,
    check_folders,
    priors_of,
    report,
    run_test,
)
from napari_usflow.denoising.algorithms import methods
from napari_usflow.lab.contest.peers import GAUSSIAN_PEERS
from napari_usflow.lab.gaussian.figures import write_gaussian
from napari_usflow.lab.gaussian.run import SIGMAS, gaussian_events
from napari_usflow.lab.gaussian.scores import Score

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    add_common(
        parser,
        results="gaussian.csv, gaussian.png and examples_*.png",
        data="folders or files of MRI that was not trained on (fastMRI layout, HDF5)",
        several=True,
    )
    add_methods(
        parser,
        (*methods(), *GAUSSIAN_PEERS),
        note=f"{', '.join(GAUSSIAN_PEERS)} need the bench extra; nlm has the best of "
        "72 settings for every cell (default: flow, nlm and the peers that can take "
        "part)",
    )
    parser.add_argument(
        "--train-data",
        type=Path,
        metavar="DIR",
        help="folder of MRI that epll and patchnr are fitted on; the fit is kept in "
        "OUT/peers",
    )
    parser.add_argument(
        "--sigmas",
        nargs="+",
        type=float,
        default=SIGMAS,
        metavar="X",
        help="noise standard deviations as fractions of the value range "
        f"(default {' '.join(map(str, SIGMAS))})",
    )
    add_changes(parser)
    add_crops(parser, count=16)
    parser.add_argument(
        "--per-subject",
        type=int,
        metavar="N",
        help="crops of every subject, in place of --count: each subject counts alike",
    )


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    check_folders(args, args.train_data)
    test = run_test(
        gaussian_events(
            args.data,
            fits=args.out / "peers",
            methods=args.methods,
            priors=priors_of(args),
            sigmas=args.sigmas,
            anatomies=args.anatomies,
            count=args.count,
            each=args.per_subject,
            train_data=args.train_data,
            changes=args.changes,
            device=args.device,
        ),
        lambda s: f"{s.anatomy} {s.sigma:g} {s.label}: {_said(s)}",
        table=args.out / "gaussian.csv",
    )
    return report(args, write_gaussian(test, args.out), test.scores, _show)


def _said(score: Score) -> str:
    if math.isnan(score.psnr_db):
        return "no image"
    return f"{score.psnr_db:.2f} dB, {score.ssim:.3f}"


def _cell(score: Score) -> str:
    if math.isnan(score.psnr_db):
        return "  no image".ljust(15)
    return f"  {score.psnr_db:6.2f} /{score.ssim:.3f}"[:15].ljust(15)


def _show(scores: Sequence[Score]) -> None:
    """Print one line a method and anatomy, PSNR and SSIM side by side."""
    sigmas = sorted({s.sigma for s in scores})
    width = max(len(s.label) for s in scores)
    for anatomy in dict.fromkeys(s.anatomy for s in scores):
        cells = "".join(f"  sigma {sigma:<7g}" for sigma in sigmas)
        print(f"{anatomy:<{width}}{cells}  s/crop   (PSNR in dB / SSIM)")
        here = [s for s in scores if s.anatomy == anatomy]
        for label in dict.fromkeys(s.label for s in here):
            mine = {s.sigma: s for s in here if s.label == label}
            cells = "".join(_cell(mine[g]) for g in sigmas)
            seconds = sum(s.seconds for s in mine.values()) / len(mine)
            print(f"{label:<{width}}{cells}  {seconds:6.2g}")
