"""``usflow info``: say what is in a file."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_usflow.cli.options import add_meaning, add_names, meaning_options
from napari_usflow.cli.reporting import complain, show_json
from napari_usflow.errors import UsflowError
from napari_usflow.io.guards.file_checks import starting_bytes

__all__ = ["configure", "run"]

_LARGEST_SEARCHED = 2**24


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="acquisition, image, prior or network",
    )
    add_names(parser)
    add_meaning(parser)
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command; of several files, one that cannot be read stops no other."""
    options = meaning_options(args)
    if args.names:
        options["names"] = dict(args.names)
    if len(args.files) == 1:
        contents = [_describe(args.files[0], options)]
    else:
        contents = [_described(path, options) for path in args.files]
    if args.json:
        show_json(contents if len(args.files) > 1 else contents[0])
    else:
        for number, content in enumerate(contents):
            if number:
                print()
            for line in _lines(content):
                print(line)
    return 2 if any("error" in content for content in contents) else 0


def _described(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    try:
        return _describe(path, options)
    except (UsflowError, ValueError, OSError) as error:
        complain(str(error))
        return {"file": str(path), "error": str(error)}


def _describe(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    if not any(options.values()) and not path.is_dir() and _is_safetensors(path):
        from napari_usflow.networks.store import FORMAT, read_network_card
        from napari_usflow.prior.store import read_card
        from napari_usflow.prior.weights_file import read_format

        if read_format(path) == FORMAT:
            return {"file": str(path), "kind": "network", **read_network_card(path)}
        return {"file": str(path), "kind": "prior", **read_card(path)}
    from napari_usflow import io

    content = io.describe(path, **options)
    sector = _sector(path, options)
    return content if sector is None else {**content, "sector": sector}


def _sector(path: Path, options: dict[str, Any]) -> dict[str, Any] | None:
    """Return the sector of the middle frame in plain values; None for none sure.

    It is the only one that is unpacked: a clip of an hour takes no longer.
    """
    from napari_usflow import io
    from napari_usflow.ultrasound.sectors.find import find_sector

    images = io.open_file(path, outline=True, **options).images
    if not images or images[0].values != "display":
        return None
    if math.prod(images[0].grid.shape) > _LARGEST_SEARCHED:
        return None
    middle = images[0].data.shape[0] // 2
    sector = find_sector(images[0].with_data(images[0].data[middle : middle + 1]))
    return None if sector is None else sector.numbers()


def _is_safetensors(path: Path) -> bool:
    """Whether a file starts with the length of a JSON header, and the header."""
    start = starting_bytes(path, 9)
    length = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and length <= path.stat().st_size - 8


def _lines(content: Mapping[str, Any], indent: str = "") -> list[str]:
    """Lay out names and values, nested ones indented."""
    width = max((len(name) for name in content), default=0)
    lines = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        elif value is not None and value != []:
            lines.append(f"{indent}{name:<{width}}  {_text(value)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        shown = [_text(v) for v in value]
        if len(shown) > 12:
            shown = [*shown[:5], "...", *shown[-2:]]
        nested = any(isinstance(v, list | tuple | Mapping) for v in value)
        return ("; " if nested else ", ").join(shown)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} ({_text(v)})" for name, v in value.items())
    return str(value)
