"""Run a script of the gallery; write its page, with what it printed and drew.

``python tools/site/run_script.py SCRIPT FOLDER`` writes ``FOLDER/STEM.md`` and its
pictures. A script is Python with cells: ``# %%`` starts one, the comment lines below it
are Markdown.
"""

from __future__ import annotations

import io
import re
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

__all__ = ["cells", "main", "page"]


def cells(source: str) -> list[tuple[str, str]]:
    """Split a script at ``# %%`` into Markdown and code; the docstring comes first."""
    head, *rest = re.split(r"^# %%.*\n", source, flags=re.M)
    title, _, text = head.strip().strip('"').strip().partition("\n")
    parts = [(f"# {title.rstrip('.')}\n{text}", "")]
    for cell in rest:
        lines = cell.splitlines()
        length = next(
            (i for i, line in enumerate(lines) if not line.startswith("#")), len(lines)
        )
        words = [line.removeprefix("#").removeprefix(" ") for line in lines[:length]]
        parts.append(("\n".join(words), "\n".join(lines[length:]).strip()))
    return parts


def page(script: Path, folder: Path) -> str:
    """Run a script cell by cell and return its page; pictures go into a folder."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(script)}
    blocks: list[str] = []
    pictures = 0
    start = time.perf_counter()
    for text, code in cells(script.read_text(encoding="utf-8")):
        blocks.append(text)
        if not code:
            continue
        blocks.append(f"```python\n{code}\n```")
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(code, str(script), "exec"), names)
        if printed.getvalue().strip():
            blocks.append(f"```text\n{printed.getvalue().rstrip()}\n```")
        for number in pyplot.get_fignums():
            pictures += 1
            name = f"{script.stem}_{pictures}.png"
            pyplot.figure(number).savefig(folder / name, dpi=110)
            pyplot.close(number)
            alt = text.strip().splitlines()[0].strip("# ") if text.strip() else name
            blocks.append(f"![{alt}]({name})")
    seconds = time.perf_counter() - start
    blocks.append(f"*It took {seconds:.0f} s where this page was built.*")
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def main(argv: list[str]) -> int:
    """Write the page of a script."""
    script, folder = Path(argv[0]).resolve(), Path(argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    text = page(script, folder)
    (folder / f"{script.stem}.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
