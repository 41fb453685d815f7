"""The command behind *Layers > Annotate > Annotate before and after*."""

from __future__ import annotations

from napari_usflow._napari.settings import PLUGIN

__all__ = ["annotate_layers"]


def annotate_layers() -> None:
    """Open the Annotate widget, or bring the one that is open to the front."""
    import napari
    from napari.utils.notifications import show_warning

    viewer = napari.current_viewer()
    if viewer is None:
        show_warning("Open an image layer first.")
        return
    dock, _ = viewer.window.add_plugin_dock_widget(PLUGIN, "Annotate")
    dock.setVisible(True)
    dock.raise_()
