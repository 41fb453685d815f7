"""``usflow simulate``: put speckle on a picture of tissue."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow import __version__
from napari_usflow.cli.convert import OUTPUT_HELP
from napari_usflow.cli.options import add_parameters, given_parameters
from napari_usflow.cli.reading import add_reading, read_input
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.denoising.arguments import with_pixel_size
from napari_usflow.denoising.value_map import value_map
from napari_usflow.io.outputs.writing import (
    check_output,
    check_result,
    in_decibels,
    write,
)
from napari_usflow.jobs import FrameDone
from napari_usflow.ultrasound.data import UltrasoundImage
from napari_usflow.ultrasound.simulate.speckle import (
    SpeckleParams,
    simulate_stack_events,
)

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument("input", type=Path, help="picture or stack of pictures")
    parser.add_argument("output", type=Path, help=OUTPUT_HELP)
    add_reading(parser)
    parser.add_argument(
        "--json", action="store_true", help="write a report on standard output"
    )
    add_parameters(parser, SpeckleParams, "speckle")
    parser.epilog = (
        "A pixel size that the file does not state, and that is not given, is taken "
        "to be\n0.4375 mm, that of the shipped prior."
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    check_output(args.output, args.input)
    params = SpeckleParams(**given_parameters(args, SpeckleParams))
    image = read_input(args.input, args)
    frames = image.data.shape[0]
    if args.output.suffix.lower() == ".png" and frames > 1:
        raise ValueError(
            f"{args.output}: a PNG holds one frame and {args.input} has {frames}; "
            "choose one with --frame, or write .tif"
        )
    note = ""
    if image.metadata.get("pixel_size_known") is False:
        image = with_pixel_size(image, params.pixel_size_mm)
        size = "{:g} x {:g} mm".format(*image.spacing_mm)
        note = f"{args.input} does not state its pixel size; taken to be {size}"
    params = replace(params, pixel_size_mm=image.spacing_mm)
    image, black, white = _with_black_and_white(image, args.value_range, params)
    # Black and white of the input are not those of the result.
    noted = {k: v for k, v in image.metadata.items() if k != "value_range"}
    outline = image.with_data(image.data, values="db", metadata=noted)
    check_result(args.output, outline)
    first = int(image.metadata.get("first_frame", 0))
    events = simulate_stack_events(
        image.data,
        params,
        black=black,
        white=white,
        first_frame=first,
        name=str(args.input),
    )
    result = np.empty(image.data.shape, dtype=np.float32)
    done: list[dict[str, Any]] = []
    for event in Reporter(first).watch(events):
        if isinstance(event, FrameDone):
            result[event.index] = event.data
            done.append({"frame": first + event.index, **event.info})
    if note:
        Reporter().line(note)
    report = {
        "input": str(args.input),
        "output": str(args.output),
        "version": __version__,
        "parameters": asdict(params),
        "black": black,
        "white": white,
        "frames": done,
    }
    write(
        args.output,
        outline.with_data(result),
        dynamic_range_db=params.dynamic_range_db,
        provenance=report,
    )
    Reporter().line(f"{args.output} written")
    if args.json:
        show_json(report)
    return 0


def _with_black_and_white(
    image: UltrasoundImage, value_range: Any, params: SpeckleParams
) -> tuple[UltrasoundImage, float, float]:
    """Return the picture, and which of its values are 0 and 1.

    An envelope is an amplitude already; read as a display map it is log-compressed.
    """
    if image.values == "envelope":
        if params.reading == "amplitude" and value_range is None:
            return image, 0.0, float(np.max(np.asarray(image.data[:]))) or 1.0
        image = in_decibels(image)
    values = value_map(image, value_range, params.dynamic_range_db)
    return image, values.low, values.high
