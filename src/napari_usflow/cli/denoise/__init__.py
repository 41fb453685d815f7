"""``usflow denoise``: remove the speckle of an image or a stack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.convert import OUTPUT_HELP
from napari_usflow.cli.denoise.batch import run_batch
from napari_usflow.cli.denoise.single import denoise_file
from napari_usflow.cli.denoise.streaming import add_streaming
from napari_usflow.cli.options import add_parameters
from napari_usflow.cli.reading import add_reading
from napari_usflow.cli.reporting import show_json
from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import QUANTITIES

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
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--method")
    name = first.parse_known_args([*argv])[0].method or default
    if name in methods():
        add_parameters(parser, method_class(name).Params, f"method {name}")


def run(args: argparse.Namespace) -> int:
    """Run the command, on one file or on many."""
    if args.output_dir is not None:
        for name in ("uncertainty", "workers", "scheduler", "resume"):
            if getattr(args, name):
                raise ValueError(f"--{name} is for one input; leave --output-dir out")
        return run_batch(args, denoise_file)
    if len(args.paths) != 2:
        raise ValueError(
            f"{len(args.paths)} paths given; an input and an output are expected, or "
            "inputs and --output-dir DIR"
        )
    args.input, args.output = args.paths
    report = denoise_file(args)
    if args.json:
        show_json(report)
    return 0
