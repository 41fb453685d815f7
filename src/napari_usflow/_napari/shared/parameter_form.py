"""A form that is derived from a parameter dataclass, so that nothing is said twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, TypeVar

from qtpy.QtCore import QRegularExpression, Signal
from qtpy.QtGui import QRegularExpressionValidator
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from napari_usflow._napari.shared.form_parts import combo, form_layout

__all__ = [
    "IntsEdit",
    "OptionalBox",
    "ParameterForm",
    "field_editor",
    "field_tooltip",
]

_NumberBoxT = TypeVar("_NumberBoxT", QSpinBox, QDoubleSpinBox)

_NO_LIMIT = 1e9
_LONGEST_SUFFIX = 10


class IntsEdit(QLineEdit):
    """A line for whole numbers, separated by commas.

    Parameters
    ----------
    numbers : tuple of int
        What to start from.
    """

    def __init__(self, numbers: tuple[int, ...]) -> None:
        super().__init__()
        self.setValidator(
            QRegularExpressionValidator(
                QRegularExpression(r"\s*\d{1,6}(\s*,\s*\d{1,6})*\s*"), self
            )
        )
        self.set_numbers(numbers)

    def numbers(self) -> tuple[int, ...]:
        """Return the numbers; an unfinished end such as a comma is left out."""
        return tuple(int(part) for part in self.text().split(",") if part.strip())

    def set_numbers(self, numbers: tuple[int, ...]) -> None:
        """Show other numbers."""
        self.setText(", ".join(map(str, numbers)))


class OptionalBox(QDoubleSpinBox):
    """A number that may be left out: a step below the smallest stands for that.

    Parameters
    ----------
    low, high : float
        Limits of the number.
    left_out : str
        What is shown where there is none.
    whole : bool
        Whether it is a whole number.
    """

    def __init__(
        self, low: float, high: float, left_out: str, *, whole: bool = False
    ) -> None:
        super().__init__()
        self._whole = whole
        self.setDecimals(0 if whole else _decimals(low))
        self.setSingleStep(1.0 if whole else 0.05)
        self.setRange(low - 10.0 ** -self.decimals(), high)
        self.setSpecialValueText(left_out)
        self.setValue(self.minimum())

    def number(self) -> float | None:
        """Return the number, None where it is left out."""
        if self.value() == self.minimum():
            return None
        return round(self.value()) if self._whole else self.value()

    def set_number(self, number: float | None) -> None:
        """Show a number, or that there is none."""
        if number is not None and not self._whole:
            self.setDecimals(max(self.decimals(), _decimals(number)))
        self.setValue(self.minimum() if number is None else number)


class ParameterForm(QWidget):
    """One row for each field that :func:`napari_usflow.parameters.parameter` made.

    Fields without a description are left out, and so are those whose default is None
    unless they say what that stands for.

    Parameters
    ----------
    kind : type, optional
        A frozen dataclass; see :meth:`show_fields_of`.
    """

    changed = Signal()

    def __init__(self, kind: type | None = None) -> None:
        super().__init__()
        self._layout = form_layout(self)
        self._editors: dict[str, QWidget] = {}
        if kind is not None:
            self.show_fields_of(kind)

    def show_fields_of(self, kind: type, *, without: Collection[str] = ()) -> None:
        """Build the rows for a dataclass, in place of those that were there."""
        while self._layout.rowCount():
            self._layout.removeRow(0)
        self._editors = {}
        for field in dataclasses.fields(kind):
            if field.name in without or "help" not in field.metadata:
                continue
            editor = _editor(field)
            if editor is None:
                continue
            self._editors[field.name] = editor
            _changes(editor).connect(self.changed)
            self._layout.addRow(_label(field), editor)

    def names(self) -> list[str]:
        """Names of the fields that have a row."""
        return list(self._editors)

    def editor(self, name: str) -> QWidget:
        """Return the editor of a field."""
        return self._editors[name]

    def values(self) -> dict[str, Any]:
        """Return what is set, by field."""
        return {name: _value(editor) for name, editor in self._editors.items()}

    def set_values(self, params: Any) -> None:
        """Show the values of an instance of the dataclass."""
        for name, editor in self._editors.items():
            _set_value(editor, getattr(params, name))


def field_editor(
    kind: type, name: str, *, default: Any = None
) -> QSpinBox | QDoubleSpinBox:
    """Make the editor of one field, for a place of its own outside a form.

    Parameters
    ----------
    kind : type
        The parameter dataclass.
    name : str
        The field.
    default : optional
        What to start from, for a field that is None by default.
    """
    field = next(f for f in dataclasses.fields(kind) if f.name == name)
    editor = _editor(field, default)
    if not isinstance(editor, QSpinBox | QDoubleSpinBox):
        raise TypeError(f"{kind.__name__}.{name} has no value to start from")
    return editor


def field_tooltip(kind: type, name: str) -> str:
    """Return the help of one field."""
    return _tooltip(next(f for f in dataclasses.fields(kind) if f.name == name))


def _editor(field: dataclasses.Field[Any], start: Any = None) -> QWidget | None:
    default = field.default if start is None else start
    editor = _bare_editor(default, field.metadata, whole=_is_whole(field))
    if editor is not None:
        editor.setToolTip(_tooltip(field))
    return editor


def _is_whole(field: dataclasses.Field[Any]) -> bool:
    """Return whether a field is annotated as a whole number."""
    return "int" in str(field.type).split(" | ")


def _bare_editor(default: Any, meta: Any, *, whole: bool) -> QWidget | None:
    low, high = meta.get("minimum"), meta.get("maximum")
    if meta.get("choices"):
        texts = meta.get("choice_labels") or meta["choices"]
        choice = combo(zip(texts, meta["choices"], strict=True))
        choice.setCurrentIndex(choice.findData(default))
        return choice
    if isinstance(default, bool):
        tick = QCheckBox()
        tick.setChecked(default)
        return tick
    if isinstance(default, int):
        integer = QSpinBox()
        integer.setRange(
            int(-_NO_LIMIT if low is None else low),
            int(_NO_LIMIT if high is None else high),
        )
        integer.setValue(default)
        return _with_unit(integer, meta)
    if isinstance(default, float):
        number = QDoubleSpinBox()
        number.setDecimals(_decimals(default, low))
        number.setRange(
            -_NO_LIMIT if low is None else low, _NO_LIMIT if high is None else high
        )
        number.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        number.setValue(default)
        return _with_unit(number, meta)
    if default is None and meta.get("left_out"):
        short = meta["left_out"].partition(":")[0]  # the rest is in the tooltip
        optional = OptionalBox(low, high, short, whole=whole)
        return _with_unit(optional, meta)
    if isinstance(default, str):
        return QLineEdit(default)
    if isinstance(default, tuple) and all(isinstance(n, int) for n in default):
        return IntsEdit(default)
    return None


def _with_unit(box: _NumberBoxT, meta: Any) -> _NumberBoxT:
    # A long one would be cut off; the tooltip has it.
    if 0 < len(meta.get("unit") or "") <= _LONGEST_SUFFIX:
        box.setSuffix(f" {meta['unit']}")
    return box


def _decimals(*numbers: float | None) -> int:
    """Enough digits for every given number to be shown as it is."""
    shown = [f"{n:.10f}".rstrip("0").partition(".")[2] for n in numbers if n]
    return max([2, *map(len, shown)])


def _value(editor: QWidget) -> Any:
    if isinstance(editor, QComboBox):
        return editor.currentData()
    if isinstance(editor, QCheckBox):
        return editor.isChecked()
    if isinstance(editor, IntsEdit):
        return editor.numbers()
    if isinstance(editor, QLineEdit):
        return editor.text()
    if isinstance(editor, OptionalBox):
        return editor.number()
    assert isinstance(editor, QSpinBox | QDoubleSpinBox)
    return editor.value()


def _set_value(editor: QWidget, value: Any) -> None:
    if isinstance(editor, QComboBox):
        editor.setCurrentIndex(editor.findData(value))
    elif isinstance(editor, QCheckBox):
        editor.setChecked(value)
    elif isinstance(editor, IntsEdit):
        editor.set_numbers(value)
    elif isinstance(editor, QLineEdit):
        editor.setText(value)
    elif isinstance(editor, OptionalBox):
        editor.set_number(value)
    elif isinstance(editor, QDoubleSpinBox):
        editor.setDecimals(max(editor.decimals(), _decimals(value)))
        editor.setValue(value)
    elif isinstance(editor, QSpinBox):
        editor.setValue(value)


def _changes(editor: QWidget) -> Any:
    """Return the signal of an editor that its value is another one."""
    if isinstance(editor, QComboBox):
        return editor.currentTextChanged
    if isinstance(editor, QCheckBox):
        return editor.toggled
    if isinstance(editor, QLineEdit):
        return editor.textChanged
    assert isinstance(editor, QSpinBox | QDoubleSpinBox)
    return editor.valueChanged


def _label(field: dataclasses.Field[Any]) -> str:
    """Return a field's label, else its name in words without the editor's unit."""
    if field.metadata.get("label"):
        return str(field.metadata["label"])
    unit = (field.metadata.get("unit") or "").lower().replace("/", "_")
    name = field.name.removesuffix(f"_{unit}") if unit else field.name
    return name.replace("_", " ").capitalize()


def _tooltip(field: dataclasses.Field[Any]) -> str:
    """Return the help; the editor itself shows the default, the limits and the unit."""
    text, unit = str(field.metadata["help"]), field.metadata.get("unit") or ""
    if len(unit) > _LONGEST_SUFFIX:
        text += f". Unit: {unit.removeprefix('of ')}"
    if rest := str(field.metadata.get("left_out") or "").partition(": ")[2]:
        text += f". Left out: {rest}"
    return f"{text[:1].upper()}{text[1:]}."
