"""From an image to an image without speckle.

:mod:`~napari_usflow.denoising.denoise` is what users call; the methods are in
:mod:`~napari_usflow.denoising.algorithms`. Names are imported from their own modules:
importing this package loads nothing else, so that methods can be listed at once.
"""
