"""What CONTRIBUTING.md tells a contributor to write, carried out beside the package."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"

__all__ = ["followed"]


@contextmanager
def followed(
    section: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[tuple[str, str], None, None]:
    """Write the module of a section; give its name and the line for the registry."""
    text = GUIDE.read_text("utf-8").split(f"## {section}\n")[1]
    code, line = re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)[:2]
    (name,) = re.findall(r"This is\s+`[\w/]*/(\w+)\.py`", text)[:1]
    folder.mkdir()
    # The module stands beside the package, so that the package is left as it is.
    (folder / f"{name}.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(folder)
    try:
        yield name, line.strip()
    finally:
        sys.modules.pop(name, None)
