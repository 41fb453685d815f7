"""Parameters changed by text, such as ``patches.only=knee``.

A field is named by its path through the dataclasses, which give its type. What a value
may be is checked afterwards, as for any parameters.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["changed", "field_names"]

T = TypeVar("T")

_SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False}
_SWITCH |= {"off": False, "1": True, "0": False}


def changed(params: T, changes: Sequence[str]) -> T:
    """Return parameters with some fields changed.

    Parameters
    ----------
    params : dataclass
        Its fields may be dataclasses themselves.
    changes : sequence of str
        ``FIELD=VALUE`` each; of one field the last counts. Entries of a tuple have
        commas between, and an empty text is an empty tuple.

    Raises
    ------
    ValueError
        When there is no such field, or the text is none of its values.
    """
    # All at once: fields of a dataclass may only fit together.
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        path = name.strip()
        if not equals or not path:
            raise ValueError(f"{change!r} sets no field; write FIELD=VALUE")
        names = list(field_names(params))
        if path not in names:
            near = difflib.get_close_matches(path, names, n=3, cutoff=0.4)
            raise ValueError(
                f"there is no field {path!r} to set; "
                f"{'perhaps ' + ' or '.join(near) if near else 'there are'}"
                f"{'' if near else ' ' + ', '.join(names)}"
            )
        *within, field = path.split(".")
        part, place = params, values
        for step in within:
            part, place = getattr(part, step), place.setdefault(step, {})
        place[field] = _read(get_type_hints(type(part))[field], text.strip(), path)
    try:
        return _replaced(params, values)
    except ValueError as error:
        raise ValueError(f"{', '.join(changes)}: {error}") from error


def field_names(params: Any) -> Iterator[str]:
    """Go through the fields that can be set, as paths with dots."""
    for field in dataclasses.fields(params):
        value = getattr(params, field.name)
        if dataclasses.is_dataclass(value):
            yield from (f"{field.name}.{name}" for name in field_names(value))
        else:
            yield field.name


def _replaced(params: T, values: dict[str, Any]) -> T:
    changes = {
        name: _replaced(getattr(params, name), value)
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    }
    return dataclasses.replace(params, **changes)  # type: ignore[type-var]


def _read(hint: Any, text: str, name: str) -> Any:
    """Read a value of a field's type; of one that may be left out, empty is None."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if NoneType in kinds and text.lower() in ("", "none"):
        return None
    kind = next(k for k in kinds if k is not NoneType)
    expected, read = _KINDS.get(get_origin(kind) or kind, ("text", str))
    try:
        return read(text)
    except (KeyError, ValueError):
        raise ValueError(f"{name} is {text!r}; it must be {expected}") from None


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())


_KINDS: dict[Any, tuple[str, Callable[[str], Any]]] = {
    bool: ("true or false", lambda text: _SWITCH[text.lower()]),
    int: ("a whole number", int),
    float: ("a number", float),
    tuple: ("whole numbers with commas between", _whole_numbers),
}
