"""Parameters that are described once.

A method's parameters are a frozen dataclass whose fields are made by
:func:`parameter`. The form in the window, the options of the command line, the
check of a value and the stored provenance are all derived from it.
"""

from __future__ import annotations

import dataclasses
from numbers import Integral, Real
from typing import Any

__all__ = ["allowed_values", "check_parameters", "parameter", "parameter_help"]


def parameter(
    default: Any,
    *,
    help: str,  # noqa: A002
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    left_out: str = "",
    label: str = "",
    choice_labels: tuple[str, ...] = (),
) -> Any:
    """Describe one field of a parameter dataclass.

    Parameters
    ----------
    default : Any
        Its default; also fixes its type.
    help : str
        One line for the tooltip and ``--help``.
    unit : str
        Physical unit, empty when it has none.
    minimum, maximum : float, optional
        Closed limits of a number.
    choices : tuple of str, optional
        The allowed values of a name.
    left_out : str
        What a form shows where a number that may be None is left out; without it, a
        form has no field for that number.
    label : str
        What a form calls the field, where its name is no word of the field's users.
    choice_labels : tuple of str
        What a form shows for each of ``choices``, where the names are not plain.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "unit": unit,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "left_out": left_out,
            "label": label,
            "choice_labels": choice_labels,
        },
    )


def parameter_help(params: type) -> str:
    """Return the described fields of a parameter dataclass as a numpydoc section.

    Parameters
    ----------
    params : type
        The dataclass.

    Returns
    -------
    str
        Two lines a field: name, default and values; its help.
    """
    lines = []
    for field in dataclasses.fields(params):
        if "help" in field.metadata:
            values = allowed_values(field)
            lines.append(f"{field.name} : default {field.default!r}, {values}")
            lines.append(f"    {field.metadata['help']}")
    return "\n".join(lines)


def allowed_values(field: dataclasses.Field[Any]) -> str:
    """Return the values of a described field in words, such as ``1 to 50 px``."""
    meta = field.metadata
    if meta["choices"]:
        return " or ".join(meta["choices"])
    if isinstance(field.default, bool):
        return "True or False"
    low, high = (
        str(limit) if isinstance(limit, int) else f"{limit:g}"
        for limit in (meta["minimum"], meta["maximum"])
    )
    return f"{low} to {high} {meta['unit']}".strip()


def check_parameters(params: Any) -> None:
    """Raise ValueError when a described field is of another type or out of its limits.

    The default fixes the type; None stands for a number that may be left out.
    """
    for field in dataclasses.fields(params):
        value, meta = getattr(params, field.name), field.metadata
        name = f"{type(params).__name__}.{field.name}"
        if "help" in meta:
            _check_type(name, value, field.default)
        choices = meta.get("choices")
        if choices is not None and value not in choices:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
        if isinstance(value, bool) or not isinstance(value, Real):
            continue
        low, high = meta.get("minimum"), meta.get("maximum")
        if (
            value != value
            or (low is not None and value < low)
            or (high is not None and value > high)
        ):
            unit = f" {meta['unit']}" if meta.get("unit") else ""
            raise ValueError(
                f"{name} is {value!r}{unit}; it must lie in "
                f"[{'-inf' if low is None else low}, "
                f"{'inf' if high is None else high}]{unit}"
            )


def _check_type(name: str, value: Any, default: Any) -> None:
    if default is None and value is None:
        return
    is_bool = isinstance(value, bool)
    if isinstance(default, bool):
        expected, fits = "True or False", is_bool
    elif isinstance(default, int):
        expected, fits = "a whole number", isinstance(value, Integral) and not is_bool
    elif default is None or isinstance(default, float):
        expected, fits = "a number", isinstance(value, Real) and not is_bool
    elif isinstance(default, str):
        expected, fits = "text", isinstance(value, str)
    else:
        return
    if not fits:
        raise ValueError(f"{name} is {value!r}; it must be {expected}")
