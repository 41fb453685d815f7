"""Print the section of the changelog for this version, once all agrees on it.

``python tools/release_notes.py [TAG]``; a tag must be ``v`` and the version.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def version() -> str:
    """Version of the package, read without importing it."""
    text = (ROOT / "src" / "napari_usflow" / "__init__.py").read_text("utf-8")
    (stated,) = re.findall(r'^__version__ = "(.+)"$', text, re.M)
    return str(stated)


def section(changelog: str, number: str) -> str:
    """Text below the dated heading of a version; ValueError when there is none."""
    pattern = rf"^## \[{re.escape(number)}\] - \d{{4}}-\d\d-\d\d$(.*?)(?=^## \[|^\[|\Z)"
    match = re.search(pattern, changelog, re.M | re.S)
    if match is None:
        raise ValueError(f"CHANGELOG.md has no dated section for {number}")
    return match[1].strip()


def main(argv: list[str]) -> int:
    """Print the notes, or say in a line what does not agree."""
    number = version()
    tag = argv[0] if argv else ""
    try:
        if tag and tag != f"v{number}":
            raise ValueError(f"the tag is {tag}, the version is {number}")
        citation = (ROOT / "CITATION.cff").read_text("utf-8")
        if f"\nversion: {number}\n" not in citation:
            raise ValueError(f"CITATION.cff does not state version {number}")
        print(section((ROOT / "CHANGELOG.md").read_text("utf-8"), number))
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
