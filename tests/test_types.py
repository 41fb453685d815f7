"""Type checkers and editors see the public names as they are."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import napari_usflow as usf

ROOT = Path(__file__).parents[1]
STUB = Path(usf.__file__).with_suffix(".pyi")

MISTAKES = {
    "usf.denoise()": 'Missing positional argument "image"',
    "usf.methods().sort()": '"tuple[str, ...]" has no attribute "sort"',
    "usf.nonsense": 'Module has no attribute "nonsense"',
}


def stubbed() -> dict[str, str]:
    """Name of each public object, and the module that the stub takes it from."""
    return {
        alias.asname or alias.name: node.module or ""
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_stub_names_what_is_public() -> None:
    assert {*stubbed(), "__version__"} == set(usf.__all__)
    assert set(usf.__all__) <= set(dir(usf))


@pytest.mark.parametrize("name", sorted(stubbed()))
def test_no_module_has_the_name_of_something_public(name: str) -> None:
    # Importing it would bind the module in the place of the function.
    assert find_spec(f"napari_usflow.{name}") is None


@pytest.mark.parametrize(("name", "module"), stubbed().items())
def test_name_in_the_stub_is_the_object_that_is_used(name: str, module: str) -> None:
    public, declared = getattr(usf, name), getattr(import_module(module), name)

    assert public is declared
    if inspect.isfunction(public):
        assert inspect.signature(public) == inspect.signature(declared)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``mypy --strict`` says of a user's script, and of one with mistakes."""
    mistakes = tmp_path_factory.mktemp("scripts") / "mistakes.py"
    mistakes.write_text("\n".join(["import napari_usflow as usf", *MISTAKES]))
    mypy = [sys.executable, "-m", "mypy", "--strict"]
    done = subprocess.run(
        [
            *(*mypy, "--config-file", str(ROOT / "pyproject.toml")),
            *(str(ROOT / "tests" / "typed_client.py"), str(mistakes)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_script_of_a_user_passes_the_strict_type_checker(report: str) -> None:
    assert "typed_client.py" not in report
    assert f"Found {len(MISTAKES)} errors in 1 file (checked 2 source files)" in report


@pytest.mark.parametrize("mistake", MISTAKES)
def test_strict_type_checker_sees_a_mistake(mistake: str, report: str) -> None:
    assert MISTAKES[mistake] in report
