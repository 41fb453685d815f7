"""A line for a path."""

from __future__ import annotations

import os

import pytest

from napari_usflow._napari.shared.path_edit import PathEdit, PathLine

pytestmark = pytest.mark.gui


def ink(line: PathLine) -> set[int]:
    """Columns of the picture of a line that hold letters."""
    image = line.grab().toImage()
    paper = image.pixel(line.width() - 4, line.height() // 2)
    return {
        x
        for x in range(6, line.width() - 6)
        if any(image.pixel(x, y) != paper for y in range(6, line.height() - 6))
    }


def test_a_long_path_shows_both_ends_and_is_whole_in_the_tooltip(qtbot) -> None:
    line = PathLine("PICMUS")
    qtbot.addWidget(line)
    line.resize(160, 30)
    path = "/l" + "i" * 200 + "W/W" + "i" * 200 + ".h5"

    line.setText(path)

    assert line.text() == path
    assert line.toolTip() == f"{path}\nPICMUS"
    columns = ink(line)
    assert min(columns) < 15
    assert max(columns) > 130
    line.setText("")
    assert line.toolTip() == "PICMUS"


def test_several_paths_have_a_line_each_in_the_tooltip(qtbot, tmp_path) -> None:
    edit = PathEdit("Choose", file_filter="MRI (*.h5)")
    qtbot.addWidget(edit)
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    with qtbot.waitSignal(edit.changed):
        edit.set_paths(paths)
    assert edit.paths() == paths
    assert edit.line.toolTip() == "\n".join(map(str, paths))
    assert os.pathsep in edit.line.text()
