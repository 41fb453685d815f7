"""The main job in a real window: open a file, click Denoise, compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.layers.content import open_demo

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"


@pytest.fixture
def complaints():
    """What napari would have told the user."""
    from napari.utils.notifications import notification_manager

    seen: list[str] = []

    def note(notification) -> None:
        seen.append(f"{notification.severity}: {notification.message}")

    notification_manager.notification_ready.connect(note)
    yield seen
    notification_manager.notification_ready.disconnect(note)


def test_from_file_to_despeckled_layer(
    qtbot, make_napari_viewer, npe2pm, picmus_image, phantom_file, complaints
):
    viewer = make_napari_viewer()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        # Without a plugin, as for a dropped file: a choice of two would raise here.
        (source,) = viewer.open(picmus_image, plugin=None)
        viewer.open(phantom_file, plugin=None)
        assert viewer.dims.current_step[0] == 2
        before = np.array(source.data)

        _, widget = viewer.window.add_plugin_dock_widget("napari-usflow", "Denoise")
        form = widget.form
        form.layer_combo.choose(source)
        form.method_combo.setCurrentIndex(form.method_combo.findData("nlm"))
        widget.run_button.click()
        qtbot.waitUntil(lambda: not widget.running, timeout=20_000)
    assert widget.status.text().startswith("Done: 3/3 frames")

    result = viewer.layers[f"{source.name} [nlm]"]
    assert viewer.layers.index(result) == viewer.layers.index(source) + 1
    np.testing.assert_array_equal(source.data, before)
    np.testing.assert_allclose(result.scale, source.scale)
    np.testing.assert_allclose(result.translate, source.translate)
    assert result.units == source.units
    assert result.axis_labels == source.axis_labels
    assert result.contrast_limits == source.contrast_limits
    # Speckle of 5.6 dB must be gone, and the mean level must stay.
    middle = (slice(None), slice(15, 45), slice(8, 22))
    assert result.data[middle].std() < 0.6 * before[middle].std()
    assert abs(result.data[middle].mean() - before[middle].mean()) < 0.5
    note = result.metadata["usflow"]
    assert note["method"] == "nlm"
    assert note["source"]["source"] == str(picmus_image)

    viewer.window.screenshot(canvas_only=True, flash=False)
    assert complaints == []
    assert not Job.busy()


def test_demo_shows_images_side_by_side_with_linked_contrast(
    make_napari_viewer, monkeypatch
):
    import napari

    monkeypatch.setattr(napari, "Viewer", lambda **kw: make_napari_viewer(**kw))
    kwargs = {"units": "mm", "contrast_limits": (-60, 0)}
    layers = [
        (np.full((8, 9), -30.0), {"name": name, **kwargs}, "image")
        for name in ("before", "after")
    ]
    viewer = open_demo(layers)
    assert [layer.name for layer in viewer.layers] == ["before", "after"]
    grid = getattr(viewer, "canvas", viewer).grid
    assert grid.enabled
    # The first layer comes first, that is on the left.
    assert grid.stride == 1
    viewer.layers[0].contrast_limits = (-50, -5)
    assert viewer.layers[1].contrast_limits == [-50, -5]
