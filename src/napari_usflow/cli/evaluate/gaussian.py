"""``usflow evaluate gaussian``: the paper's Fig. 3 and 4 for any methods and priors."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from napari_usflow.cli.evaluate.options import add_common, check_folders
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.denoise import methods
from napari_usflow.evaluate.gaussian import SIGMAS, gaussian_events
from napari_usflow.evaluate.gaussian_figures import write_gaussian
from napari_usflow.evaluate.gaussian_scores import Score, Scored
from napari_usflow.evaluate.peers import PEERS
from napari_usflow.prior.store import DEFAULT_PRIOR

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    add_common(parser, results="gaussian.csv, gaussian.png and examples_*.png")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=(*methods(), *PEERS),
        metavar="NAME",
        help=f"any of {', '.join((*methods(), *PEERS))}; {', '.join(PEERS)} need the "
        "bench extra; nlm has the best of 72 settings for every cell (default: flow, "
        "nlm and the peers that can take part)",
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
    parser.add_argument(
        "--count", type=int, default=16, metavar="N", help="crops an anatomy (16)"
    )
    parser.add_argument(
        "--anatomies",
        nargs="+",
        default=("knee", "brain"),
        metavar="NAME",
        help="what file names begin with (default knee brain)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    check_folders(args)
    reporter = Reporter()
    events = reporter.watch(
        gaussian_events(
            args.data,
            fits=args.out / "peers",
            methods=args.methods,
            priors=args.prior or [DEFAULT_PRIOR],
            sigmas=args.sigmas,
            anatomies=args.anatomies,
            count=args.count,
            train_data=args.train_data,
            device=args.device,
        )
    )
    while True:
        try:
            event = next(events)
        except StopIteration as stop:
            test = stop.value
            break
        if isinstance(event, Scored):
            s = event.score
            reporter.line(
                f"{s.anatomy} {s.sigma:g} {s.label}: {s.psnr_db:.2f} dB, {s.ssim:.3f}"
            )
    for path in write_gaussian(test, args.out):
        reporter.line(f"{path} written")
    if args.json:
        show_json([asdict(score) for score in test.scores])
    else:
        _show(test.scores)
    return 0


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
            cells = "".join(
                f"  {mine[g].psnr_db:6.2f} /{mine[g].ssim:.3f}"[:15].ljust(15)
                for g in sigmas
            )
            seconds = sum(s.seconds for s in mine.values()) / len(mine)
            print(f"{label:<{width}}{cells}  {seconds:6.2g}")
