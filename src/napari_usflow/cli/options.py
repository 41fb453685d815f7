"""Options of the command line made from parameter dataclasses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = [
    "add_meaning",
    "add_names",
    "add_parameters",
    "add_pixel_size",
    "given_parameters",
    "meaning_options",
]


def add_parameters(parser: argparse.ArgumentParser, params: type, title: str) -> None:
    """Add an option for every described field of a parameter dataclass.

    Options that are not given leave no trace in the namespace, so that the
    dataclass keeps the only copy of the defaults.
    """
    group = parser.add_argument_group(title)
    hints = get_type_hints(params)
    for field in _described(params):
        keywords: dict[str, Any] = {
            "dest": field.name,
            "default": argparse.SUPPRESS,
            "help": _help(field),
        }
        kind = _kind(hints[field.name])
        if kind is bool:
            keywords["action"] = argparse.BooleanOptionalAction
        elif field.metadata.get("choices"):
            keywords["choices"] = field.metadata["choices"]
        else:
            keywords["type"] = kind
            keywords["metavar"] = _metavar(field, kind)
        group.add_argument("--" + field.name.replace("_", "-"), **keywords)


def given_parameters(args: argparse.Namespace, params: type) -> dict[str, Any]:
    """Return the fields of a parameter dataclass that the user set."""
    return {f.name: vars(args)[f.name] for f in _described(params) if f.name in args}


def add_pixel_size(parser: argparse.ArgumentParser) -> None:
    """Add ``--pixel-size-mm``."""
    parser.add_argument(
        "--pixel-size-mm",
        nargs="+",
        type=float,
        action=_PixelSize,
        metavar="MM",
        help="pixel size in mm, one number or axial and lateral: of a file that does "
        "not state it, or to beamform raw data on",
    )


def add_names(parser: argparse.ArgumentParser) -> None:
    """Add ``--names``, a mapping for :class:`~napari_usflow.io.matlab.MatlabNames`."""
    from napari_usflow.io.matlab import MatlabNames

    keys = ", ".join(field.name for field in _described(MatlabNames))
    parser.add_argument(
        "--names",
        nargs="+",
        action="extend",
        type=_pair,
        metavar="KEY=NAME",
        help="MATLAB, HDF5 and .npz: which variable is what, such as samples=rfdata "
        "'sampling_frequency_hz=Trans.frequency * 4e6' pitch_m=0.0003; 'usflow info "
        f"FILE' lists the variables, the keys are {keys}",
    )


def add_meaning(parser: argparse.ArgumentParser) -> None:
    """Add ``--values``, ``--value-range`` and ``--as-grey``."""
    from napari_usflow.ultrasound.value_rule import STATED_VALUES

    parser.add_argument(
        "--values",
        choices=STATED_VALUES,
        help="what the numbers are, of a file that does not say and where they do not "
        "tell: decibels, linear envelope, display grey, or beamformed RF",
    )
    parser.add_argument(
        "--value-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="the image's black and white, in its values (default: by their kind)",
    )
    parser.add_argument(
        "--as-grey",
        action="store_true",
        help="DICOM, videos, pictures: the colours are a tint, text or a logo, and no "
        "colour Doppler",
    )


def meaning_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of :func:`add_meaning` for :func:`napari_usflow.read`."""
    value_range = args.value_range
    return {
        "values": args.values,
        "value_range": None if value_range is None else tuple(value_range),
        "as_grey": args.as_grey,
    }


def _pair(text: str) -> tuple[str, str]:
    key, equals, name = text.partition("=")
    if not (key.strip() and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=NAME")
    return key.strip(), name.strip()


class _PixelSize(argparse.Action):
    """One number for both axes, or two."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        sizes = [float(v) for v in values or ()]
        if len(sizes) > 2 or not all(0 < size < 1e3 for size in sizes):
            parser.error(
                f"{option_string} takes one or two sizes in mm, "
                f"got {' '.join(f'{s:g}' for s in sizes)}"
            )
        setattr(namespace, self.dest, (sizes[0], sizes[-1]))


def _described(params: type) -> list[Field[Any]]:
    return [f for f in fields(params) if "help" in f.metadata]


def _kind(hint: Any) -> Any:
    """Type that an option's text is converted to."""
    if get_origin(hint) in (Union, UnionType):
        return next(_kind(h) for h in get_args(hint) if h is not NoneType)
    if get_origin(hint) is Literal:
        return str
    return hint


def _metavar(field: Field[Any], kind: Any) -> str:
    unit = field.metadata.get("unit")
    return (unit or {int: "N", float: "X"}.get(kind, "NAME")).upper()


def _help(field: Field[Any]) -> str:
    meta, text = field.metadata, str(field.metadata["help"])
    facts = []
    if meta.get("unit"):
        facts.append(f"in {meta['unit']}")
    low, high = meta.get("minimum"), meta.get("maximum")
    if low is not None and high is not None:
        facts.append(f"{low:g} to {high:g}")
    elif low is not None or high is not None:
        facts.append(f"at least {low:g}" if low is not None else f"at most {high:g}")
    if field.default is not None and field.default is not MISSING:
        facts.append(f"default {field.default}")
    elif meta.get("left_out"):
        facts.append(f"default: {meta['left_out']}")
    return (text + (f" ({', '.join(facts)})" if facts else "")).replace("%", "%%")
