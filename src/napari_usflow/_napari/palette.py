"""Commands of readers and writers without a file: they ask for it.

napari lists every command of a plugin in its palette, and calls it without arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_usflow.errors import UsflowError

__all__ = ["ask_for_files", "save_active_layer"]


def ask_for_files() -> list[str]:
    """Return the files that the user chooses; none when there is no window."""
    from qtpy.QtWidgets import QApplication, QFileDialog

    if QApplication.instance() is None:
        return []
    paths, _ = QFileDialog.getOpenFileNames(None, "Open ultrasound files")
    return [str(path) for path in paths]


def save_active_layer(
    write: Callable[..., list[str]], suffix: str, kind: str
) -> list[str]:
    """Ask for a file and save the active layer to it.

    Parameters
    ----------
    write : callable
        Takes path, data and attributes of a layer.
    suffix : str
        Ending of the file.
    kind : str
        Class of the layers that can be saved.
    """
    import napari
    from napari.utils.notifications import show_error, show_warning
    from qtpy.QtWidgets import QFileDialog

    viewer = napari.current_viewer()
    layer: Any = None if viewer is None else viewer.layers.selection.active
    if layer is None or type(layer).__name__ != kind:
        show_warning(f"Select {_article(kind)} layer first, then save it.")
        return []
    name, _ = QFileDialog.getSaveFileName(
        None, f"Save {layer.name}", f"{_safe(layer.name)}{suffix}", f"*{suffix}"
    )
    if not name:
        return []
    path = name if name.lower().endswith(suffix) else f"{name}{suffix}"
    data, attributes, _ = layer.as_layer_data_tuple()
    try:
        return write(path, data, attributes)
    except UsflowError as error:
        show_error(str(error))
        return []


def _article(kind: str) -> str:
    return {"Image": "an image", "Shapes": "a shapes", "Points": "a points"}[kind]


def _safe(name: str) -> str:
    """Return a layer's name as the name of a file."""
    plain = "".join(c if c.isalnum() or c in " -_.,=()" else "_" for c in name)
    return Path(plain.strip() or "layer").name
