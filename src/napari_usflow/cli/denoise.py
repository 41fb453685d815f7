"""``usflow denoise``: remove the speckle of an image or a stack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow import __version__
from napari_usflow.cli.batch import run_batch
from napari_usflow.cli.convert import OUTPUT_HELP, add_reading
from napari_usflow.cli.options import (
    add_parameters,
    given_parameters,
    meaning_options,
)
from napari_usflow.cli.reading import read_image
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.cli.streaming import (
    add_streaming,
    check_streaming,
    stream_denoised,
)
from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.arguments import sigma_in_db
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.frame_loop import needed_noise
from napari_usflow.denoising.on_lines import SectorPlan, sector_plan, stated_sector
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import (
    QUANTITIES,
    uncertainty_events,
    uncertainty_kind,
    uncertainty_measure,
)
from napari_usflow.denoising.uncertainty.network_disagreement import strong_sentence
from napari_usflow.denoising.value_map import value_map
from napari_usflow.io.outputs.writing import (
    check_output,
    check_result,
    in_decibels,
    room_for,
    write,
)
from napari_usflow.jobs import FrameDone
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command, with those of the method in ``argv``."""
    default = methods()[0]
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="input (acquisition, image or stack) and output "
        f"({OUTPUT_HELP}, or .zarr, OME-Zarr frame by frame); with --output-dir, "
        "any number of inputs",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="denoise every input with the same settings into this folder, as OME-TIFF",
    )
    parser.add_argument(
        "--method",
        choices=methods(),
        default=default,
        help=f"how (default {default}); its own options: --method NAME --help",
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="named parameters of the method, such as paper; options go before them",
    )
    add_reading(parser)
    parser.add_argument(
        "--sigma",
        type=float,
        metavar="X",
        help="noise standard deviation as a fraction of the dynamic range "
        "(speckle over 60 dB: 0.093); or pass --sigma-db",
    )
    parser.add_argument(
        "--weights",
        metavar="NAME",
        help="shipped prior or network, or .safetensors file",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--uncertainty",
        type=Path,
        metavar="FILE",
        help="also write how sure the method is of each pixel, in dB: of flow the "
        "standard deviation, of a network how far it moves when the image is turned "
        "(.tif, .npy, or .png with the noise level as white)",
    )
    parser.add_argument(
        "--uncertainty-kind",
        choices=tuple(QUANTITIES),
        help="std is that of flow; spread (when the image is turned and mirrored) and "
        "disagreement (with flow) those of networks",
    )
    parser.add_argument(
        "--json", action="store_true", help="write a report on standard output"
    )
    parser.add_argument(
        "--sector",
        default="auto",
        metavar="HOW",
        help="of a scan-converted picture: auto finds its sector and denoises on its "
        "lines, none takes the picture as it is, and six numbers state the sector, as "
        "ROW,COLUMN,FIRST,LAST,NEAR,FAR: its apex in pixels, its angles in degrees and "
        "its radii in pixels (default auto)",
    )
    parser.add_argument(
        "--mask-outside",
        action="store_true",
        help="make black what is around the sector, with all text and names; nothing "
        "is written where no sector is found",
    )
    add_streaming(parser)
    add_parameters(parser, Settings, "image to image")
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument("--method")
    name = chosen.parse_known_args([*argv])[0].method or default
    if name in methods():
        add_parameters(parser, method_class(name).Params, f"method {name}")


def run(args: argparse.Namespace) -> int:
    """Run the command, on one file or on many."""
    if args.output_dir is not None:
        for name in ("uncertainty", "workers", "scheduler", "resume"):
            if getattr(args, name):
                raise ValueError(f"--{name} is for one input; leave --output-dir out")
        return run_batch(args, _denoise)
    if len(args.paths) != 2:
        raise ValueError(
            f"{len(args.paths)} paths given; an input and an output are expected, or "
            "inputs and --output-dir DIR"
        )
    args.input, args.output = args.paths
    report = _denoise(args)
    if args.json:
        show_json(report)
    return 0


def _denoise(args: argparse.Namespace) -> dict[str, Any]:
    """Denoise ``args.input`` into ``args.output``; return the report."""
    streamed = check_streaming(args)
    if not streamed:
        check_output(args.output, args.input)
    if args.uncertainty is not None:
        _check_uncertainty(args)
    elif args.uncertainty_kind is not None:
        raise ValueError(
            "--uncertainty-kind is for --uncertainty FILE, which is missing"
        )
    params = given_parameters(args, method_class(args.method).Params)
    denoiser = create(
        args.method,
        preset=args.preset,
        weights=args.weights,
        device=args.device,
        **params,
    )
    # Loads the weights: wrong ones, or a wrong device, are told before any work.
    denoiser.provenance()
    chosen = given_parameters(args, Settings)
    if args.value_range is not None:
        chosen["value_range"] = tuple(args.value_range)
    settings = Settings(**chosen)
    if args.sigma is not None and settings.sigma_db is not None:
        raise ValueError("pass either --sigma or --sigma-db, not both")
    image = read_image(
        args.input,
        angles=args.angles,
        bandwidth=args.bandwidth,
        pixel_size_mm=args.pixel_size_mm,
        frame=args.frame,
        device=args.device,
        acquisition=args.acquisition,
        names=args.names,
        picture=args.picture,
        **meaning_options(args),
    )
    if not streamed:
        _check_frames(args, image)
        image = in_decibels(image)
        check_result(args.output, image)
        if args.uncertainty is not None:
            noted = {**image.metadata, "value_range": (0.0, 1.0)}
            check_result(
                args.uncertainty,
                image.with_data(image.data, values="display", metadata=noted),
            )
    values = value_map(image, settings.value_range, settings.dynamic_range_db)
    if args.sigma is not None:
        sigma_db = sigma_in_db(args.sigma, values.dynamic_range_db)
        settings = Settings(**chosen, sigma_db=sigma_db)
    plan = _sector_plan(args, image, values.low)
    noise = needed_noise(plan.work, denoiser, settings)
    if settings.sigma_db is None and denoiser.needs_noise:
        level_db = noise.sigma * values.dynamic_range_db
        Reporter().line(f"noise level estimated: {level_db:.1f} dB")
    denoiser = denoiser.suited(noise)
    report: dict[str, Any] = {
        "input": str(args.input),
        "output": str(args.output),
        "version": __version__,
        **denoiser.provenance(),
        "settings": vars(settings),
        **plan.provenance(),
    }
    if streamed:
        if args.value_range is not None:
            noted = {**image.metadata, "value_range": (values.low, values.high)}
            image = image.with_data(image.data, metadata=noted)
        plan = replace(plan, image=image)
        stream_denoised(args, plan, denoiser, settings, report)
        return report
    result = room_for(image.data.shape, args.output.parent)
    frames: list[dict[str, Any]] = []
    first = int(image.metadata.get("first_frame", 0))
    run = denoise_events(plan.work, denoiser, settings, noise=noise)
    for event in Reporter(first).watch(plan.pictures(run)):
        if isinstance(event, FrameDone):
            result[event.index] = event.data
            frames.append({"frame": first + event.index, **event.info})
    report["frames"] = frames
    if args.uncertainty is not None:
        _write_uncertainty(args, plan, settings, report)
    if args.value_range is not None:
        noted = {**image.metadata, "value_range": (values.low, values.high)}
        image = image.with_data(result, metadata=noted)
    write(
        args.output,
        image.with_data(result),
        dynamic_range_db=values.dynamic_range_db,
        provenance=report,
    )
    Reporter().line(f"{args.output} written")
    return report


def _sector_plan(
    args: argparse.Namespace, image: UltrasoundImage, low: float
) -> SectorPlan:
    """Find or take the sector, and tell the user what is done with it."""
    aspect = 1.0
    if isinstance(image.grid, PixelGrid):
        aspect = image.grid.spacing_mm[1] / image.grid.spacing_mm[0]
    sector = stated_sector(args.sector, aspect)
    plan = sector_plan(image, sector, mask_outside=args.mask_outside, low=low)
    sentence = plan.sentence()
    if sentence:
        Reporter().line(f"{sentence} (--sector none takes the picture as it is)")
    return plan


def _check_frames(args: argparse.Namespace, image: UltrasoundImage) -> None:
    """Refuse to write a stack into a picture."""
    for path in filter(None, (args.output, args.uncertainty)):
        if path.suffix.lower() == ".png" and image.data.shape[0] > 1:
            raise ValueError(
                f"{path}: a PNG holds one frame and {args.input} has "
                f"{image.data.shape[0]}; choose one with --frame, or write .tif"
            )


def _check_uncertainty(args: argparse.Namespace) -> None:
    """Refuse what cannot be written, or says nothing about the result."""
    check_output(args.uncertainty, args.input)
    if args.uncertainty.resolve() == args.output.resolve():
        raise ValueError(f"{args.output} is the result; choose another file")
    uncertainty_kind(args.method, args.uncertainty_kind)


def _write_uncertainty(
    args: argparse.Namespace,
    plan: SectorPlan,
    settings: Settings,
    report: dict[str, Any],
) -> None:
    """Find how sure the method is of each pixel and write it; 0 around a sector."""
    image = plan.image
    spread_db = room_for(image.data.shape, args.uncertainty.parent)
    kind = uncertainty_kind(args.method, args.uncertainty_kind)
    params = given_parameters(args, method_class(args.method).Params)
    measure = uncertainty_measure(
        args.method, kind, weights=args.weights, device=args.device, **params
    )
    events = uncertainty_events(plan.work, settings, measure, decibels=True)
    around = np.zeros(image.grid.shape, np.float32)
    first = int(image.metadata.get("first_frame", 0))
    white, infos = 1.0, []
    for event in Reporter(first).watch(events):
        if isinstance(event, FrameDone):
            spread_db[event.index] = (
                event.data
                if plan.lines is None
                else plan.lines.to_picture(event.data, around)
            )
            white = event.info["sigma_db"]
            infos.append(event.info)
    noted = {**image.metadata, "value_range": (0.0, white)}
    write(
        args.uncertainty,
        image.with_data(spread_db, values="display", metadata=noted),
        provenance={**report, **measure.provenance(), "quantity": QUANTITIES[kind]},
    )
    report["uncertainty"] = str(args.uncertainty)
    Reporter().line(f"{args.uncertainty} written")
    strong = strong_sentence(infos)
    if strong:
        report["uncertainty_remark"] = strong
        Reporter().line(strong)
