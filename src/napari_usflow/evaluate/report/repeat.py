"""Provenance of a result, in words and as the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from importlib import resources
from typing import Any

from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.settings import Settings

__all__ = ["command_of", "model_card", "settings_rows", "weights_of"]

_WEIGHTS = ("network", "prior")
_ROOMS = {"network": "networks", "prior": "prior"}


def command_of(provenance: Mapping[str, Any], source: str, output: str) -> str:
    """Return the command that repeats a result; empty where no method is noted.

    Parameters
    ----------
    provenance : mapping
        Of the result.
    source, output : str
        Names of the files before and after.
    """
    method = provenance.get("method")
    if not isinstance(method, str):
        return ""
    words = ["usflow", "denoise", source, output, "--method", method]
    words += _options(Settings, provenance.get("settings"))
    try:
        words += _options(method_class(method).Params, provenance.get("parameters"))
    except ValueError:  # a method of another program
        return ""
    low_high = _mapping(provenance.get("settings")).get("value_range")
    if low_high:
        words += ["--value-range", *(f"{value:g}" for value in low_high)]
    prior = provenance.get("prior")
    if prior and prior != "mri":
        words += ["--prior", str(prior)]
    return shlex.join(words)


def _options(params: type, values: Any) -> list[str]:
    """Return the options that differ from their defaults."""
    words = []
    known = _mapping(values)
    for field in fields(params):
        value = known.get(field.name, field.default)
        if "help" not in field.metadata or value is None or value == field.default:
            continue
        option = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        elif isinstance(value, float):
            words += [option, f"{value:.6g}"]
        else:
            words += [option, str(value)]
    return words


def settings_rows(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values of what a result was made with."""
    rows = []
    for name in ("method", *_WEIGHTS, "device", "precision", "date"):
        if provenance.get(name) not in (None, ""):
            rows.append((name.capitalize(), str(provenance[name])))
    for group in ("settings", "parameters"):
        for name, value in _mapping(provenance.get(group)).items():
            if value is not None:
                rows.append((name.replace("_", " "), _text(value)))
    level = _noise_levels(provenance)
    if level:
        rows.append(("noise level, estimated (dB)", level))
    return rows


def _noise_levels(provenance: Mapping[str, Any]) -> str:
    frames = _mapping(provenance.get("frames")).values()
    levels = [
        float(info["sigma_db"])
        for info in frames
        if isinstance(info, Mapping) and info.get("sigma_estimated")
    ]
    if not levels:
        return ""
    low, high = min(levels), max(levels)
    return f"{low:.2f}" if high - low < 0.01 else f"{low:.2f} to {high:.2f}"


def weights_of(provenance: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return kind, name and SHA-256 of the weights; None where there are none."""
    for kind in _WEIGHTS:
        digest = provenance.get(f"{kind}_sha256")
        if provenance.get(kind) and digest:
            return kind, str(provenance[kind]), str(digest)
    return None


def model_card(provenance: Mapping[str, Any]) -> str:
    """Return the card of the shipped weights that made a result, as Markdown.

    Empty where it used none, or weights that are not the shipped ones.
    """
    weights = weights_of(provenance)
    if weights is None:
        return ""
    kind, name, digest = weights
    folder = resources.files(f"napari_usflow.{_ROOMS[kind]}") / "weights"
    for file in folder.iterdir():
        if file.name == f"{name}.md":
            card = file.read_text(encoding="utf-8")
            return card if digest in card else ""
    return ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return " to ".join(map(_text, value))
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
