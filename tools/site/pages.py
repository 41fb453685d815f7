"""Pages of the site that are made from the program itself when the site is built."""

from __future__ import annotations

import dataclasses
import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import napari_usflow as usf
from napari_usflow import cli
from napari_usflow.cli.evaluate import TESTS
from napari_usflow.denoising.settings import Settings

__all__ = [
    "api_page",
    "command_pages",
    "parameter_table",
    "repository_links",
    "repository_pages",
]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "napari_usflow"
COLUMNS = "76"

NO_LIMIT = 2**31 - 1
"""What a whole number cannot exceed anyway."""

API = {
    "Files": ("read", "read_channel_data", "write"),
    "Images": ("beamform", "find_sector", "scan_convert", "simulate_speckle"),
    "Denoising": ("denoise", "uncertainty", "methods", "method_class"),
    "Metrics": (
        "measure",
        "contrast",
        "cnr",
        "gcnr",
        "speckle_snr",
        "enl",
        "psnr",
        "ssim",
    ),
    "Training": ("train_prior", "train_network", "load_prior"),
    "Data": (
        "UltrasoundImage",
        "ChannelData",
        "Region",
        "MriStack",
        "PixelGrid",
        "PolarGrid",
        "Sector",
        "PlaneWave",
        "DivergingWave",
        "FocusedBeam",
    ),
    "Progress": (
        "CancelToken",
        "Event",
        "Progress",
        "Note",
        "FrameDone",
        "Estimated",
        "TrainStep",
        "Validated",
        "Previewed",
        "CheckpointWritten",
    ),
    "Other packages": ("DeepinvDenoiser",),
    "Errors": ("UsflowError", "FileFormatError", "PriorError", "Cancelled"),
}
"""The public names in the order of the page; one that is new comes under *Others*."""

API_START = """# Python

```python
import napari_usflow as usf
```

Nothing slow is loaded before it is used. What is not on this page may change without
notice.
"""

COMMANDS_START = """# Command line

Every page here is what `--help` prints. Results go to standard output, progress and
errors to standard error. The exit code is 0 only when the result is written and whole,
2 for a bad input, 130 when interrupted.
"""


def api_page() -> str:
    """Page of the public names, whose docstrings are read by mkdocstrings."""
    listed = {name for names in API.values() for name in names}
    sections = {**API, "Others": tuple(sorted(set(usf._HOMES) - listed))}
    lines = [API_START]
    for title, names in sections.items():
        there = [name for name in names if name in usf._HOMES]
        if there:
            lines.append(f"## {title}\n")
        for name in there:
            lines.append(f"::: {getattr(usf, name).__module__}.{name}\n")
    return "\n".join(lines)


def command_pages() -> dict[str, str]:
    """Pages of the command line from its own help, by their path in the site."""
    rows = "\n".join(
        f"| [`usflow {name}`]({name}.md) | {text} |"
        for name, text in cli.COMMANDS.items()
    )
    start = f"{COMMANDS_START}\n| | |\n| --- | --- |\n{rows}\n"
    pages = {"cli/index.md": start}
    for name in cli.COMMANDS:
        blocks = [f"# usflow {name}\n", _help(name)]
        blocks += [f"## {title}\n\n{_help(*argv)}" for title, argv in _variants(name)]
        pages[f"cli/{name}.md"] = "\n".join(blocks)
    return pages


def _variants(command: str) -> Iterator[tuple[str, list[str]]]:
    """Headings and arguments where the help depends on further arguments."""
    if command == "denoise":
        for method in usf.methods()[1:]:
            yield f"--method {method}", [command, "--method", method]
    if command == "evaluate":
        for test in TESTS:
            yield f"usflow evaluate {test}", [command, test]


def _help(*argv: str) -> str:
    """What ``usflow ARGV --help`` prints, as a block."""
    os.environ |= {"COLUMNS": COLUMNS, "NO_COLOR": "1"}
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = cli.main([*argv, "--help"])
    if code:
        raise RuntimeError(f"usflow {' '.join(argv)} --help gave exit code {code}")
    return f"```text\n{printed.getvalue().rstrip()}\n```\n"


def repository_pages(repository: str) -> dict[str, str]:
    """Pages made of files outside ``docs``: changelog, contributing, model cards."""
    cards = sorted(PACKAGE.glob("*/weights/*.md"))
    sources = {
        "changelog.md": ROOT / "CHANGELOG.md",
        "contributing.md": ROOT / "CONTRIBUTING.md",
        **{f"models/{card.name}": card for card in cards},
    }
    return {
        page: repository_links(
            source.read_text(encoding="utf-8"), source.parent, page, repository
        )
        for page, source in sources.items()
    }


def repository_links(text: str, folder: Path, page: str, repository: str) -> str:
    """Let the relative links of a file lead to pages, or else into the repository.

    Parameters
    ----------
    text : str
        Markdown.
    folder : Path
        Where the file is, and its links start.
    page : str
        The path of its page within the site's source.
    repository : str
        Address of the repository.
    """
    docs = ROOT / "docs"
    depth = "../" * page.count("/")

    def replaced(match: re.Match[str]) -> str:
        target, hash_, anchor = match[1].partition("#")
        path = (folder / target).resolve()
        if path.is_relative_to(docs):
            return f"]({depth}{path.relative_to(docs).as_posix()}{hash_}{anchor})"
        if path.parent.name == "weights" and path.suffix == ".md":
            return f"]({depth}models/{path.name}{hash_}{anchor})"
        if not path.exists():
            raise ValueError(f"{page}: there is no {target}")
        return f"]({repository}/blob/main/{path.relative_to(ROOT).as_posix()})"

    return re.sub(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)", replaced, text)


def parameter_table(what: str) -> str:
    """Table of the parameters of ``settings``, a method, or a dataclass.

    Parameters
    ----------
    what : str
        ``settings``, the name of a method, or ``module:Class`` below the package.
    """
    if what == "settings":
        params: Any = Settings
    elif what in usf.methods():
        params = usf.method_class(what).Params
    else:
        module, _, name = what.partition(":")
        params = getattr(import_module(f"napari_usflow.{module}"), name)
    rows = [_row(field) for field in dataclasses.fields(params) if field.metadata]
    if not rows:
        return "*It has no parameters of its own.*"
    head = "| Parameter | Unit | Range | Default | Meaning |"
    return "\n".join([head, "| --- " * 5 + "|", *rows])


def _row(field: dataclasses.Field[Any]) -> str:
    meta = field.metadata
    low, high = meta.get("minimum"), meta.get("maximum")
    limits = ", ".join(f"`{choice}`" for choice in meta.get("choices") or ())
    if low is not None and high is not None and high < NO_LIMIT:
        limits = f"{low:g} to {high:g}"
    elif low is not None:
        limits = f"≥ {low:g}"
    default = field.default
    if default is dataclasses.MISSING:
        default = "see its own"
    elif default is None:
        default = meta.get("left_out") or "left out"
    elif isinstance(default, bool):
        default = "on" if default else "off"
    label = f"`{field.name}`"
    text = str(meta["help"]).replace("|", "\\|")
    cells = (label, meta.get("unit", ""), limits, default, text)
    return f"| {' | '.join(map(str, cells))} |"
