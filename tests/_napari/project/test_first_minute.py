"""The first minute: sample, Despeckle, Compare, Suggest, Report; then a project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QDesktopServices

from napari_usflow._napari.compare.command import compare_layers
from napari_usflow._napari.denoise.command import denoise_active_layer
from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.measure.form import ROLE_KEYS
from napari_usflow._napari.measure.roles import roles_of
from napari_usflow._napari.measure.widget import MeasureWidget
from napari_usflow._napari.project.widget import ProjectWidget

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[3] / "src" / "napari_usflow" / "napari.yaml"
PATIENCE_MS = 120_000


@pytest.fixture
def opened(monkeypatch, tmp_path) -> list[str]:
    """The addresses that would have been opened in a browser."""
    addresses: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: addresses.append(url.toLocalFile())
    )
    monkeypatch.setattr(
        "napari_usflow._napari.project.widget.reports_folder", lambda: tmp_path
    )
    return addresses


def shoot(viewer: Any, name: str, size: tuple[int, int]) -> None:
    """Keep a picture of the window where a folder for it is named."""
    from qtpy.QtWidgets import QApplication

    if folder := os.environ.get("USFLOW_SHOTS"):
        viewer.window.resize(*size)
        for _ in range(4):
            QApplication.processEvents()
        viewer.window.screenshot(f"{folder}/{name}.png", canvas_only=False, flash=False)


def test_five_clicks_from_the_sample_to_a_report(
    make_napari_viewer, npe2pm, qtbot, opened, monkeypatch, halving
) -> None:
    monkeypatch.setattr(
        "napari_usflow.denoising.algorithms.methods", lambda: ("halving",)
    )
    viewer = make_napari_viewer(show=bool(os.environ.get("USFLOW_SHOTS")))
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        viewer.open_sample("napari-usflow", "clip")
        denoise_active_layer()
        qtbot.waitUntil(lambda: not Job.busy(), timeout=PATIENCE_MS)
        assert len(viewer.layers) == 2
        compare_layers()
        dock = next(d for n, d in viewer.window.dock_widgets.items() if "Compare" in n)
        compare = dock if hasattr(dock, "form") else dock.widget()
        assert compare.comparison is not None
        compare.form.suggest.click()
        docks = viewer.window.dock_widgets
        measure = next(d for name, d in docks.items() if "Measure" in name)
        assert isinstance(measure, MeasureWidget)
        assert {row.role for row in measure.measured[0]} == {"speckle", "target"}
        shoot(viewer, "first_minute", (1366, 768))
        measure.form.report.click()
        (address,) = opened
        page = Path(address).read_text()
        assert "usflow denoise INPUT OUTPUT.tif --method halving" in page
        for row in measure.measured[0]:
            assert row.region in page
        assert "Report written" in measure.status.text()
        compare.form.set_mode("off")
        viewer.close()


def test_roles_by_key(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((60, 60)), name="image", units=("mm", "mm"))
    widget = MeasureWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Measure")
    widget.form.region.click()
    layer = viewer.layers["image regions"]
    layer.add_rectangles([[[5, 5], [5, 20], [20, 20], [20, 5]]])
    keys = {str(key): action for key, action in viewer.keymap.items()}
    for role, key in ROLE_KEYS.items():
        layer.selected_data = {0}
        keys[key.replace("-", "+")](viewer)
        assert roles_of(layer) == {0: role}
        assert widget.form.role.currentData() == role
    widget.stop()
    assert not any(key.replace("-", "+") in map(str, viewer.keymap) for key in keys)


def test_the_project_widget_saves_and_reports(
    make_napari_viewer, tmp_path, opened
) -> None:
    viewer = make_napari_viewer()
    rng = np.random.default_rng(0)
    viewer.add_image(
        rng.normal(-30, 5, (60, 60)),
        name="image",
        units=("mm", "mm"),
        metadata={"usflow": {"values": "db"}},
    )
    widget = ProjectWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Project and report")
    assert "1 image" in widget.content.text()

    assert widget.save(tmp_path / "heart")
    assert (tmp_path / "heart.usflow").exists()
    widget.report_to(tmp_path / "heart.pdf")
    assert (tmp_path / "heart.pdf").read_bytes().startswith(b"%PDF")
    widget.report()
    widget.report()
    assert [Path(name).name for name in opened] == [
        "image report.html",
        "image report 2.html",
    ]
    viewer.layers.clear()
    widget.report()
    assert "no image" in widget.status.text()
    assert widget.save(tmp_path / "missing" / "heart.usflow") is False
    assert "missing" in widget.status.text()
