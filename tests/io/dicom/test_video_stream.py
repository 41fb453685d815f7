"""Clips that are one MPEG stream in a DICOM file, and folders of DICOM files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from example_pictures import GREY, dicom_folder, dicom_stream, encode
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from ultrasound_dicom import save, speckle

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("imageio_ffmpeg")

COUNT = 40
LEVELS = np.arange(COUNT, dtype=np.uint8) * 5 + 30
CLIP = np.broadcast_to(LEVELS[:, None, None], (COUNT, 24, 64)).astype(np.uint8)
CODECS = {
    "H.264 in MP4": (
        ".mp4",
        "1.2.840.10008.1.2.4.102",
        ("-c:v", "libx264", "-bf", "2"),
    ),
    "H.264 in TS": (".ts", "1.2.840.10008.1.2.4.102", ("-c:v", "libx264", "-g", "9")),
    "MPEG-2 in TS": (
        ".ts",
        "1.2.840.10008.1.2.4.100",
        (
            "-c:v",
            "mpeg2video",
        ),
    ),
    "MPEG-2 in PS": (
        ".mpg",
        "1.2.840.10008.1.2.4.100",
        (
            "-c:v",
            "mpeg2video",
        ),
    ),
    "HEVC in MP4": (
        ".mp4",
        "1.2.840.10008.1.2.4.107",
        ("-c:v", "libx265"),
    ),
}


def stream(folder: Path, kind: str, pieces: int = 1) -> Path:
    from pydicom.encaps import encapsulate

    suffix, syntax, codec = CODECS[kind]
    clip = encode(folder / f"clip{suffix}", CLIP, *codec, "-pix_fmt", "yuv420p")
    path = dicom_stream(folder, clip.read_bytes())
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID, data.NumberOfFrames = syntax, COUNT
    data.PixelData = encapsulate([clip.read_bytes()], fragments_per_frame=pieces)
    data.save_as(path)
    return path


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("kind", CODECS)
def test_frames_of_a_stream_are_those_asked_for(tmp_path, kind, pieces) -> None:
    path = stream(tmp_path, kind, pieces)

    (image,) = usf.read(path)

    assert image.data.shape == CLIP.shape
    assert image.grid.spacing_mm == pytest.approx((0.1, 0.2))
    assert image.frame_interval_s == pytest.approx(0.04)
    for index in (0, 1, 17, COUNT - 1):
        level = float(np.asarray(image.data[index]).mean())
        assert level == pytest.approx(float(LEVELS[index]), abs=2.4)


def test_a_stream_of_another_length_or_size_is_noted_or_refused(tmp_path) -> None:
    path = dicom_stream(tmp_path)
    data = pydicom.dcmread(path)
    data.NumberOfFrames = 9
    data.save_as(path)
    (image,) = usf.read(path)
    assert image.data.shape == (3, 24, 64)
    assert "3 frames; 9 are stated" in " ".join(image.metadata["notes"])

    data.Rows = 48
    data.save_as(path)
    with pytest.raises(FileFormatError, match="declares 48 x 64"):
        usf.read(path)


@pytest.mark.parametrize("content", [b"\0" * 400, b"no video at all" * 40])
def test_a_stream_of_no_video_is_refused(tmp_path, content) -> None:
    with pytest.raises(FileFormatError, match="video"):
        usf.read(dicom_stream(tmp_path, content))


def test_a_folder_is_one_list_in_the_order_of_its_names(tmp_path) -> None:
    folder = dicom_folder(tmp_path)
    save(folder / "IM_10", GREY[:1])
    (folder / "deeper").mkdir()
    save(folder / "deeper" / "a.dcm", speckle((24, 32)))
    (folder / "notes.txt").write_text("no image")
    (folder / "IM_3").write_bytes((folder / "IM_2").read_bytes()[:-500])
    (folder / "IM_4").symlink_to(folder / "IM_2")

    images = usf.read(folder)

    assert io.detect(folder) == "dicom-folder"
    names = [image.metadata["name"] for image in images]
    assert names == ["IM_1", "IM_2", "IM_10", str(Path("deeper", "a.dcm"))]
    np.testing.assert_array_equal(np.asarray(images[1].data), GREY[:2])
    summary = io.describe(folder)
    assert (summary["images"], summary["names"]) == (4, names)
    assert list(summary["skipped"]) == ["IM_3"]


def test_a_folder_without_ultrasound_is_not_ours(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("text")
    assert io.detect(tmp_path) is None
    with pytest.raises(FileFormatError, match="is a folder"):
        usf.read(tmp_path)
