"""``usflow evaluate density``: how likely a prior finds patches it has not seen."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.evaluate.options import (
    add_common,
    check_folders,
    priors_of,
    report,
    run_test,
)
from napari_usflow.lab.density.figures import write_density
from napari_usflow.lab.density.run import COMPONENTS, Density, density_events

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    add_common(parser, results="density.csv and density.png")
    parser.add_argument(
        "--train-data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of MRI that the Gaussian and the mixture are fitted on",
    )
    parser.add_argument(
        "--components",
        type=int,
        default=COMPONENTS,
        metavar="N",
        help=f"components of the mixture (default {COMPONENTS})",
    )
    parser.add_argument(
        "--fit-count",
        type=int,
        default=100_000,
        metavar="N",
        help="patches that are fitted; as many as they have pixels at least "
        "(default 100000: four bytes a pixel, 0.4 GB)",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=2048,
        metavar="N",
        help="held-out patches to judge on (default 2048)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    check_folders(args, args.train_data)
    test = run_test(
        density_events(
            args.data,
            train_data=args.train_data,
            priors=priors_of(args),
            components=args.components,
            fit_count=args.fit_count,
            count=args.count,
            device=args.device,
        )
    )
    return report(args, write_density(test, args.out), test.rows, _show)


def _show(rows: Sequence[Density]) -> None:
    """Print one line a model."""
    width = max(len(row.label) for row in rows)
    print(f"{'':{width}}  bits/dim  +-")
    for row in rows:
        print(f"{row.label:{width}}  {row.bits_per_dim:8.3f}  {row.error:.3f}")
