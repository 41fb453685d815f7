"""Every public function is documented with examples, and the examples run."""

from __future__ import annotations

import doctest
import inspect
import itertools
from dataclasses import fields
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FunctionType

import pytest

import napari_usflow as usf

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
def test_help_of_a_method_lists_its_parameters(method: str) -> None:
    chosen = usf.method_class(method)
    text = inspect.getdoc(chosen) or ""

    for field in fields(chosen.Params):
        assert f"{field.name} : default {field.default!r}, " in text
        assert field.metadata["help"] in text
    assert "method_class" in (inspect.getdoc(usf.denoise) or "")


def test_reference_of_the_methods_is_as_the_code_describes_them() -> None:
    folder = Path(__file__).parents[2] / "docs"
    spec = spec_from_file_location("make_methods", folder / "make_methods.py")
    assert spec is not None and spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)

    written = (folder / "methods.md").read_text(encoding="utf-8")
    assert script.page() == written, "run python docs/make_methods.py"
