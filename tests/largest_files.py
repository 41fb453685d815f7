"""Of formats that need no bomb: the largest file, or weights, that is let through."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

import example_pictures
from example_files import HDF5, clarius
from example_mri import checkpoint, prior

Maker = Callable[[Path], Path]

FRAMES, SIDE = 64, 2048
BLACK = bytes(FRAMES * SIDE**2)
DECLARED_BYTES = 4 * FRAMES * SIDE**2


def npy(folder: Path) -> Path:
    stack = np.lib.format.open_memmap(
        folder / "a.npy", "w+", np.float64, (FRAMES, SIDE, SIDE)
    )
    stack.flush()
    return folder / "a.npy"


def tiff(folder: Path) -> Path:
    import tifffile

    with tifffile.TiffWriter(folder / "a.tif") as file:
        for _ in range(FRAMES):
            frame = np.zeros((SIDE, SIDE), np.uint16)
            file.write(frame, compression="deflate", contiguous=False)
    return folder / "a.tif"


def png(folder: Path) -> Path:
    """In colours, of as many pixels as are read."""
    from PIL import Image

    picture = np.zeros((2**12, 2**13, 3), np.uint8)
    picture[0, 0] = 255, 0, 0
    Image.fromarray(picture).save(folder / "a.png")
    return folder / "a.png"


def mp4(folder: Path, suffix: str = ".mp4") -> Path:
    """Black pictures of 4096 x 2176, in H.264 that refers to 16 others."""
    import subprocess

    from imageio_ffmpeg import get_ffmpeg_exe

    source = ["-f", "lavfi", "-i", "color=black:s=4096x2176:r=10:d=4"]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "ref=16"]
    path = folder / f"a{suffix}"
    subprocess.run(
        [get_ffmpeg_exe(), "-v", "error", *source, *codec, str(path)], check=True
    )
    return path


def mkv(folder: Path) -> Path:
    return mp4(folder, ".mkv")


def dicom_stream(folder: Path) -> Path:
    """The same clip in a DICOM file."""
    from pydicom import dcmread

    clip = mp4(folder)
    path = example_pictures.dicom_stream(folder, clip.read_bytes())
    data = dcmread(path)
    data.NumberOfFrames, data.Rows, data.Columns = 40, 2176, 4096
    del data.SequenceOfUltrasoundRegions
    data.save_as(path)
    clip.unlink()
    return path


def dicom(folder: Path) -> Path:
    """One frame of 2 ** 27 bytes."""
    from ultrasound_dicom import save

    return save(folder / "a.dcm", np.zeros((2**13, 2**14), np.uint8))


def metaimage(folder: Path) -> Path:
    path, packed = folder / "a.mha", zlib.compress(BLACK, 1)
    header = example_pictures.mha_header(
        CompressedData=True,
        CompressedDataSize=len(packed),
        DimSize=f"{SIDE} {SIDE} {FRAMES}",
    )
    path.write_bytes(header + packed)
    return path


def nrrd(folder: Path) -> Path:
    path = folder / "a.nrrd"
    header = example_pictures.nrrd_header(
        encoding="gzip", sizes=f"{SIDE} {SIDE} {FRAMES}"
    )
    path.write_bytes(header + gzip.compress(BLACK, 1))
    return path


def nifti(folder: Path) -> Path:
    import nibabel

    image = nibabel.Nifti1Image(
        np.zeros((SIDE, SIDE, FRAMES), np.uint8), np.diag([0.3, 0.2, 1, 1])
    )
    nibabel.save(image, folder / "a.nii.gz")
    return folder / "a.nii.gz"


def npz(folder: Path) -> Path:
    stack = np.zeros((FRAMES, SIDE, SIDE), np.uint8)
    np.savez_compressed(folder / "a.npz", stack=stack)
    return folder / "a.npz"


def jpeg(folder: Path) -> Path:
    """Of as many pixels as are read."""
    from PIL import Image

    Image.fromarray(np.zeros((2**13, 2**13), np.uint8)).save(folder / "a.jpg")
    return folder / "a.jpg"


def gif(folder: Path) -> Path:
    """Of as many pixels as are read."""
    from PIL import Image

    Image.fromarray(np.zeros((2**12, 2**12), np.uint8)).save(folder / "a.gif")
    return folder / "a.gif"


def picmus_complex(folder: Path) -> Path:
    """Real and imaginary parts of 2 ** 26 pixels."""
    import h5py

    path = HDF5["picmus-image"](folder)
    with h5py.File(path, "r+") as file:
        (group,) = file["US"].values()
        for name, size in (("z_axis", 2**13), ("x_axis", 2**13)):
            del group[f"scan/{name}"]
            group[f"scan/{name}"] = np.float32(1e-4) * np.arange(size, dtype="f4")
        del group["number_plane_waves"]
        group["number_plane_waves"] = np.ones((1, 1), np.float32)
        for part in ("real", "imag"):
            if part in group["data"]:
                del group[f"data/{part}"]
            group.create_dataset(
                f"data/{part}",
                (2**13, 2**13),
                "f4",
                chunks=(256, 2**13),
                fillvalue=1.0,
            )
    return path


def clarius_parameters(folder: Path) -> Path:
    """A hundred thousand lines that are listed and not there."""
    path = clarius(folder)
    with path.with_suffix(".yml").open("a") as file:
        file.write("rx element: 1, angle: 0\n" * 100_000)
    return path


def absurd_prior(folder: Path) -> Path:
    """A header that declares 10 GB of weights."""
    import json

    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from napari_usflow.prior.store import FORMAT

    path = prior(folder)
    with safe_open(path, framework="numpy") as file:
        note = json.loads(file.metadata()["usflow"])
    note["architecture"] |= {"steps": [4096] * 3, "hidden": [4096] * 3}
    metadata = {"format": FORMAT, "usflow": json.dumps(note)}
    save_file(load_file(path), path, metadata)
    return path


def repeated_checkpoint(folder: Path) -> Path:
    """Weights of four bytes, which are repeated to 4 TB."""
    import torch

    path = checkpoint(folder)
    state = torch.load(path, weights_only=True)
    state["average"] = {"a": torch.zeros(1).expand(10**6, 10**6)}
    torch.save(state, path)
    return path


LARGEST: dict[str, tuple[Maker, int]] = {
    "npy float64": (npy, DECLARED_BYTES),
    "tiff stack": (tiff, DECLARED_BYTES),
    "png colours": (png, 4 * 2**25),
    "mp4 h264": (mp4, 40 * 4096 * 2176),
    "mkv h264": (mkv, 40 * 4096 * 2176),
    "dicom-stream h264": (dicom_stream, 40 * 4096 * 2176),
    "dicom one-frame": (dicom, 4 * 2**27),
    "metaimage zlib": (metaimage, DECLARED_BYTES),
    "nrrd gzip": (nrrd, DECLARED_BYTES),
    "nifti-picture gzip": (nifti, DECLARED_BYTES),
    "npz deflate": (npz, DECLARED_BYTES),
    "jpeg grey": (jpeg, 4 * 2**26),
    "gif grey": (gif, 4 * 2**24),
    "picmus-image complex": (picmus_complex, 4 * 2**26),
    "clarius lines": (clarius_parameters, 0),
    "prior architecture": (absurd_prior, 0),
    "checkpoint repeated": (repeated_checkpoint, 0),
}
"""Makers, and the bytes of what they declare: pixels as float32."""
