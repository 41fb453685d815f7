"""Report what a window would get here: Qt, its platform, OpenGL and fonts.

``python -m napari_usflow._napari.qt_probe`` writes one line of JSON. It is run in a
process of its own, since Qt ends the process where it finds no platform plugin.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["probe"]


def probe() -> dict[str, Any]:
    """Open a Qt application without a window and return what it has.

    Returns
    -------
    dict
        ``binding`` (such as ``PyQt6``), ``qt``, ``platform``, ``font`` (family, empty
        when there is none), ``opengl`` (version and renderer, empty when no context
        could be made).
    """
    import qtpy
    from qtpy.QtGui import QFont, QFontInfo, QGuiApplication

    # Held until the end: without an application there are neither fonts nor OpenGL.
    application = QGuiApplication.instance() or QGuiApplication([])
    return {
        "binding": qtpy.API_NAME,
        "qt": qtpy.QT_VERSION,
        "platform": QGuiApplication.platformName(),
        "font": QFontInfo(QFont()).family(),
        "opengl": _opengl() if application else "",
    }


def _opengl() -> str:
    """Version and renderer of the OpenGL that a canvas would draw with."""
    from qtpy.QtGui import QOffscreenSurface, QOpenGLContext

    context, surface = QOpenGLContext(), QOffscreenSurface()
    surface.create()
    if not (context.create() and context.makeCurrent(surface)):
        return ""
    from OpenGL import GL

    version, renderer = (
        (GL.glGetString(name) or b"unknown").decode("utf-8", "replace")
        for name in (GL.GL_VERSION, GL.GL_RENDERER)
    )
    context.doneCurrent()
    return f"{version.split()[0]}, {renderer.partition(' (')[0]}"


if __name__ == "__main__":
    print(json.dumps(probe()))
