"""``usflow evaluate density``: how likely a prior finds patches it has not seen."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from napari_usflow.cli.evaluate.options import add_common, check_folders
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.evaluate.density import COMPONENTS, density_events
from napari_usflow.evaluate.density_figures import write_density
from napari_usflow.prior.store import DEFAULT_PRIOR

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
    check_folders(args)
    reporter = Reporter()
    test = reporter.finish(
        density_events(
            args.data,
            train_data=args.train_data,
            priors=args.prior or [DEFAULT_PRIOR],
            components=args.components,
            fit_count=args.fit_count,
            count=args.count,
            device=args.device,
        )
    )
    for path in write_density(test, args.out):
        reporter.line(f"{path} written")
    if args.json:
        show_json([asdict(row) for row in test.rows])
    else:
        width = max(len(row.label) for row in test.rows)
        print(f"{'':{width}}  bits/dim  +-")
        for row in test.rows:
            print(f"{row.label:{width}}  {row.bits_per_dim:8.3f}  {row.error:.3f}")
    return 0
