"""Every public function is documented with examples, and the examples run."""

from __future__ import annotations

import doctest
import inspect
import itertools
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

import napari_usflow as usf
from napari_usflow.denoising.contract import method_class

PUBLIC = {name: getattr(usf, name) for name in usf.__all__ if name != "__version__"}
FUNCTIONS = sorted(k for k, value in PUBLIC.items() if isinstance(value, FunctionType))
WITH_EXAMPLES = sorted(k for k, value in PUBLIC.items() if ">>>" in value.__doc__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_documented_as_numpydoc(name: str) -> None:
    function = PUBLIC[name]
    text = inspect.getdoc(function) or ""
    headings = [line for line in text.splitlines() if line]

    sections = {
        title
        for title, rule in itertools.pairwise(headings)
        if rule == "-" * len(title)
    }
    assert "Examples" in sections
    signature = inspect.signature(function)
    if signature.parameters:
        assert "Parameters" in sections
    if signature.return_annotation not in ("None", None):
        assert "Returns" in sections
    for parameter in signature.parameters:
        assert parameter in text


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    value = PUBLIC[name]
    (test,) = doctest.DocTestFinder(recurse=False).find(
        value, name, module=import_module(value.__module__), globs={}
    )

    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    failed, tried = runner.run(test)

    assert tried
    assert failed == 0


@pytest.mark.parametrize("method", usf.methods())
def test_help_names_the_parameters_of_each_method(method: str) -> None:
    text = " ".join((inspect.getdoc(usf.denoise) or "").split())
    parameters = ", ".join(
        f"{field.name}={field.default!r}"
        for field in fields(method_class(method).Params)
    )

    assert f"- {method}: {parameters}" in text
