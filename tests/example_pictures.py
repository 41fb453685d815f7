"""Small good files of the formats of pictures, clips and volumes."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

RNG = np.random.default_rng(12)
GREY = RNG.integers(0, 256, (3, 24, 32), dtype=np.uint8)
"""Frames, rows, columns."""

Maker = Callable[[Path], Path]


def mha_header(**changes: object) -> bytes:
    """The header of :data:`GREY` with its data behind it; None leaves a field out."""
    fields = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": False,
        "DimSize": "32 24 3",
        "ElementSpacing": "0.3 0.2 1",
        "ElementType": "MET_UCHAR",
        **changes,
    }
    data_file = fields.pop("ElementDataFile", "LOCAL")
    lines = [f"{name} = {value}" for name, value in fields.items() if value is not None]
    return "\n".join([*lines, f"ElementDataFile = {data_file}", ""]).encode()


def seq_fields(frames: int = 3) -> dict[str, str]:
    """Fields of each frame, as the PLUS toolkit writes them."""
    fields = {}
    for frame in range(frames):
        matrix = np.eye(4)
        matrix[:3, 3] = frame, 2, 3
        numbers = " ".join(f"{value:g}" for value in matrix.ravel())
        name = f"Seq_Frame{frame:04d}_"
        fields |= {
            f"{name}ProbeToTrackerTransform": numbers,
            f"{name}ProbeToTrackerTransformStatus": "OK" if frame != 1 else "INVALID",
            f"{name}Timestamp": f"{10 + 0.04 * frame:.4f}",
            f"{name}ImageStatus": "OK",
        }
    return fields


def metaimage(folder: Path) -> Path:
    path = folder / "example.igs.mha"
    header = mha_header(UltrasoundImageOrientation="MFA", **seq_fields())
    path.write_bytes(header + GREY.tobytes())
    return path


def metaimage_packed(folder: Path) -> Path:
    import zlib

    path, packed = folder / "packed.mha", zlib.compress(GREY.tobytes())
    header = mha_header(CompressedData=True, CompressedDataSize=len(packed))
    path.write_bytes(header + packed)
    return path


def metaimage_header(folder: Path) -> Path:
    (folder / "apart.raw").write_bytes(GREY.tobytes())
    path = folder / "apart.mhd"
    path.write_bytes(mha_header(ElementDataFile="apart.raw"))
    return path


def nrrd_header(**changes: object) -> bytes:
    """The header of :data:`GREY`, a field a keyword with _ for a space."""
    fields = {
        "type": "uint8",
        "dimension": 3,
        "sizes": "32 24 3",
        "kinds": "domain domain list",
        "spacings": "0.3 0.2 nan",
        "encoding": "raw",
        **changes,
    }
    lines = [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in fields.items()
        if value is not None
    ]
    return "\n".join(["NRRD0005", "# an example", *lines, "", ""]).encode()


def nrrd(folder: Path) -> Path:
    path = folder / "example.nrrd"
    path.write_bytes(nrrd_header(encoding="gzip") + gzip.compress(GREY.tobytes()))
    return path


def nrrd_detached(folder: Path) -> Path:
    (folder / "apart.dat").write_bytes(GREY.tobytes())
    path = folder / "apart.nhdr"
    path.write_bytes(nrrd_header(data_file="apart.dat"))
    return path


def nifti(folder: Path) -> Path:
    import nibabel

    path = folder / "apical.nii"
    image = nibabel.Nifti1Image(GREY[0].T[..., None], np.diag([0.3, 0.2, 1, 1]))
    nibabel.save(image, path)
    return path


def nifti_packed(folder: Path) -> Path:
    import nibabel

    path = folder / "half_sequence.nii.gz"
    image = nibabel.Nifti1Image(GREY.T, np.diag([0.3, 0.2, 1, 1]))
    nibabel.save(image, path)
    return path


def jpeg(folder: Path) -> Path:
    from PIL import Image

    Image.fromarray(GREY[0]).save(folder / "still.jpg")
    return folder / "still.jpg"


def gif(folder: Path) -> Path:
    from PIL import Image

    first, *others = (Image.fromarray(frame) for frame in GREY)
    path = folder / "clip.gif"
    first.save(path, save_all=True, append_images=others, duration=40)
    return path


def npz(folder: Path) -> Path:
    path = folder / "arrays.npz"
    z_m, x_m = np.arange(24) * 2e-4, np.arange(32) * 3e-4
    np.savez_compressed(path, picture=GREY, z=z_m, x=x_m)
    return path


def aaa(folder: Path) -> Path:
    """Three frames of 32 lines with 24 pixels each, and their text file."""
    (folder / "tongueUS.txt").write_text(
        "NumVectors=32\nPixPerVector=24\nZeroOffset=32\nBitsPerPixel=8\n"
        "Angle=0,025\nKind=0\nPixelsPerMm=4\nFramesPerSec=80\n"
        "TimeInSecsOfFirstFrame=0.5\n",
        "utf-8",
    )
    path = folder / "tongue.ult"
    path.write_bytes(GREY.swapaxes(1, 2).tobytes())
    return path


def encode(path: Path, frames: np.ndarray, *how: str) -> Path:
    """Encode frames (T, Z, X) of grey, 25 a second."""
    import imageio_ffmpeg

    rows, columns = frames.shape[1:]
    given = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{columns}x{rows}"]
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *given]
    subprocess.run(
        [*program, "-r", "25", "-i", "-", "-threads", "1", *how, str(path)],
        input=frames.tobytes(),
        check=True,
    )
    return path


def _clip(suffix: str, *how: str) -> Maker:
    def make(folder: Path) -> Path:
        return encode(folder / f"clip{suffix}", np.repeat(GREY, 2, axis=2), *how)

    return make


def dicom_stream(folder: Path, stream: bytes | None = None) -> Path:
    """A clip as one MPEG-4 stream, of the size of :func:`_clip`."""
    from pydicom import dcmread
    from pydicom.encaps import encapsulate

    from ultrasound_dicom import region, save

    if stream is None:
        clip = _clip(".mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")(folder)
        stream = clip.read_bytes()
        clip.unlink()
    path = save(
        folder / "stream.dcm",
        np.zeros((1, 24, 64, 3), np.uint8),
        [region((0, 0, 63, 23))],
    )
    data = dcmread(path)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    data.NumberOfFrames, data.PhotometricInterpretation = 3, "YBR_PARTIAL_420"
    data.PixelData = encapsulate([stream])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path)
    return path


def dicom_folder(folder: Path) -> Path:
    from ultrasound_dicom import region, save

    (folder / "export").mkdir()
    for number in (1, 2):
        path = folder / "export" / f"IM_{number}"
        save(path, GREY[:number], [region((0, 0, 31, 23))])
    return folder / "export"


def hdf5_arrays(folder: Path) -> Path:
    import h5py

    path = folder / "own.h5"
    with h5py.File(path, "w") as file:
        file["study/bmode"] = GREY
        file["study/z"] = np.arange(24) * 2e-4
    return path


PICTURES: dict[str, Maker] = {
    "metaimage": metaimage,
    "metaimage-packed": metaimage_packed,
    "metaimage-header": metaimage_header,
    "nrrd": nrrd,
    "nrrd-header": nrrd_detached,
    "nifti-picture": nifti,
    "nifti-sequence": nifti_packed,
    "jpeg": jpeg,
    "gif": gif,
    "npz": npz,
    "aaa-ult": aaa,
    "mkv": _clip(".mkv", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
    "webm": _clip(".webm", "-c:v", "libvpx"),
    "wmv": _clip(".wmv", "-c:v", "wmv2"),
    "dicom-stream": dicom_stream,
    "hdf5-arrays": hdf5_arrays,
}
"""Makers of files, all but the last of which are not HDF5."""

FOLDERS: dict[str, Maker] = {"dicom-folder": dicom_folder}
"""Makers of folders that are read as one."""

NEEDS = {
    **dict.fromkeys(("nifti-picture", "nifti-sequence"), "nibabel"),
    **dict.fromkeys(("mkv", "webm", "wmv"), "imageio_ffmpeg"),
    "dicom-stream": "imageio_ffmpeg",
}
"""Packages that making and reading some of them needs."""
