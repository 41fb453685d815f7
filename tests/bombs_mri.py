"""Files of MRI whose pieces unpack to far more than they declare."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np

from bombs import INSIDE, Maker, deflated_zeros, put_bomb


def nifti(place: str) -> Maker:
    """Zeros as an ``extension`` of the header, or ``behind`` the volume."""

    def make(folder: Path) -> Path:
        import nibabel

        path = folder / "bomb.nii"
        data = np.ones((16, 16, 16), np.uint8)
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
        content = bytearray(path.read_bytes())
        path.unlink()
        pack = zlib.compressobj(9, wbits=-15)
        if place == "extension":
            content[348:352] = b"\1\0\0\0"
            # Where the volume begins, and the length and kind of the extension.
            content[108:112] = struct.pack("<f", 352 + INSIDE)
            content[352:] = struct.pack("<ii", INSIDE, 4)
        head = pack.compress(bytes(content)) + pack.flush(zlib.Z_FULL_FLUSH)
        packed = gzip.compress(b"")[:10] + head + deflated_zeros(kind="raw")
        path = folder / "bomb.nii.gz"
        path.write_bytes(packed + bytes(8))
        return path

    return make


def fastmri(name: str) -> Maker:
    """A stack of one slice of 64 x 64."""

    def make(folder: Path) -> Path:
        path = folder / "bomb.h5"
        kinds = {"reconstruction_rss": "f4", "kspace": "c8"}
        with h5py.File(path, "w") as file:
            file.attrs["pixel_size_mm"] = (1.0, 1.0)
            file[name] = np.zeros((1, 512, 512), kinds[name])
        put_bomb(path, name, "gzip")
        return path

    return make
