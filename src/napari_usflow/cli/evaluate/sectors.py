"""``usflow evaluate sectors``: how well sectors are found in drawn screens."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_usflow.cli.reporting import Reporter

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of sectors.csv"
    )
    parser.add_argument(
        "--count",
        type=int,
        default=200,
        metavar="N",
        help="number of screens to draw (default 200)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    from napari_usflow.lab.sectors.run import (
        drawn_sectors_events,
        summary_lines,
        write_sector_fits,
    )

    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"{args.out} is a file; name a folder")
    if args.count < 1:
        raise ValueError(f"--count must be at least 1, got {args.count}")
    fits = Reporter().finish(drawn_sectors_events(args.count))
    path = write_sector_fits(fits, args.out / "sectors.csv")
    for line in summary_lines(fits):
        print(line)
    Reporter().line(f"{path} written")
    return 0
