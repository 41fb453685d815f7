"""Arguments that every test on MRI has."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_common", "check_folders"]


def add_common(parser: argparse.ArgumentParser, *, results: str) -> None:
    """Add ``--data``, ``--out``, ``--prior``, ``--device`` and ``--json``."""
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of MRI that was not trained on (fastMRI layout, HDF5)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"folder for {results}; made if missing",
    )
    parser.add_argument(
        "--prior",
        nargs="+",
        metavar="FILE",
        help="shipped priors or .safetensors files; each gets its own rows "
        "(default: the shipped one)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the table on standard output"
    )


def check_folders(args: argparse.Namespace) -> None:
    """Refuse wrong folders before any work is done; make the one for the results."""
    for path in (args.data, args.train_data):
        if path is not None and not path.is_dir():
            raise ValueError(f"{path}: no such folder; give a folder of MRI files")
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"{args.out} is a file; give a folder")
    args.out.mkdir(parents=True, exist_ok=True)
