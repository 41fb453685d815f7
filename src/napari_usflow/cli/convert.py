"""``usflow convert``: turn any readable file into TIFF, PNG or NumPy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.options import add_pixel_size
from napari_usflow.cli.reading import read_image
from napari_usflow.cli.reporting import Reporter
from napari_usflow.io.writing import check_output, write_image

__all__ = ["add_reading", "configure", "run"]


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what every command that reads an image takes."""
    add_pixel_size(parser)
    parser.add_argument(
        "--angles",
        type=int,
        metavar="N",
        help="raw data: number of plane waves to compound (default: all)",
    )
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="this frame only; 0 is the first, -1 the last (default: all)",
    )


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument("input", type=Path, help="acquisition, image or stack")
    parser.add_argument(
        "output",
        type=Path,
        help=".tif (float32 dB with pixel size), .png (8-bit, as shown) or .npy",
    )
    add_reading(parser)
    parser.add_argument(
        "--dynamic-range-db",
        type=float,
        default=60.0,
        metavar="DB",
        help="PNG: what is shown, in dB below the maximum (default 60)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if not args.dynamic_range_db > 0:
        raise ValueError(
            f"--dynamic-range-db must be positive, got {args.dynamic_range_db:g}"
        )
    check_output(args.output, args.input)
    image = read_image(
        args.input,
        angles=args.angles,
        pixel_size_mm=args.pixel_size_mm,
        frame=args.frame,
    )
    write_image(
        args.output,
        image,
        dynamic_range_db=args.dynamic_range_db,
        provenance={
            "source": str(args.input),
            **{
                name: image.metadata[name]
                for name in ("first_frame", "plane_waves")
                if name in image.metadata
            },
        },
    )
    Reporter().line(f"{args.output} written")
    return 0
