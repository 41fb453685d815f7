"""Pages that are made from the program itself."""

from __future__ import annotations

import re
from pathlib import Path

import pages
import pytest
import yaml

import napari_usflow as usf
from napari_usflow.cli import COMMANDS
from napari_usflow.cli.evaluate import TESTS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    page = pages.api_page()

    identifiers = re.findall(r"^::: (\S+)$", page, re.M)
    names = [identifier.rpartition(".")[2] for identifier in identifiers]
    assert sorted(names) == sorted(set(usf.__all__) - {"__version__"})
    assert "## Others" not in page


def test_every_command_has_a_page_with_its_help() -> None:
    made = pages.command_pages()

    assert made.keys() == {"cli/index.md", *(f"cli/{name}.md" for name in COMMANDS)}
    for name in COMMANDS:
        assert f"usage: usflow {name}" in made[f"cli/{name}.md"]
        assert f"({name}.md)" in made["cli/index.md"]
    for test in TESTS:
        assert f"usage: usflow evaluate {test}" in made["cli/evaluate.md"]
    for method in usf.methods():
        assert f"\nmethod {method}:" in made["cli/denoise.md"]


@pytest.mark.parametrize("page", ["changelog.md", "contributing.md", "models/mri.md"])
def test_files_of_the_repository_become_pages(page: str) -> None:
    made = pages.repository_pages("https://example.org/repository")

    assert made[page].startswith("# ")


def test_links_lead_to_pages_or_into_the_repository() -> None:
    text = "[a](docs/results.md#time) [b](pyproject.toml) [c](https://x.org) [d](#e)"
    text += " [f](src/napari_usflow/prior/weights/mri.md)"

    linked = pages.repository_links(text, ROOT, "models/mri.md", "https://r.org/o/n")

    assert re.findall(r"\]\((.*?)\)", linked) == [
        "../results.md#time",
        "https://r.org/o/n/blob/main/pyproject.toml",
        "https://x.org",
        "#e",
        "../models/mri.md",
    ]


def test_link_to_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no nowhere"):
        pages.repository_links("[a](nowhere.md)", ROOT, "a.md", "https://r.org")


def test_tables_of_parameters_say_what_the_program_says() -> None:
    table = pages.parameter_table("settings").splitlines()

    strength = next(line for line in table if line.startswith("| `strength` "))
    assert [cell.strip() for cell in strength.split("|")[2:5]] == ["", "0 to 2", "1.0"]
    seed = next(line for line in table if line.startswith("| `seed` "))
    assert "≥ 0" in seed
    for method in usf.methods():
        assert pages.parameter_table(method)


def test_every_table_that_a_page_asks_for_can_be_made() -> None:
    wanted = [
        name
        for page in DOCS.rglob("*.md")
        for name in re.findall(r"<!-- parameters: (\S+) -->", page.read_text("utf-8"))
    ]

    assert len(wanted) > len(usf.methods())
    for name in wanted:
        assert pages.parameter_table(name).startswith(("| Parameter", "*It has no"))


def test_the_navigation_names_every_page_and_gallery_script() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_dump(yaml.safe_load(text)["nav"])

    named = set(re.findall(r"[\w/-]+\.md", nav))
    written = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
    scripts = {f"gallery/{p.stem}.md" for p in (DOCS / "gallery").glob("*.py")}
    made = set(pages.repository_pages("https://r.org")) | {"api.md"} | scripts
    assert named == written | made
