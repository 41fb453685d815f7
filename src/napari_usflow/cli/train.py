"""``usflow train``: train a prior, or a network, on MRI."""

from __future__ import annotations

import argparse
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.errors import size_text
from napari_usflow.jobs import CancelToken, Event

if TYPE_CHECKING:
    from napari_usflow.training.events import Validated

__all__ = ["configure", "report_training", "run"]

# Of Fabric's own processes, torchrun's and Slurm's.
_RANKS = ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID")
# By name, so that help does not wait for what they are made of.
_PRIORS = ("paper", "cpu", "best", "paper-small")
_NETWORKS = ("realtime", "realtime-white", "best-network")

_ENDING = (signal.SIGINT, signal.SIGTERM)


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.description = (
        f"{parser.description}\n\n"
        f"A prior ({', '.join(_PRIORS)}) is a normalizing flow of patches: methods\n"
        "flow, flow-map and flow-speckle. A network "
        f"({', '.join(_NETWORKS)})\n"
        "learns from the same MRI, with simulated speckle or white noise, to denoise\n"
        "in one pass; methods realtime and best:\n"
        "usflow denoise IN OUT --method realtime --weights RUN/network.safetensors"
    )
    parser.add_argument(
        "data",
        nargs="+",
        type=Path,
        help="MRI: fastMRI HDF5 (images or k-space), NIfTI, DICOM series, or folders "
        "of them",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="RUN",
        help="folder of the run: RUN/prior.safetensors (or network.safetensors) at "
        "each checkpoint and the end",
    )
    parser.add_argument(
        "--config",
        choices=(*_PRIORS, *_NETWORKS),
        help="what is trained, its size and the length of the training (default: with "
        "--resume that of the run, else cpu)",
    )
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="set a field of the configuration, such as patches.only=knee, "
        "batch_size=64 or flow.hidden=64,64,64; may be repeated",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="MIN",
        help="stop and save after so many minutes of steps",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="CHECKPOINT",
        help="go on from the run's newest checkpoint, or from this one; starts when "
        "there is none",
    )
    parser.add_argument(
        "--start",
        metavar="PRIOR",
        help="begin with the weights of this prior (mri for the shipped one), or of "
        "this network (realtime)",
    )
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="DIR",
        help="MRI of other subjects, to measure the result on (default: every tenth "
        "volume of the data)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="processes on this machine: one a GPU, or sharing the CPU (default 1)",
    )
    parser.add_argument(
        "--nodes",
        type=int,
        default=1,
        metavar="N",
        help="machines; start the same command on each, with MASTER_ADDR, MASTER_PORT "
        "and NODE_RANK set (default 1)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="write the card of the result on standard output",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; SIGINT or SIGTERM saves the run and ends it; two end it now."""
    # The other processes of a run on several do the same work, say nothing, and end
    # with the first.
    leader = all(os.environ.get(name, "0") == "0" for name in _RANKS)
    if not leader:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
    for path in args.data:
        if not path.exists():
            raise ValueError(f"{path} does not exist; choose MRI files or folders")
    if args.minutes is not None and not args.minutes > 0:
        raise ValueError(f"--minutes must be positive, got {args.minutes:g}")
    if min(args.processes, args.nodes) < 1:
        raise ValueError("--processes and --nodes must be at least 1")
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"{args.out} is a file; choose a folder for the run")
    from napari_usflow.training.events import CheckpointWritten

    token = CancelToken()
    is_network = _trains_network(args)
    events = (_train_network() if is_network else _train_prior())(
        args.data,
        out=args.out,
        config=args.config,
        changes=args.changes,
        resume=args.resume,
        start=args.start,
        validation=args.validation,
        minutes=args.minutes,
        device=args.device,
        processes=args.processes,
        nodes=args.nodes,
        token=token,
    )
    if not leader:
        deque(events, maxlen=0)
        return 0
    reporter, last = Reporter(), Event()
    usual = {n: signal.signal(n, lambda *_: _stop(token)) for n in _ENDING}
    try:
        for event in events:
            report_training(reporter, event)
            last = event
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    what = "network" if is_network else "prior"
    result = args.out / f"{what}.safetensors"
    if not isinstance(last, CheckpointWritten):
        if token.cancelled:
            reporter.line("stopped before the next step; nothing new was written")
            return 130
        reporter.line(f"all steps were taken before; the {what} is {result}")
    else:
        reporter.line(f"{result} written")
    if args.json:
        show_json(_card(result, is_network))
    return 0


def _trains_network(args: argparse.Namespace) -> bool:
    """Return whether a network is trained, by --config or the resumed run."""
    if args.config is None and args.resume:
        from napari_usflow.training.run_config import kind_of_run

        return kind_of_run(args.out / "config.json") == "network"
    return args.config in _NETWORKS


def _train_prior() -> Callable[..., Generator[Event, None, Path]]:
    from napari_usflow.training.flow.train import train_prior_events

    return train_prior_events


def _train_network() -> Callable[..., Generator[Event, None, Path]]:
    from napari_usflow.training.network.train import train_network_events

    return train_network_events


def _card(path: Path, is_network: bool) -> dict[str, Any]:
    if is_network:
        from napari_usflow.networks.store import read_network_card

        return read_network_card(path)
    from napari_usflow.prior.store import read_card

    return read_card(path)


def _stop(token: CancelToken) -> None:
    if token.cancelled:
        raise KeyboardInterrupt
    token.cancel()
    # Not through sys.stderr, which may be in the middle of a line.
    os.write(2, b"\nstopping and saving after this step (again: stop at once)\n")


def report_training(reporter: Reporter, event: Event) -> None:
    """Show an event of a training, or of what comes with it."""
    from napari_usflow.training.events import (
        CheckpointWritten,
        Estimated,
        Previewed,
        TrainStep,
        Validated,
    )

    match event:
        case Estimated():
            reporter.line(
                f"{event.parameters / 1e6:.2f} million weights; all steps take about "
                f"{_duration(event.seconds)} at {event.patches_per_second:.0f} "
                f"patches/s, and {size_text(event.memory_bytes)} a process"
            )
        case TrainStep():
            reporter.status(
                f"step {event.step}/{event.steps}  epoch {event.epoch:.3g}  "
                f"loss {event.loss:.4f}  {event.patches_per_second:.0f} patches/s  "
                f"{_duration(event.seconds_left)} left"
            )
        case Validated():
            reporter.line(f"step {event.step}: {_quality(event)}")
        case CheckpointWritten():
            reporter.line(f"step {event.step}: {event.path} written")
        case Previewed():
            pass
        case _:
            reporter.show(event)


def _quality(judged: Validated) -> str:
    psnr = ", ".join(
        f"{db:.2f} dB at {sigma:g}" for sigma, db in judged.psnr_db.items()
    )
    if judged.bits_per_dim is None:
        return f"{psnr}; on speckle {judged.speckle_psnr_db:.2f} dB"
    bits = f"{judged.bits_per_dim:.3f} bits/dim"
    return f"{bits}; posterior mean {psnr}" if psnr else bits


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min" if minutes else "under a minute"
    return f"{minutes // 60} h {minutes % 60:02d} min"
