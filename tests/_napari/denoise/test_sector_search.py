"""Finding the sector of a layer in the Denoise window, and using it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow._napari.denoise.widget import DenoiseWidget
from napari_usflow._napari.layers.outlines import outline_of
from napari_usflow.lab.sectors.drawn import draw_sector

pytestmark = [pytest.mark.gui]


def test_the_sector_is_drawn_and_used(qtbot, make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    screen = draw_sector(23, "phased").frames[0][::2, ::2]
    image = viewer.add_image(screen, name="screen")
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    form = widget.form
    form.method_combo.setCurrentIndex(form.method_combo.findData("tv"))

    form.sector_panel.find_button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)

    sector = outline_of(viewer, image)
    assert sector is not None and "Drag its corners" in widget.status.text()

    form.sector_panel.mask_outside.setChecked(True)
    widget.run()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)

    (result,) = (
        layer
        for layer in viewer.layers
        if type(layer).__name__ == "Image" and layer is not image
    )
    mask = sector.mask(screen.shape)
    assert (np.asarray(result.data)[~mask] == 0).all()
    assert "on the lines of a sector, black around it" in widget.status.text()
    assert result.metadata["usflow"]["sector"]["kind"] == "sector"


def test_without_the_lines_nothing_is_looked_for(qtbot, make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((80, 80), np.uint8))
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)

    widget.form.sector_panel.on_lines.setChecked(False)

    assert widget.form.request().sector is None
    assert not widget.form.sector_panel.find_button.isEnabled()


def test_no_sector_is_looked_for_without_a_layer(qtbot, make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    widget = DenoiseWidget(viewer)
    qtbot.addWidget(widget)
    button = widget.form.sector_panel.find_button
    assert not button.isEnabled()

    viewer.add_image(np.zeros((80, 80), np.uint8))
    qtbot.waitUntil(button.isEnabled)
