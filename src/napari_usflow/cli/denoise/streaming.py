"""Long stacks: written frame by frame, computed here or on a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_usflow.cli.reporting import Reporter
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.frame_loop import refuse_no_tissue
from napari_usflow.denoising.lazy import lazy_denoised, store_events
from napari_usflow.denoising.local_cluster import NO_DISTRIBUTED, local_client
from napari_usflow.denoising.on_lines import SectorPlan
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.warm_start import refuse_warm_start
from napari_usflow.errors import UsflowError
from napari_usflow.io.outputs.writing import check_place
from napari_usflow.io.zarr_stack import ZarrStack

__all__ = ["STREAMED_SUFFIX", "add_streaming", "check_streaming", "stream_denoised"]

STREAMED_SUFFIX = ".zarr"

_CONNECT_S = 15


def add_streaming(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--scheduler`` and ``--resume``."""
    group = parser.add_argument_group("long stacks, written to .zarr frame by frame")
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="compute in N processes on this machine",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="compute on the workers of a dask scheduler, such as tcp://host:8786",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with an output that is not finished; what is there is kept",
    )


def check_streaming(args: argparse.Namespace) -> bool:
    """Return whether the output is streamed.

    Raises
    ------
    ValueError
        When the options do not fit each other or the output.
    """
    streamed: bool = args.output.suffix.lower() == STREAMED_SUFFIX
    if args.workers is not None and args.scheduler is not None:
        raise ValueError("give either --workers or --scheduler, not both")
    if args.workers is not None and args.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {args.workers}")
    for name in ("workers", "scheduler", "resume"):
        if getattr(args, name) and not streamed:
            raise ValueError(
                f"--{name} is for a stack that is written frame by frame; name the "
                f"output {args.output.stem}{STREAMED_SUFFIX}"
            )
    if streamed and args.uncertainty is not None:
        raise ValueError(
            "--uncertainty is for an output that is written at once; leave it out, or "
            "name another output than .zarr"
        )
    if streamed:
        check_place(args.output)
    return streamed


def stream_denoised(
    args: argparse.Namespace,
    plan: SectorPlan,
    denoiser: Denoiser,
    settings: Settings,
    report: Mapping[str, Any],
) -> None:
    """Denoise a stack into an OME-Zarr group, frame by frame.

    Parameters
    ----------
    args : Namespace
        With ``output`` and the options of :func:`add_streaming`.
    plan : SectorPlan
        The image and its sector.
    denoiser, settings
        See :func:`napari_usflow.denoising.lazy.lazy_denoised`.
    report : mapping
        How it is made.
    """
    refuse_warm_start(denoiser)
    refuse_no_tissue(plan.image)
    output: Path = args.output
    store = ZarrStack(output, plan.image, report, resume=args.resume)
    missing = len(store.missing)
    if not missing:
        Reporter().line(f"{output} is finished already")
        return
    try:
        with _client(args):
            frames = lazy_denoised(plan.work, denoiser, settings)
            frames = plan.lazy_pictures(frames)
            for _ in Reporter().watch(store_events(frames, store)):
                pass
    except BaseException:
        store.remove_if_empty()
        raise
    Reporter().line(f"{output}: {missing} frames written")


@contextmanager
def _client(args: argparse.Namespace) -> Iterator[None]:
    """Be a client of the cluster that was asked for, if one was.

    Raises
    ------
    UsflowError
        When dask.distributed is not installed, or no scheduler answers.
    """
    if args.workers is None and args.scheduler is None:
        yield
        return
    if args.workers is not None:
        with local_client(args.workers):
            yield
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise UsflowError(NO_DISTRIBUTED) from error
    try:
        client = Client(args.scheduler, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise UsflowError(
            f"no dask scheduler answers at {args.scheduler} ({error}); start one "
            "with 'dask scheduler', or leave --scheduler out"
        ) from error
    with client:
        yield
