"""Every command of ours, called as the command palette does: without arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"
DOWNLOADS = ("picmus_contrast_sample", "picmus_resolution_sample")


@pytest.fixture
def dialogs(monkeypatch, tmp_path):
    """Dialogs of files that answer by themselves."""
    from qtpy.QtWidgets import QFileDialog

    asked = []

    def save(parent, title, name, pattern):
        asked.append(name)
        return str(tmp_path / f"out{pattern[1:]}"), pattern

    monkeypatch.setattr(QFileDialog, "getSaveFileName", save)
    monkeypatch.setattr(
        QFileDialog, "getOpenFileNames", lambda *_, **__: asked.append("") or ([], "")
    )
    return asked


@pytest.mark.parametrize("with_layer", [False, True])
def test_every_command_runs_from_the_palette(
    qtbot, make_napari_viewer, npe2pm, dialogs, monkeypatch, tmp_path, with_layer
):
    from napari._app_model import get_app_model
    from napari.utils.notifications import notification_manager

    from napari_usflow._napari.denoise import command
    from napari_usflow._napari.jobs.worker import Job

    monkeypatch.setattr(command, "denoise_active_layer", lambda: None)
    viewer = make_napari_viewer()
    if with_layer:
        viewer.add_image(
            np.full((2, 16, 20), -30, np.float32),
            name="a/b: clip",
            scale=(1, 0.2, 0.3),
            units=("s", "mm", "mm"),
            metadata={"usflow": {"values": "db"}},
        )
    errors = []

    def note(notification):
        if str(notification.severity) == "error":
            errors.append(notification.message)

    notification_manager.notification_ready.connect(note)
    with npe2pm.tmp_plugin(manifest=MANIFEST) as plugin:
        commands = get_app_model().commands
        for contribution in plugin.manifest.contributions.commands:
            name = contribution.id.partition(".")[2]
            if name in (*DOWNLOADS, "plane_wave_sample", "train_widget"):
                continue
            if name == "denoise_active_layer" or contribution.id not in commands:
                continue
            assert "(" not in contribution.title
            commands.execute_command(contribution.id).result()
            qtbot.wait(20)
        assert not Job.busy()
    notification_manager.notification_ready.disconnect(note)
    assert errors == []
    written = {path.name for path in tmp_path.iterdir()}
    expected = {"out.ome.tif", "out.hdf5", "out.zea.hdf5", "out.png"}
    assert (expected <= written) is with_layer
    if with_layer:
        assert "a_b_ clip.ome.tif" in dialogs
