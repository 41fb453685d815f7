"""The choice of several layers, and the line for paths."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QFileDialog

from napari_usflow._napari.shared.path_edit import PathEdit
from napari_usflow._napari.train.layer_list import LayerChecklist

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer() -> ViewerModel:
    model = ViewerModel()
    for name in ("a", "b", "c"):
        model.add_image(np.zeros((4, 4)), name=name)
    model.add_labels(np.zeros((4, 4), int), name="rois")
    return model


def names(checklist: LayerChecklist) -> list[str]:
    return [checklist.item(i).text() for i in range(checklist.count())]


def test_images_only_are_offered_and_none_is_ticked(qtbot, viewer):
    checklist = LayerChecklist(viewer)
    qtbot.addWidget(checklist)
    assert names(checklist) == ["a", "b", "c"]
    assert checklist.chosen() == []


def test_ticks_survive_changes_of_the_layer_list(qtbot, viewer):
    checklist = LayerChecklist(viewer)
    qtbot.addWidget(checklist)
    chosen = [viewer.layers["a"], viewer.layers["c"]]
    checklist.choose(chosen)
    viewer.layers.move(2, 0)
    viewer.add_image(np.zeros((4, 4)), name="d")
    chosen[0].name = "renamed"
    assert set(checklist.chosen()) == set(chosen)
    assert names(checklist) == ["c", "renamed", "b", "d"]
    with qtbot.waitSignal(checklist.changed):
        viewer.layers.remove("c")
    assert checklist.chosen() == [chosen[0]]


def test_viewer_outlives_a_list_that_was_deleted(qtbot, viewer):
    checklist = LayerChecklist(viewer)
    checklist.let_go()
    checklist.deleteLater()
    qtbot.wait(10)
    viewer.add_image(np.zeros((4, 4)))


def test_paths_are_typed_or_chosen(qtbot, monkeypatch):
    edit = PathEdit("Choose", file_filter="MRI (*.h5)")
    qtbot.addWidget(edit)
    assert edit.paths() == []
    edit.line.setText(f" /data/a.h5 {os.pathsep}~/b.h5{os.pathsep}")
    assert edit.paths() == [Path("/data/a.h5"), Path.home() / "b.h5"]

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    edit.folder_button.click()
    assert len(edit.paths()) == 2
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/data")
    with qtbot.waitSignal(edit.changed):
        edit.folder_button.click()
    assert edit.paths() == [Path("/data")]
    chosen = ["/data/1.h5", "/data/2.h5"]
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (chosen, ""))
    edit.files_button.click()
    assert edit.paths() == [Path(p) for p in chosen]


def test_line_for_a_folder_has_no_button_for_files(qtbot):
    edit = PathEdit("Choose")
    qtbot.addWidget(edit)
    assert edit.files_button is None
