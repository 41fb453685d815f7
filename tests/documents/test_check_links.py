"""Links of the built site that lead nowhere are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_links import main, problems


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two pages, all of whose links are good."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<h1 id="top">Other</h1>')
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(
        '<a href="other/#top">a</a> <a href="https://example.org/nowhere">b</a>'
        '<img src="/base/a.png" alt="a picture"> <a href="#here" id="here">c</a>'
    )
    return tmp_path


def test_good_links_are_no_problem(site: Path, capsys) -> None:
    assert main([str(site), "/base/"]) == 0
    assert "2 pages, 0 problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<a href="missing/">a</a>', "nothing at missing/"),
        ('<a href="other/#bottom">a</a>', "no such place: other/#bottom"),
        ('<a href="#nowhere">a</a>', "no such place: #nowhere"),
        ('<img src="b.png" alt="b">', "nothing at b.png"),
        ('<img src="a.png">', "a picture without a text: a.png"),
    ],
)
def test_link_to_nothing_is_named(site: Path, html: str, said: str) -> None:
    (site / "other" / "page.html").write_text(html.replace("other/", "../other/"))

    found = "\n".join(problems(site, "/base/"))

    assert said.replace("other/", "../other/") in found or said in found


def test_problems_give_exit_code_1(site: Path, capsys) -> None:
    (site / "index.html").write_text('<a href="missing/">a</a>')

    assert main([str(site)]) == 1
    assert "index.html: nothing at missing/" in capsys.readouterr().err


def test_site_without_pages_is_a_problem(tmp_path: Path, capsys) -> None:
    assert main([str(tmp_path)]) == 1
