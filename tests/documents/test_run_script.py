"""A script of the gallery becomes a page with what it printed and drew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import run_script

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = '''"""A title.

What it is about.
"""

# %%
# ## Count
#
# Words with a [link](https://example.org).

total = sum(range(4))
print("total", total)

# %%
import matplotlib.pyplot as plt

plt.plot([total, 0])
'''


def test_cells_are_text_and_code() -> None:
    head, count, draw = run_script.cells(SCRIPT)

    assert head == ("# A title\n\nWhat it is about.", "")
    assert count[0].startswith("## Count\n\nWords with")
    assert count[1] == 'total = sum(range(4))\nprint("total", total)'
    assert draw[0] == "" and draw[1].startswith("import matplotlib")


def test_page_has_code_output_and_picture(tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, run_script.__file__, str(script), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "count.md").read_text()
    assert page.startswith("# A title\n\nWhat it is about.")
    assert "```text\ntotal 6\n```" in page
    assert "(count_1.png)" in page
    assert (tmp_path / "out" / "count_1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "script", sorted((ROOT / "docs" / "gallery").glob("*.py")), ids=lambda p: p.stem
)
def test_gallery_scripts_have_a_title_and_text_in_every_cell(script: Path) -> None:
    head, *rest = run_script.cells(script.read_text(encoding="utf-8"))

    assert head[0].startswith("# ") and len(head[0].splitlines()) > 2
    assert all(text.strip() for text, _ in rest)
