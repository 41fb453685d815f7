"""Good files of images in further codecs and kinds, beside those of example_files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from example_files import Maker

FRAMES = np.random.default_rng(7).integers(20, 200, (2, 24, 32)).astype(np.uint8)


def tiff_deflate(folder: Path) -> Path:
    import tifffile

    path = folder / "deflate.tif"
    tifffile.imwrite(path, FRAMES, compression="zlib", rowsperstrip=8, metadata=None)
    return path


def tiff_big(folder: Path) -> Path:
    import tifffile

    path = folder / "big.tif"
    tifffile.imwrite(path, FRAMES.astype(np.uint16), bigtiff=True, tile=(16, 16))
    return path


def _dicom(codec: str) -> Maker:
    def make(folder: Path) -> Path:
        import pydicom
        from pydicom.encaps import encapsulate
        from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

        from ultrasound_dicom import region, save

        path = save(folder / f"{codec}.dcm", FRAMES, [region((0, 0, 31, 23))])
        found = pydicom.dcmread(path)
        if codec == "rle":
            found.compress(RLELossless)
        else:
            found.file_meta.TransferSyntaxUID = {
                "jpeg": JPEGBaseline8Bit,
                "jpeg2000": JPEG2000Lossless,
            }[codec]
            found.PixelData = encapsulate([_picture(codec, frame) for frame in FRAMES])
            found["PixelData"].is_undefined_length = True
        found.save_as(path, enforce_file_format=True)
        return path

    return make


def _picture(codec: str, frame: np.ndarray) -> bytes:
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    how = {"no_jp2": True} if codec == "jpeg2000" else {}
    Image.fromarray(frame).save(stream, codec, **how)
    return stream.getvalue()


def dicom_palette(folder: Path) -> Path:
    from ultrasound_dicom import region, save

    tags = {"PhotometricInterpretation": "PALETTE COLOR", "PixelRepresentation": 1}
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, -128, 8]
        tags[f"{name}PaletteColorLookupTableData"] = bytes(range(256))
    return save(folder / "palette.dcm", FRAMES, [region((0, 0, 31, 23))], **tags)


def zarr_stack(folder: Path) -> Path:
    """A folder."""
    from napari_usflow.io.zarr_stack import ZarrStack
    from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

    grid = PixelGrid((24, 32), (0.2, 0.3), (5.0, -1.8))
    image = UltrasoundImage(-FRAMES.astype(np.float32) / 4, "db", grid)
    stack = ZarrStack(folder / "stack.zarr", image, {"method": "tv"})
    for index, frame in enumerate(image.data):
        stack.write(index, frame)
    return folder / "stack.zarr"


PACKED: dict[str, Maker] = {
    "tiff-deflate": tiff_deflate,
    "tiff-big": tiff_big,
    "dicom-rle": _dicom("rle"),
    "dicom-jpeg": _dicom("jpeg"),
    "dicom-jpeg2000": _dicom("jpeg2000"),
    "dicom-palette": dicom_palette,
    "zarr-stack": zarr_stack,
}
"""Makers, each of which takes a folder and gives a path in it."""
