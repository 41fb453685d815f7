"""``usflow measure``: contrast, noise and resolution in regions, before and after."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_usflow import __version__
from napari_usflow.cli.reading import add_reading, read_input
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.evaluate.measure import Measurement, decibels, measure
from napari_usflow.evaluate.measure_table import comparison_table
from napari_usflow.evaluate.project.store import read_project
from napari_usflow.evaluate.region_files import read_regions, write_regions
from napari_usflow.evaluate.regions import Region
from napari_usflow.evaluate.suggest import suggested_regions
from napari_usflow.io import detect
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["configure", "run"]

_FORMATS = ("markdown", "csv", "json")


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="the image before, then any number of results of it; or a project saved "
        "from napari (.usflow), with its own regions",
    )
    parser.add_argument(
        "--regions",
        type=Path,
        metavar="FILE",
        help="GeoJSON in mm, x lateral and y axial, each feature with a role (target, "
        "background, speckle, point, wall), or a PICMUS phantom (default: suggested)",
    )
    parser.add_argument(
        "--save-regions", type=Path, metavar="FILE", help="write them as GeoJSON"
    )
    add_reading(parser)
    parser.add_argument(
        "--all-frames",
        action="store_true",
        help="every frame (default: the first, or --frame)",
    )
    parser.add_argument(
        "--dynamic-range-db",
        type=float,
        default=60.0,
        metavar="DB",
        help="grey pictures: decibels from black to white (default 60)",
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="markdown",
        help="of the table on standard output (default markdown)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if not args.dynamic_range_db > 0:
        raise ValueError(
            f"--dynamic-range-db must be positive, got {args.dynamic_range_db:g}"
        )
    if detect(args.images[0]) == "usflow-project":
        return _project(args)
    images = [read_input(path, args) for path in args.images]
    regions = (
        read_regions(args.regions)
        if args.regions
        else _suggested(images[0], args.dynamic_range_db)
    )
    if args.save_regions:
        write_regions(args.save_regions, regions)
        Reporter().line(f"{args.save_regions} written")
    frame = None if args.all_frames else 0
    measured = [
        _numbered(
            image,
            measure(
                image, regions, frame=frame, dynamic_range_db=args.dynamic_range_db
            ),
        )
        for image in images
    ]
    names = [path.name for path in args.images]
    _show(args, names, list(map(str, args.images)), measured)
    return 0


def _project(args: argparse.Namespace) -> int:
    """Measure the compared images of a project in its regions, on its frame."""
    if len(args.images) > 1 or args.regions or args.all_frames:
        raise ValueError(
            f"{args.images[0]} is a project with its own images, regions and frame; "
            "leave out other images, --regions and --all-frames"
        )
    project = read_project(args.images[0])
    for problem in project.problems:
        Reporter().line(problem)
    names = [image.name for image in project.compared_images()]
    if not names:
        raise ValueError(f"{args.images[0]} has no image that can be measured")
    if args.save_regions:
        write_regions(args.save_regions, project.regions)
        Reporter().line(f"{args.save_regions} written")
    _show(args, names, names, project.measured())
    return 0


def _show(
    args: argparse.Namespace,
    names: list[str],
    images: list[str],
    measured: list[list[Measurement]],
) -> None:
    if args.format == "json":
        show_json(_report(images, measured))
    else:
        print(comparison_table(names, measured, markdown=args.format == "markdown"))


def _numbered(image: UltrasoundImage, rows: list[Measurement]) -> list[Measurement]:
    """Number the frames as the file does."""
    first = int(image.metadata.get("first_frame", 0))
    return [replace(row, frame=row.frame + first) for row in rows]


def _suggested(image: UltrasoundImage, dynamic_range_db: float) -> list[Region]:
    import numpy as np

    if not isinstance(image.grid, PixelGrid):
        raise ValueError(
            "regions are suggested on pictures, not on the lines of a sector"
        )
    frame_db = decibels(
        np.asarray(image.data[0]),
        image.values,
        image.metadata.get("value_range"),
        dynamic_range_db,
    )
    return suggested_regions(frame_db, image.grid)


def _report(images: list[str], measured: list[list[Measurement]]) -> dict[str, Any]:
    return {
        "version": __version__,
        "images": [
            {"image": image, "measurements": [_plain(row) for row in rows]}
            for image, rows in zip(images, measured, strict=True)
        ],
    }


def _plain(row: Measurement) -> dict[str, Any]:
    """Leave out what is not defined: JSON has no NaN."""
    names = ("region", "role", "frame", "against")
    return {name: getattr(row, name) for name in names} | row.known()
