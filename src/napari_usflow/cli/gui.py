"""``usflow gui``: open napari with the plugin loaded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["configure", "has_screen", "load_napari", "run"]


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument("files", nargs="*", type=Path, help="files to open")


def run(args: argparse.Namespace) -> int:
    """Run the command; it ends when the window is closed."""
    for path in args.files:
        if not path.exists():
            raise ValueError(f"{path} does not exist")
    if not has_screen():
        raise ValueError(
            "there is no screen to open a window on; "
            "usflow demo --no-gui and usflow denoise work without one"
        )
    napari = load_napari()
    viewer = napari.Viewer()
    viewer.window.add_plugin_dock_widget("napari-usflow", "Denoise")
    if args.files:
        from napari_usflow._napari.readers import open_files

        open_files(viewer, args.files)
    napari.run()
    return 0


def has_screen() -> bool:
    """Whether a window can be opened; without a display Qt ends the process."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))


def load_napari() -> Any:
    """Import napari, after torch: on Windows torch cannot be loaded once Qt is.

    Raises
    ------
    ValueError
        When napari is not installed.
    """
    import torch  # noqa: F401

    try:
        import napari
    except ImportError as error:
        raise ValueError(
            "napari is not installed; pip install 'napari-usflow[all]'"
        ) from error
    return napari
