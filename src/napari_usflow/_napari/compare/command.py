"""The command behind *Layers > Visualize > Compare before and after*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_usflow._napari.settings import PLUGIN

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_usflow._napari.compare.widget import CompareWidget

__all__ = ["compare_layers", "open_compare"]


def compare_layers() -> None:
    """Compare the two selected layers, or the active one with what it was made of."""
    import napari
    from napari.utils.notifications import show_warning

    viewer = napari.current_viewer()
    if viewer is None:
        show_warning("Open two image layers first.")
        return
    widget = open_compare(viewer)
    widget.compare_selected()


def open_compare(
    viewer: napari.viewer.Viewer,
    before: Image | None = None,
    after: Image | None = None,
) -> CompareWidget:
    """Open the Compare widget, or take the one that is open.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its window gets the widget.
    before, after : napari.layers.Image, optional
        The pair to show; left as it is without them.
    """
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Compare")
    dock.setVisible(True)
    dock.raise_()
    if before is not None and after is not None:
        widget.compare(before, after)
    made: CompareWidget = widget
    return made
