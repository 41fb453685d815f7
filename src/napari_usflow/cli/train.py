"""``usflow train``: train a prior on MRI."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.jobs import CancelToken

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "data",
        nargs="+",
        type=Path,
        help="MRI files in the fastMRI layout (HDF5), or folders of them",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="RUN",
        help="folder of the run: RUN/prior.safetensors at each checkpoint and the end",
    )
    parser.add_argument(
        "--config",
        choices=("paper", "cpu", "best"),
        default="cpu",
        help="size of the flow and length of the training (default cpu)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="MIN",
        help="stop and save after so many minutes more",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the run's checkpoint; starts when there is none",
    )
    parser.add_argument("--validation", type=Path, metavar="DIR", help="held-out files")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the prior's card on standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; an interrupt saves the run and ends it."""
    for path in args.data:
        if not path.exists():
            raise ValueError(f"{path} does not exist; give MRI files or folders")
    if args.minutes is not None and not args.minutes > 0:
        raise ValueError(f"--minutes must be positive, got {args.minutes:g}")
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"{args.out} is a file; give a folder for the run")
    from napari_usflow.prior.store import read_card
    from napari_usflow.prior.training import (
        CheckpointWritten,
        TrainStep,
        Validated,
        train_prior,
    )

    token = CancelToken()
    events = train_prior(
        args.data,
        out=args.out,
        config=args.config,
        resume=args.resume,
        validation=args.validation,
        minutes=args.minutes,
        device=args.device,
        token=token,
    )
    reporter = Reporter()
    usual = signal.signal(signal.SIGINT, lambda *_: token.cancel())
    try:
        for event in events:
            if isinstance(event, TrainStep):
                reporter.status(
                    f"step {event.step}/{event.steps}  loss {event.loss:.4f}  "
                    f"{event.patches_per_second:.0f} patches/s"
                )
            elif isinstance(event, Validated):
                psnr = ", ".join(
                    f"{db:.2f} dB at {sigma:g}" for sigma, db in event.psnr_db.items()
                )
                reporter.line(
                    f"step {event.step}: {event.bits_per_dim:.3f} bits/dim"
                    + (f"; posterior mean {psnr}" if psnr else "")
                )
            elif isinstance(event, CheckpointWritten):
                reporter.line(f"step {event.step}: {event.path} written")
            else:
                reporter.show(event)
    finally:
        signal.signal(signal.SIGINT, usual)
    prior = args.out / "prior.safetensors"
    reporter.line(f"{prior} written")
    if args.json:
        show_json(read_card(prior))
    return 0
