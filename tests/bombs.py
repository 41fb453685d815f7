"""Files whose pieces unpack to far more than they declare, one for each codec.

What a file declares is small and right; the stream inside one piece holds ``INSIDE``
bytes. Each maker takes a folder and gives a path in it.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from example_files import DATA, HDF5

INSIDE = 2**29
_BLOCK = 2**20

Maker = Callable[[Path], Path]


def deflated_zeros(count: int = INSIDE, *, kind: str = "zlib") -> bytes:
    """Pack zeros; ``kind`` is ``zlib``, ``gzip`` or ``raw``."""
    pack = zlib.compressobj(9, wbits=-15)
    # A full flush forgets what was before, so that its bytes may be repeated.
    block = pack.compress(bytes(_BLOCK)) + pack.flush(zlib.Z_FULL_FLUSH)
    stream = block * (count // _BLOCK) + pack.flush()
    if kind == "raw":
        return stream
    if kind == "gzip":
        check = 0
        for _ in range(count // _BLOCK):
            check = zlib.crc32(bytes(_BLOCK), check)
        head = gzip.compress(b"")[:10]
        return head + stream + struct.pack("<II", check, count % 2**32)
    # Adler-32 of zeros: the sum stays 1, the sum of sums counts the bytes.
    return b"\x78\xda" + stream + struct.pack(">I", count % 65521 << 16 | 1)


def packbits_zeros(count: int = INSIDE) -> bytes:
    """Pack zeros in runs of 128 (TIFF 6.0, section 9)."""
    return b"\x81\0" * (count // 128)


def lzw_zeros(count: int = INSIDE) -> bytes:
    """As TIFF has it (TIFF 6.0, section 13): longer runs, until the table is full."""
    bits, given = "", 0
    for code in (256, 0, *range(258, 4094)):
        # The width grows one entry early; the table has one entry less than was told.
        entry = code + (1 if code >= 258 else 0)
        bits += format(code, f"0{max(9, entry.bit_length())}b")
        given += code - 256 if code >= 258 else int(code == 0)
    bits *= 8 * -(-count // given // 8)  # a whole number of bytes
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def lzf_zeros(count: int = INSIDE) -> bytes:
    """One zero, then copies of 264 bytes from a byte before."""
    return b"\0\0" + b"\xe0\xff\0" * (count // 264)


def _zeros(count: int = INSIDE) -> np.ndarray:
    return np.zeros(count, np.uint8)


def zstd_zeros(count: int = INSIDE) -> bytes:
    from numcodecs.zstd import Zstd

    return bytes(Zstd(1).encode(_zeros(count)))


def blosc_zeros(count: int = INSIDE) -> bytes:
    from numcodecs import blosc

    return bytes(blosc.compress(_zeros(count), b"lz4", 5, 1))


def _lz4_pieces(count: int, size: int) -> bytes:
    from numcodecs.lz4 import LZ4

    piece = bytes(LZ4().encode(_zeros(size)))[4:]  # without its own header
    return (struct.pack(">I", len(piece)) + piece) * (count // size)


def lz4_zeros(count: int = INSIDE) -> bytes:
    """As the HDF5 filter has it: size, size of a block, blocks."""
    return struct.pack(">QI", count, 2**22) + _lz4_pieces(count, 2**22)


def bitshuffle_zeros(count: int = INSIDE) -> bytes:
    return struct.pack(">QI", count, 8192) + _lz4_pieces(count, 8192)


CODECS: dict[str, tuple[int | str, tuple[int, ...], Callable[[], bytes]]] = {
    "gzip": (1, (4,), deflated_zeros),
    "lzf": ("lzf", (), lzf_zeros),
    "blosc": (32001, (2, 2, 4, 2**23, 5, 1, 1), blosc_zeros),
    "lz4": (32004, (0,), lz4_zeros),
    "bitshuffle": (32008, (0, 4, 4, 0, 2), bitshuffle_zeros),
    "zstd": (32015, (3,), zstd_zeros),
}
"""HDF5's filters: number, options, and a stream of zeros."""


def hdf5(kind: str) -> Maker:
    """Put a bomb in the place of a kind's data, in a chunk that holds all of it."""

    def make(folder: Path) -> Path:
        path = HDF5[kind](folder)
        put_bomb(path, DATA[kind], "gzip")
        return path

    return make


def put_bomb(path: Path, name: str, codec: str) -> None:
    number, options, zeros = CODECS[codec]
    if isinstance(number, int) and number > 32000:
        import hdf5plugin  # noqa: F401
    with h5py.File(path, "r+") as file:
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        data = file.create_dataset(
            name,
            shape,
            dtype,
            chunks=shape,
            compression=number,
            compression_opts=options if number not in (1, "lzf") else None,
        )
        data.id.write_direct_chunk((0,) * len(shape), zeros())


def axis_of_a_scan(folder: Path) -> Path:
    """A pixel axis of a few thousand values, which every reader reads at once."""
    path = HDF5["picmus-scan"](folder)
    name = "US/US_DATASET0000/x_axis"
    with h5py.File(path, "r+") as file:
        del file[name]
        data = file.create_dataset(
            name, (2**18,), "f4", chunks=(2**18,), compression="gzip"
        )
        data.id.write_direct_chunk((0,), deflated_zeros())
    return path


def picmus_image(codec: str) -> Maker:
    """An image in one piece that may be as large as the stream of the codec."""
    side = 512 if codec == "zstd" else 2048

    def make(folder: Path) -> Path:
        path = HDF5["picmus-image"](folder)
        group = "US/US_DATASET0000"
        with h5py.File(path, "r+") as file:
            for axis in "xz":
                del file[f"{group}/scan/{axis}_axis"]
                file[f"{group}/scan/{axis}_axis"] = np.arange(1, side + 1, dtype="f4")
            del file[f"{group}/data/real"]
            file[f"{group}/data/real"] = np.zeros((2, side, side), np.float32)
        put_bomb(path, f"{group}/data/real", codec)
        return path

    return make


def tiff(codec: str) -> Maker:
    """One strip of 64 x 64 pixels."""
    number, zeros = {
        "lzw": (5, lzw_zeros),
        "jpeg": (7, lambda: jpeg_frame(b"\xff\xc0")),
        "deflate": (8, deflated_zeros),
        "packbits": (32773, packbits_zeros),
        "jpeg2000": (33005, jpeg2000_frame),
        "zstd": (50000, zstd_zeros),
    }[codec]

    def make(folder: Path) -> Path:
        stream = zeros()
        path = folder / f"{codec}.tif"
        tags = [
            (256, 3, 64), (257, 3, 64), (258, 3, 8), (259, 3, number), (262, 3, 1),
            (273, 4, 8), (277, 3, 1), (278, 3, 64), (279, 4, len(stream)),
        ]  # fmt: skip
        entries = b"".join(struct.pack("<HHII", *tag[:2], 1, tag[2]) for tag in tags)
        path.write_bytes(
            struct.pack("<2sHI", b"II", 42, 8 + len(stream))
            + stream
            + struct.pack("<H", len(tags))
            + entries
            + bytes(4)
        )
        return path

    return make


def ultrasound_dicom_file(folder: Path) -> Path:
    from ultrasound_dicom import save, speckle

    return save(folder / "bomb.dcm", speckle((1, 64, 64)))


def magnetic_dicom_file(folder: Path) -> Path:
    """A slice of an MR series."""
    from pydicom.uid import MRImageStorage

    from ultrasound_dicom import save, speckle

    return save(
        folder / "bomb.dcm",
        speckle((64, 64)),
        Modality="MR",
        SOPClassUID=MRImageStorage,
        ImageType=["ORIGINAL", "PRIMARY", "M"],
        PixelSpacing=[1, 1],
        SeriesInstanceUID="1.2.3",
    )


def dicom(codec: str, *, of_mri: bool = False) -> Maker:
    """``deflate`` of the whole file, or one frame in another codec."""

    def make(folder: Path) -> Path:
        import pydicom
        from pydicom.encaps import encapsulate
        from pydicom.uid import (
            DeflatedExplicitVRLittleEndian,
            JPEG2000Lossless,
            JPEGBaseline8Bit,
            JPEGLSLossless,
            RLELossless,
        )

        path = (magnetic_dicom_file if of_mri else ultrasound_dicom_file)(folder)
        found = pydicom.dcmread(path)
        if codec == "deflate":
            element = struct.pack("<HH2sHI", 0x0011, 0x1001, b"OB", 0, INSIDE)
            found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
            found.save_as(path, enforce_file_format=True)
            content = path.read_bytes()
            at = 144 + int.from_bytes(content[140:144], "little")
            # A private element before all others, of zeros.
            pack = zlib.compressobj(9, wbits=-15)
            head = pack.compress(element) + pack.flush(zlib.Z_FULL_FLUSH)
            path.write_bytes(content[:at] + head + deflated_zeros(kind="raw"))
            return path
        uid, frame = {
            "rle": lambda: (RLELossless, _rle_frame()),
            "jpeg": lambda: (JPEGBaseline8Bit, jpeg_frame(b"\xff\xc0")),
            "jpeg-ls": lambda: (JPEGLSLossless, jpeg_frame(b"\xff\xf7")),
            "jpeg2000": lambda: (JPEG2000Lossless, jpeg2000_frame()),
        }[codec]()
        found.file_meta.TransferSyntaxUID = uid
        found.PixelData = encapsulate([frame])
        found["PixelData"].is_undefined_length = True
        found.save_as(path, enforce_file_format=True)
        return path

    return make


def _rle_frame() -> bytes:
    return struct.pack("<16I", 1, 64, *([0] * 14)) + packbits_zeros()


def _picture(kind: str, **how: object) -> bytearray:
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(stream, kind, **how)
    return bytearray(stream.getvalue())


def jpeg_frame(marker: bytes) -> bytes:
    """A picture whose own header declares 30,000 x 30,000 pixels."""
    stream = _picture("jpeg")
    at = stream.index(b"\xff\xc0")
    stream[at : at + 2] = marker
    stream[at + 5 : at + 9] = struct.pack(">HH", 30_000, 30_000)
    return bytes(stream)


def jpeg2000_frame() -> bytes:
    stream = _picture("jpeg2000", no_jp2=True)
    at = stream.index(b"\xff\x51")
    large = struct.pack(">II", 30_000, 30_000)
    stream[at + 6 : at + 14] = large
    stream[at + 22 : at + 30] = large  # one tile
    return bytes(stream)


def zarr(codec: str, side: int = 110) -> Maker:
    """A stack of one frame of ``side`` x ``side`` pixels."""

    def make(folder: Path) -> Path:
        from napari_usflow.io.zarr_stack import ZarrStack
        from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

        path = folder / "bomb.zarr"
        frames = np.ones((1, side, side), np.float32)
        image = UltrasoundImage(frames, "db", PixelGrid((side, side), (1, 1), (0, 0)))
        ZarrStack(path, image, {}).write(0, frames[0])
        note = path / "0/zarr.json"
        array = json.loads(note.read_text())
        (piece,) = (p for p in (path / "0").rglob("*") if p.is_file() and p != note)
        how, zeros = {
            "zstd": ({"name": "zstd", "configuration": {"level": 0}}, zstd_zeros),
            "gzip": (
                {"name": "gzip", "configuration": {"level": 5}},
                lambda: deflated_zeros(kind="gzip"),
            ),
            "blosc": (
                {
                    "name": "blosc",
                    "configuration": {
                        "cname": "lz4",
                        "clevel": 5,
                        "shuffle": "noshuffle",
                        "typesize": 4,
                        "blocksize": 0,
                    },
                },
                blosc_zeros,
            ),
        }[codec]
        array["codecs"][1:] = [how]
        note.write_text(json.dumps(array))
        piece.write_bytes(zeros())
        return path

    return make


def matlab_5(place: str) -> Maker:
    """Zeros as a ``field`` of a struct, or ``behind`` the end of a variable."""

    def make(folder: Path) -> Path:
        from scipy.io import savemat

        path = folder / "bomb.mat"
        savemat(path, {"I": np.ones((8, 8))}, do_compression=False)
        content = path.read_bytes()
        head, matrix = content[:128], content[128:]
        pack = zlib.compressobj(9)
        if place == "behind":
            start = pack.compress(matrix) + pack.flush(zlib.Z_FULL_FLUSH)
        else:
            start = pack.compress(_struct_start()) + pack.flush(zlib.Z_FULL_FLUSH)
        stream = start + deflated_zeros(kind="raw")
        path.write_bytes(head + struct.pack("<II", 15, len(stream)) + stream)
        return path

    return make


def _struct_start() -> bytes:
    """Of a MAT-file: a struct ``S`` with one field of INSIDE bytes of uint8."""

    def part(type_: int, content: bytes) -> bytes:
        padded = content + bytes(-len(content) % 8)
        return struct.pack("<II", type_, len(content)) + padded

    rows = 1024
    field = (
        part(6, struct.pack("<II", 9, 0))  # flags: uint8
        + part(5, struct.pack("<ii", rows, INSIDE // rows))
        + part(1, b"")
        + struct.pack("<II", 2, INSIDE)
    )
    field = struct.pack("<II", 14, len(field) + INSIDE) + field
    record = (
        part(6, struct.pack("<II", 2, 0))  # flags: struct
        + part(5, struct.pack("<ii", 1, 1))
        + part(1, b"S")
        + struct.pack("<HHi", 5, 4, 32)  # length of a name, small element
        + part(1, b"rf".ljust(32, b"\0"))
    )
    return struct.pack("<II", 14, len(record) + len(field) + INSIDE) + record + field
