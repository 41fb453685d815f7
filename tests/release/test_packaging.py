"""Recipes for conda and containers ask for what the package asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import napari_usflow as usf

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SYSTEM = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
CONDA_NAMES = {
    "dask": "dask-core",
    "matplotlib": "matplotlib-base",
    "python-gdcm": "gdcm",
    "torch": "pytorch",
}
EXTRAS = ("cluster", "dicom", "mri", "onnx", "video", "zea")


def named(requirement: str) -> tuple[str, str]:
    """Return the conda name and the limits of a requirement."""
    match = re.fullmatch(r"([\w.-]+)(?:\[[^]]*\])?\s*(.*)", requirement)
    assert match, requirement
    return CONDA_NAMES.get(match[1], match[1]), match[2]


def loaded(name: str) -> dict:
    """Read a recipe; its own version is put in."""
    return yaml.safe_load((ROOT / "packaging" / name).read_text("utf-8"))


def wanted(*extras: str) -> dict[str, str]:
    requirements = [*PROJECT["dependencies"]]
    for extra in extras:
        requirements += PROJECT["optional-dependencies"][extra]
    return dict(map(named, requirements))


def test_recipe_asks_for_what_the_package_asks_for() -> None:
    recipe = loaded("recipe.yaml")

    runs = dict(map(named, recipe["requirements"]["run"][1:]))
    assert runs == wanted()
    hosts = dict(map(named, recipe["requirements"]["host"][2:]))
    assert hosts == dict(map(named, SYSTEM["requires"]))


def test_recipe_is_of_this_version() -> None:
    context, about = loaded("recipe.yaml")["context"], loaded("recipe.yaml")["about"]

    assert context["version"] == usf.__version__
    assert f">={context['python_min']}" == PROJECT["requires-python"]
    assert about["summary"] == PROJECT["description"]
    assert about["license"] == PROJECT["license"]


def test_environment_has_everything_but_the_plugin() -> None:
    *packages, pip = loaded("environment.yml")["dependencies"]

    limits = dict(map(named, packages))
    assert wanted(*EXTRAS).items() <= limits.items()
    napari = dict(map(named, PROJECT["optional-dependencies"]["all"][:1]))
    assert napari.items() <= limits.items()
    assert limits["python"] == PROJECT["requires-python"]
    assert pip == {"pip": [PROJECT["name"]]}


@pytest.mark.parametrize("name", ["constraints.txt"])
def test_container_takes_only_what_it_copies(name: str) -> None:
    container = (ROOT / "packaging" / "Dockerfile").read_text("utf-8")
    context = (ROOT / ".dockerignore").read_text("utf-8").splitlines()

    copied = re.search(r"^COPY (.+) \./$", container, re.M)
    assert copied and name in copied[1].split()
    assert {line.removeprefix("!") for line in context[1:]} == set(copied[1].split())
    assert f"[{','.join(EXTRAS)}]" in container


def test_pytorch_is_pinned_for_the_container() -> None:
    constraints = (ROOT / "constraints.txt").read_text("utf-8")

    assert len(re.findall(r"^torch==", constraints, re.M)) == 1
