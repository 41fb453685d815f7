"""``usflow report``: one page on a project, before and after."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.reporting import Reporter
from napari_usflow.errors import UsflowError

__all__ = ["configure", "run"]

_SUFFIXES = (".html", ".pdf")


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "project", type=Path, help="what was saved from napari, a .usflow file"
    )
    parser.add_argument(
        "output",
        type=Path,
        nargs="?",
        help="the page, .html or .pdf (default: beside the project, .html)",
    )
    parser.add_argument(
        "--title", default="", help="its heading (default: the name of the image)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from napari_usflow.evaluate.project.store import read_project
    from napari_usflow.evaluate.report.content import report_of
    from napari_usflow.evaluate.report.html import write_html
    from napari_usflow.evaluate.report.pdf import write_pdf

    output = args.output or args.project.with_suffix(".html")
    if output.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{output}: a report is written as .html or .pdf")
    project = read_project(args.project)
    for problem in project.problems:
        Reporter().line(problem)
    try:
        report = report_of(project, title=args.title)
    except UsflowError as error:
        raise UsflowError(f"{args.project}: {error}") from error
    write = write_pdf if output.suffix.lower() == ".pdf" else write_html
    write(output, report)
    Reporter().line(f"{output} written")
    return 0
