"""``--uncertainty``: a second output that says how sure the method is."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from napari_usflow.cli.options import given_parameters
from napari_usflow.cli.reporting import Reporter
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.on_lines import SectorPlan
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import (
    QUANTITIES,
    uncertainty_events,
    uncertainty_kind,
    uncertainty_measure,
)
from napari_usflow.denoising.uncertainty.network_disagreement import strong_sentence
from napari_usflow.io.outputs.writing import check_output, room_for, write
from napari_usflow.jobs import FrameDone

__all__ = ["check_uncertainty", "write_uncertainty"]


def check_uncertainty(args: argparse.Namespace) -> None:
    """Refuse what cannot be written, or says nothing about the result."""
    check_output(args.uncertainty, args.input)
    if args.uncertainty.resolve() == args.output.resolve():
        raise ValueError(f"{args.output} is the result; choose another file")
    uncertainty_kind(args.method, args.uncertainty_kind)


def write_uncertainty(
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
