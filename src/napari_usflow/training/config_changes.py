"""Fields of a configuration changed by text, such as ``patches.only=knee``.

A field is named by its path through the dataclasses; its default fixes its type. What
a value may be is checked afterwards, as for any configuration.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["changed", "field_names"]

T = TypeVar("T")

_SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False}
_SWITCH |= {"off": False, "1": True, "0": False}


def changed(config: T, changes: Sequence[str]) -> T:
    """Return a configuration with some fields changed.

    Parameters
    ----------
    config : dataclass
        Its fields may be dataclasses themselves.
    changes : sequence of str
        ``FIELD=VALUE`` each; of one field the last counts. Entries of a tuple have
        commas between, and an empty text is an empty tuple.

    Raises
    ------
    ValueError
        When there is no such field, or the text is none of its values.
    """
    for change in changes:
        name, equals, text = change.partition("=")
        path = name.strip()
        if not equals or not path:
            raise ValueError(f"{change!r} sets no field; write FIELD=VALUE")
        names = list(field_names(config))
        if path not in names:
            near = difflib.get_close_matches(path, names, n=3, cutoff=0.4)
            raise ValueError(
                f"there is no field {path!r} to set; "
                f"{'perhaps ' + ' or '.join(near) if near else 'there are'}"
                f"{'' if near else ' ' + ', '.join(names)}"
            )
        config = _replaced(config, path.split("."), text.strip(), path)
    return config


def field_names(config: Any) -> Iterator[str]:
    """Go through the fields that can be set, as paths with dots."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from (f"{field.name}.{name}" for name in field_names(value))
        else:
            yield field.name


def _replaced(config: T, path: Sequence[str], text: str, whole: str) -> T:
    name, *rest = path
    now = getattr(config, name)
    value = _replaced(now, rest, text, whole) if rest else _read(now, text, whole)
    changes: dict[str, Any] = {name: value}
    try:
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]
    except ValueError as error:
        raise ValueError(f"{whole}={text}: {error}") from error


def _read(now: Any, text: str, name: str) -> Any:
    """Read a value of the type that a field has now."""
    expected = "text"
    try:
        if isinstance(now, bool):
            expected = "true or false"
            return _SWITCH[text.lower()]
        if isinstance(now, int):
            expected = "a whole number"
            return int(text)
        if isinstance(now, float):
            expected = "a number"
            return float(text)
        if isinstance(now, tuple):
            expected = "whole numbers with commas between"
            return tuple(int(part) for part in text.split(",") if part.strip())
    except (KeyError, ValueError):
        raise ValueError(f"{name} is {text!r}; it must be {expected}") from None
    return text
