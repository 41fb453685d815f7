"""``usflow export``: a network as an ONNX file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.reporting import Reporter

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.description = (
        f"{parser.description}\n\n"
        "The file runs wherever ONNX does, without torch. Inputs: noisy, float32\n"
        "(N, 1, Z, X) of any size, values nominally from 0 to 1; sigma, float32 (N,),\n"
        "the noise level in those values. Output: clean, float32 (N, 1, Z, X). Pixel\n"
        "size in mm, licence and the hash of the network are in its metadata.\n"
        "Needs the extra onnx: pip install 'napari-usflow[onnx]'"
    )
    parser.add_argument(
        "network", help="a shipped network, such as realtime, or a .safetensors file"
    )
    parser.add_argument("output", type=Path, help="file to write, ending in .onnx")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from napari_usflow.networks.onnx_export import export_onnx

    export_onnx(args.network, args.output)
    Reporter().line(f"{args.output} written")
    return 0
