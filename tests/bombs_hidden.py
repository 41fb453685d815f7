"""Files of which what unpacks, or is repeated, stands behind a harmless part."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from bombs import deflated_zeros, ultrasound_dicom_file, zarr, zstd_zeros
from example_mri import fastmri

SIDE = 12 * 1024


def png(folder: Path) -> Path:
    """16 x 16 pixels, and far more behind them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        size, check = len(content), zlib.crc32(kind + content)
        return struct.pack(">I", size) + kind + content + struct.pack(">I", check)

    path = folder / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0))
        + chunk(b"zTXt", b"Comment\0\0" + deflated_zeros())
        + chunk(b"iCCP", b"profile\0\0" + deflated_zeros())
        + chunk(b"IDAT", deflated_zeros())
        + chunk(b"IEND", b"")
    )
    return path


def zarr_second_part(codec: str) -> Callable[[Path], Path]:
    """Behind a sound piece a second gzip member, or Zstandard frame."""

    def make(folder: Path) -> Path:
        path = zarr(codec, side=1000)(folder)
        (piece,) = (p for p in (path / "0/c").rglob("*") if p.is_file())
        sound = np.ones((1000, 1000), np.float32).tobytes()
        if codec == "gzip":
            first, second = gzip.compress(sound), deflated_zeros(kind="gzip")
        else:
            from numcodecs.zstd import Zstd

            first, second = bytes(Zstd(1).encode(sound)), zstd_zeros()
        piece.write_bytes(first + second)
        return path

    return make


def _jp2_of_tiles(side: int, tile: int = 1024) -> bytes:
    """A black JP2 picture, of which one tile is packed, and then repeated.

    Blocks of 64 x 64 are counted from the picture's corner, and have to fit a tile.
    """
    from PIL import Image

    stream = io.BytesIO()
    one = Image.fromarray(np.zeros((tile, tile), np.uint8))
    one.save(stream, "jpeg2000", num_resolutions=1)
    boxes, _, code = stream.getvalue().partition(b"jp2c")
    head, _, part = code[:-2].partition(b"\xff\x90\0\x0a")
    extent = struct.pack(">II", side, side)
    at = head.index(b"\xff\x51")
    head = head[: at + 6] + extent + head[at + 14 :]
    parts = [
        b"\xff\x90\0\x0a" + struct.pack(">H", number) + part[2:]
        for number in range((side // tile) ** 2)
    ]
    code = b"".join([head, *parts, b"\xff\xd9"])
    at = boxes.index(b"ihdr") + 4
    boxes = boxes[:at] + extent + boxes[at + 8 : -4]
    return boxes + struct.pack(">I4s", 8 + len(code), b"jp2c") + code


def dicom_jp2(folder: Path) -> Path:
    """A frame of 12,288 x 12,288 behind a box that looks like one of 64 x 64."""
    import pydicom
    from PIL import Image
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    stream, large = io.BytesIO(), _jp2_of_tiles(SIDE)
    picture = Image.fromarray(np.zeros((64, 64), np.uint8))
    picture.save(stream, "jpeg2000", no_jp2=True, num_resolutions=1)
    at = 12 + int.from_bytes(large[12:16], "big")
    box = struct.pack(">I4s", 8 + stream.tell(), b"free") + stream.getvalue()
    frame = large[:at] + box + large[at:]
    path = ultrasound_dicom_file(folder)
    found = pydicom.dcmread(path)
    found.file_meta.TransferSyntaxUID = JPEG2000Lossless
    found.PixelData = encapsulate([frame])
    found["PixelData"].is_undefined_length = True
    found.save_as(path, enforce_file_format=True)
    return path


def ome_entities(folder: Path) -> Path:
    """A description of 12 MB that refers to a text of 3 MB three hundred times."""
    import tifffile

    texts = "".join(
        f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 4)
    )
    description = (
        f'<!DOCTYPE OME [<!ENTITY a0 "{"speckle" * 430}">{texts}]>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'Creator="{"x" * 12_000_000}"><Image ID="Image:0">'
        f'<Description>{"&a3;" * 300}</Description><Pixels ID="Pixels:0" '
        'DimensionOrder="XYCZT" Type="uint8" SizeX="64" SizeY="64" SizeC="1" '
        'SizeZ="1" SizeT="1"><TiffData/></Pixels></Image></OME>'
    )
    path = folder / "bomb.ome.tif"
    picture = np.zeros((64, 64), np.uint8)
    tifffile.imwrite(path, picture, description=description.encode(), metadata=None)
    return path


def texts_of_one(folder: Path) -> Path:
    """A thousand texts of an attribute are references to one of 2 MB."""
    path = fastmri(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["notes"] = "A" * 2_000_000
        file.attrs.create("many", ["x"] * 1000, dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    (large,) = _references(content, 2_000_000)
    for at in _references(content, 1):
        content[at : at + 16] = content[large : large + 16]
    path.write_bytes(content)
    return path


def text_of_2_gb(folder: Path) -> Path:
    """The reference to a text says that it has 2 GB."""
    path = fastmri(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["notes"] = "A" * 4321
    content = bytearray(path.read_bytes())
    (at,) = _references(content, 4321)
    content[at : at + 4] = struct.pack("<I", 2**31 - 16)
    path.write_bytes(content)
    return path


def _references(content: bytearray, length: int) -> list[int]:
    """Find the references to texts of a length: length, heap, number in the heap."""
    places, at = [], content.find(struct.pack("<I", length))
    while at >= 0:
        heap = int.from_bytes(content[at + 4 : at + 12], "little")
        if heap and content[heap : heap + 4] == b"GCOL":
            places.append(at)
        at = content.find(struct.pack("<I", length), at + 1)
    return places
