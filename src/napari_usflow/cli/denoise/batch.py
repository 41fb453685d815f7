"""One command on many files: each on its own, a table at the end."""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_usflow.cli.reporting import Reporter, complain, show_json
from napari_usflow.errors import UsflowError
from napari_usflow.io.outputs.result_names import output_paths

__all__ = ["run_batch"]


def run_batch(
    args: argparse.Namespace, run_one: Callable[[argparse.Namespace], dict[str, Any]]
) -> int:
    """Process ``args.paths`` into ``args.output_dir``; a bad file stops no other.

    Parameters
    ----------
    args : Namespace
        With the options of the command.
    run_one : callable
        Takes the arguments with ``input`` and ``output``; returns a report.

    Returns
    -------
    int
        0 when every file was written, else 2.
    """
    folder: Path = args.output_dir
    outputs = output_paths(args.paths, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsflowError(
            f"{folder} cannot be made: {error.strerror or error}"
        ) from error
    reports: list[dict[str, Any]] = []
    lines: list[tuple[str, str, str]] = []
    failed = 0
    for number, (path, output) in enumerate(zip(args.paths, outputs, strict=True), 1):
        Reporter().line(f"{number}/{len(outputs)} {path}")
        one, began = copy.copy(args), time.monotonic()
        one.input, one.output = path, output
        try:
            report = run_one(one)
        except (UsflowError, ValueError, OSError) as error:
            failed += 1
            complain(str(error))
            reports.append({"input": str(path), "error": str(error)})
            lines.append((str(path), "failed", ""))
            continue
        seconds = time.monotonic() - began
        reports.append({**report, "seconds": round(seconds, 2)})
        lines.append((str(path), str(output), f"{seconds:.1f} s"))
    if args.json:
        show_json(reports)
    widths = [max(len(line[column]) for line in lines) for column in range(2)]
    for name, place, took in lines:
        Reporter().line(f"{name:<{widths[0]}}  {place:<{widths[1]}}  {took}".rstrip())
    Reporter().line(f"{len(lines) - failed} of {len(lines)} files written")
    return 2 if failed else 0
