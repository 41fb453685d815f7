"""The Project widget in a real window."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow._napari.project.widget import ProjectWidget

pytestmark = pytest.mark.gui


def test_it_says_what_is_saved(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = ProjectWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Project")
    buttons = (
        widget.save_button,
        widget.save_as_button,
        widget.report_button,
        widget.report_as_button,
    )
    assert widget.content.text() == "Open an image first."
    assert not any(button.isEnabled() for button in buttons)

    viewer.add_image(np.zeros((20, 30)))
    assert widget.content.text() == "Saves 1 image."
    assert all(button.isEnabled() for button in buttons)

    viewer.add_image(np.zeros((20, 30)))
    viewer.add_shapes()
    viewer.add_surface((np.eye(3), np.array([[0, 1, 2]])))
    assert widget.content.text() == (
        "Saves 2 images and 1 layer of regions and marks; leaves out 1 other layer."
    )
