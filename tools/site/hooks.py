"""What MkDocs calls while it builds the site: pages, tables, gallery, formulas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pages import (
    api_page,
    command_pages,
    parameter_table,
    repository_links,
    repository_pages,
)

from napari_usflow.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RUNNER = Path(__file__).with_name("run_script.py")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the navigation's entry of the command line."""
    commands = [{name: f"cli/{name}.md"} for name in COMMANDS]
    _replace(config.nav, "COMMANDS", ["cli/index.md", *commands])
    return config


def _replace(nav: Any, mark: str, entries: list[Any]) -> None:
    for item in nav:
        for title, content in item.items() if isinstance(item, dict) else ():
            if content == mark:
                item[title] = entries
            elif isinstance(content, list):
                _replace(content, mark, entries)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    made: dict[str, str | bytes] = {"api.md": api_page()}
    made |= command_pages()
    made |= repository_pages(str(config.repo_url))
    made |= _gallery(str(config.repo_url))
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def _gallery(repository: str) -> dict[str, str | bytes]:
    """Run the scripts of the gallery; USFLOW_DOCS_GALLERY=0 leaves that out."""
    made: dict[str, str | bytes] = {}
    for script in sorted((DOCS / "gallery").glob("*.py")):
        page = f"gallery/{script.stem}.md"
        if os.environ.get("USFLOW_DOCS_GALLERY") == "0":
            made[page] = f"# {script.stem}\n"
            continue
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(RUNNER), str(script), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{script.name} failed\n{done.stderr}")
            text = (Path(folder) / f"{script.stem}.md").read_text(encoding="utf-8")
            source = f"{repository}/blob/main/docs/gallery/{script.name}"
            made[page] = f"{text}\n[The script]({source})\n"
            for picture in Path(folder).glob("*.png"):
                made[f"gallery/{picture.name}"] = picture.read_bytes()
    return made


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Put tables of parameters in, and lead links out of ``docs`` to the repository."""
    markdown = re.sub(
        r"<!-- parameters: (\S+) -->", lambda m: parameter_table(m[1]), markdown
    )
    if page.file.generated_by is None:
        folder = (DOCS / page.file.src_uri).parent
        markdown = re.sub(
            r"\]\((\.\./[^)\s]+)\)",
            lambda m: repository_links(
                m[0], folder, page.file.src_uri, str(config.repo_url)
            ),
            markdown,
        )
    return markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas that arithmatex has marked into MathML, and roles into names."""
    html = re.sub(
        r'<(span|div) class="arithmatex">(.*?)</\1>',
        lambda m: _formula(m[2], m[1] == "div"),
        html,
        flags=re.S,
    )
    # Docstrings name what they speak of as Sphinx wants it: :func:`~package.name`.
    return re.sub(
        r":(?:class|data|func|meth|mod):<code>(~?)([\w.]+)</code>",
        lambda m: f"<code>{m[2].rpartition('.')[2] if m[1] else m[2]}</code>",
        html,
    )


def _formula(text: str, block: bool) -> str:
    latex = unescape(text).strip()
    latex = latex.removeprefix(r"\(").removesuffix(r"\)")
    latex = latex.removeprefix(r"\[").removesuffix(r"\]")
    return str(convert(latex.strip(), display="block" if block else "inline"))
