"""One input to one output."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from napari_usflow import __version__
from napari_usflow.cli.denoise.streaming import check_streaming, stream_denoised
from napari_usflow.cli.denoise.uncertainty import check_uncertainty, write_uncertainty
from napari_usflow.cli.options import given_parameters
from napari_usflow.cli.reading import read_input
from napari_usflow.cli.reporting import Reporter
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.arguments import sigma_in_db
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.frame_loop import needed_noise
from napari_usflow.denoising.on_lines import SectorPlan, sector_plan, stated_sector
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
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

__all__ = ["denoise_file"]


def denoise_file(args: argparse.Namespace) -> dict[str, Any]:
    """Denoise ``args.input`` into ``args.output``; return the report."""
    streamed = check_streaming(args)
    if not streamed:
        check_output(args.output, args.input)
    if args.uncertainty is not None:
        check_uncertainty(args)
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
    fields = given_parameters(args, Settings)
    if args.value_range is not None:
        fields["value_range"] = tuple(args.value_range)
    settings = Settings(**fields)
    if args.sigma is not None and settings.sigma_db is not None:
        raise ValueError("pass either --sigma or --sigma-db, not both")
    image = read_input(args.input, args)
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
        settings = Settings(**fields, sigma_db=sigma_db)
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
        write_uncertainty(args, plan, settings, report)
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
