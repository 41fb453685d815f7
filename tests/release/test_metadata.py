"""Version, repository and licence are stated once, or alike wherever they stand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import napari_usflow as usf

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Source Code"]
TEXTS = (".md", ".toml", ".cff", ".yml", ".yaml", ".py", ".sh", "Dockerfile")
FOLDERS = ("docs", "src", "tools", ".github", "packaging")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_version_is_that_of_the_citation_and_the_newest_section() -> None:
    assert "version" in PROJECT["dynamic"]
    cited = re.search(r"^version: (.+)$", text("CITATION.cff"), re.M)
    dated = re.search(
        r"^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", text("CHANGELOG.md"), re.M
    )
    released = re.search(r"^date-released: (.+)$", text("CITATION.cff"), re.M)

    assert cited and dated and released
    assert cited[1] == dated[1] == usf.__version__
    assert released[1].strip("'\"") == dated[2]


def test_every_section_of_the_changelog_has_its_link() -> None:
    sections = re.findall(r"^## \[([^\]]+)\]", text("CHANGELOG.md"), re.M)
    links = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", text("CHANGELOG.md"), re.M))

    assert sections[0] == "Unreleased"
    assert set(sections) == set(links)
    assert all(link.startswith(f"{REPOSITORY}/") for link in links.values())


def test_own_repository_has_one_name() -> None:
    owner, name = REPOSITORY.removeprefix("https://github.com/").split("/")
    files = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file()]

    for path in files:
        if path.name.endswith(TEXTS):
            for found in re.findall(
                rf"git(?:hub|hubusercontent)\.com/([\w.-]+)/{name}\b",
                path.read_text(encoding="utf-8"),
            ):
                assert found == owner, path


def test_citation_has_the_licence_and_the_repository() -> None:
    assert f"license: {PROJECT['license']}\n" in text("CITATION.cff")
    assert f"repository-code: {REPOSITORY}\n" in text("CITATION.cff")


def test_readme_is_one_page() -> None:
    assert len(text("README.md").splitlines()) <= 120


PYTHONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def test_lowest_python_is_the_first_of_the_classifiers() -> None:
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert sorted(PYTHONS, key=lambda v: int(v.partition(".")[2])) == PYTHONS


def test_the_suite_runs_on_the_pythons_of_the_classifiers() -> None:
    jobs = yaml.safe_load(text(".github/workflows/tests.yml"))["jobs"]

    assert jobs["suite"]["strategy"]["matrix"]["python"] == PYTHONS
    assert set(jobs["windows"]["strategy"]["matrix"]["python"]) <= set(PYTHONS)
