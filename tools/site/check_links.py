"""Check every link and picture of the built site, and that each picture has a text.

``python tools/site/check_links.py SITE``. Links to other sites are not followed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["main", "problems"]


class _Page(HTMLParser):
    """Collects the links, anchors and textless pictures of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.textless: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at a tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[n] for n in ("id", "name") if n in values}
        link = values.get("href" if tag in ("a", "link") else "src")
        if link:
            self.links.add(link)
        if tag == "img" and not values.get("alt"):
            self.textless.add(values.get("src", ""))


def problems(site: Path, base: str) -> Iterator[str]:
    """Say what leads nowhere.

    Parameters
    ----------
    site : Path
        Folder of the built site.
    base : str
        Path below the host where the site will be, such as ``/napari-usflow/``.
    """
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = _Page()
        pages[path].feed(path.read_text(encoding="utf-8"))
    for path, page in pages.items():
        name = path.relative_to(site)
        for picture in sorted(page.textless):
            yield f"{name}: a picture without a text: {picture}"
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                start = site if parts.path.startswith("/") else path.parent
                target = start / unquote(parts.path).removeprefix(base)
            target = target.resolve()
            if target.is_dir():
                target = target / "index.html"
            if not target.exists():
                yield f"{name}: nothing at {link}"
            elif (
                parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].anchors
            ):
                yield f"{name}: no such place: {link}"


def main(argv: list[str]) -> int:
    """Print what leads nowhere."""
    site = Path(argv[0]).resolve()
    found = list(problems(site, argv[1] if len(argv) > 1 else "/"))
    for problem in found:
        print(problem, file=sys.stderr)
    count = len(list(site.rglob("*.html")))
    print(f"links: {count} pages, {len(found)} problems")
    return int(bool(found) or not count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
