"""A room is seen at a glance, and so is a module."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = [p for p in (ROOT / "src").rglob("*") if p.suffix in (".py", ".pyi")]


def test_no_folder_holds_more_than_twenty_modules() -> None:
    folders = Counter(path.parent.relative_to(ROOT) for path in MODULES)

    assert {folder: n for folder, n in folders.items() if n > 20} == {}


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    lengths = {path: path.read_text().count("\n") for path in MODULES}

    assert {path: n for path, n in lengths.items() if n > 400} == {}
