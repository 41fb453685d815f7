"""Write ``docs/methods.md``, the reference of the methods, from their descriptions.

    python docs/make_methods.py

A test compares the page with what this would write.
"""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import napari_usflow as usf
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.settings import Settings
from napari_usflow.parameters import allowed_values

PAGE = Path(__file__).with_name("methods.md")

INTRODUCTION = """\
# Methods and their parameters

Written by `python docs/make_methods.py` from the code. The names are those of
`usf.denoise(image, method="nlm", h=0.6)`; `help(usf.method_class("nlm"))` lists them
too. On the command line, underscores become hyphens: `--method obnlm
--mean-test 0.95`. Which method to choose is in the
[user guide](user-guide.md#parameters).
"""

COMMON = """\
## For every method

`usf.denoise` takes the noise level as `sigma`, a fraction of the dynamic range:
`sigma_db / dynamic_range_db`.
"""


def table(described: Any) -> str:
    """Parameters of a dataclass, a row each."""
    lines = ["| parameter | default | values | meaning |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{field.name}` | {default(field)} | {allowed_values(field)} "
        f"| {meaning(field)} |"
        for field in fields(described)
        if "help" in field.metadata
    ]
    return "\n".join(lines) + "\n"


def default(field: Field[Any]) -> str:
    if field.default is None:
        return field.metadata["left_out"]
    if isinstance(field.default, float):
        return f"{field.default:.4g}"
    return (
        f"`{field.default}`" if isinstance(field.default, str) else f"{field.default}"
    )


def meaning(field: Field[Any]) -> str:
    text = field.metadata["help"]
    return text if text.startswith("lambda") else text[0].upper() + text[1:]


def section(name: str, method: type[Denoiser]) -> str:
    """What there is to say of a method."""
    summary = (method.__doc__ or "").splitlines()[0].replace(" (see the module)", "")
    lines = [f"## `{name}`: {method.title}", "", summary]
    if method.uncertainties:
        kinds = ", ".join(f"`{kind}`" for kind in method.uncertainties)
        lines[-1] += f" Uncertainty: {kinds}."
    lines += ["", table(method.Params)]
    for preset, params in method.presets.items():
        values = ", ".join(
            f"`{field.name}={getattr(params, field.name)}`"
            for field in fields(params)
            if getattr(params, field.name) != field.default
        )
        lines += [f"Preset *{preset}*: {values or 'the defaults'}.", ""]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, COMMON, table(Settings)]
    parts += [section(name, method_class(name)) for name in usf.methods()]
    return "\n".join(part.rstrip() + "\n" for part in parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
