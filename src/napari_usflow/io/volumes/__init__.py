"""Images and volumes of medical imaging: MetaImage, NRRD and NIfTI.

Their headers differ; what follows the header is the same array of numbers
(:mod:`~napari_usflow.io.volumes.payload`), and so is what becomes of it
(:mod:`~napari_usflow.io.volumes.stored`).
"""
