"""The command behind *Layers > Measure > Measure before and after*."""

from __future__ import annotations

from napari_usflow._napari.settings import PLUGIN

__all__ = ["measure_layers"]


def measure_layers() -> None:
    """Open the Measure widget, or bring the one that is open to the front."""
    import napari
    from napari.utils.notifications import show_warning

    viewer = napari.current_viewer()
    if viewer is None:
        show_warning("Open an image layer first.")
        return
    dock, _ = viewer.window.add_plugin_dock_widget(PLUGIN, "Measure")
    dock.setVisible(True)
    dock.raise_()
