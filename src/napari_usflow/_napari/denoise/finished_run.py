"""The input and the result of the last run, to be compared and blended."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_usflow._napari.denoise.blend import Blend
    from napari_usflow._napari.denoise.run import LayerRun

__all__ = ["FinishedRun"]


class FinishedRun:
    """Holds two layers, as long as the viewer does.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    before, after : Image
        Input and result.
    run : LayerRun
        What made the result.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, before: Image, after: Image, run: LayerRun
    ) -> None:
        self._viewer = viewer
        self._layers = weakref.ref(before), weakref.ref(after)
        self._blend: Blend | None = run.blend()

    def follow(self, strength: float, mix_back: float) -> str:
        """Blend the result anew, and say so; an empty text where it cannot be."""
        if self._blend is None or self._layers[1]() not in self._viewer.layers:
            return ""
        return self._blend.follow(strength, mix_back)

    def compare(self) -> bool:
        """Open Compare on the layers; False where one of them is gone."""
        from napari_usflow._napari.compare.command import open_compare

        before, after = (layer() for layer in self._layers)
        if before not in self._viewer.layers or after not in self._viewer.layers:
            return False
        open_compare(self._viewer, before, after)
        return True
