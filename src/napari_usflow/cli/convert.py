"""``usflow convert``: turn any readable file into another kind."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow import __version__
from napari_usflow.cli.reading import add_reading, read_input
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.io.outputs import Options
from napari_usflow.io.outputs.writing import check_output, write_events
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["OUTPUT_HELP", "configure", "run"]

OUTPUT_HELP = (
    ".tif (float32 dB with pixel size), .ome.tif (with units and provenance too), "
    ".hdf5 (PICMUS image), .zea.hdf5 (zea), .npy, .png or .mp4 (8-bit, as shown)"
)


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument("input", type=Path, help="acquisition, image or stack")
    parser.add_argument("output", type=Path, help=OUTPUT_HELP)
    add_reading(parser)
    parser.add_argument(
        "--dynamic-range-db",
        type=float,
        default=60.0,
        metavar="DB",
        help="PNG and MP4: what is shown, in dB below the maximum (default 60)",
    )
    parser.add_argument(
        "--fps",
        type=float,
        metavar="HZ",
        help="MP4: frames a second (default: those of the acquisition, else 20)",
    )
    parser.add_argument(
        "--json", action="store_true", help="write a report on standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if not args.dynamic_range_db > 0:
        raise ValueError(
            f"--dynamic-range-db must be positive, got {args.dynamic_range_db:g}"
        )
    if args.fps is not None and not 0 < args.fps <= 1000:
        raise ValueError(f"--fps must be from 0 to 1000, got {args.fps:g}")
    check_output(args.output, args.input)
    image = read_input(args.input, args)
    options = Options(
        args.dynamic_range_db,
        frames_per_second=args.fps,
        provenance=_provenance(args.input, image),
    )
    reporter = Reporter()
    reporter.finish(write_events(args.output, image, options))
    reporter.line(f"{args.output} written")
    if args.json:
        show_json(_report(args, image))
    return 0


def _provenance(source: Path, image: UltrasoundImage) -> dict[str, object]:
    noted = {
        name: image.metadata[name]
        for name in ("first_frame", "plane_waves", "provenance")
        if name in image.metadata
    }
    return {"source": str(source), **noted}


def _report(args: argparse.Namespace, image: UltrasoundImage) -> dict[str, object]:
    return {
        "input": str(args.input),
        "output": str(args.output),
        "bytes": args.output.stat().st_size,
        "version": __version__,
        "shape": list(image.data.shape),
        "axes": [image.frame_axis, "axial", "lateral"],
        "values": image.values,
        "notes": list(image.metadata.get("notes", [])),
    }
