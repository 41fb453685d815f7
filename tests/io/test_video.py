"""Clips in MP4 and AVI: exact frames, lazily, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_usflow import io
from napari_usflow.errors import FileFormatError, UsflowError

ffmpeg = pytest.importorskip("imageio_ffmpeg")

FRAMES, ROWS, COLUMNS, BITS = 120, 48, 64, 7
MPEG4 = ("-c:v", "mpeg4", "-q:v", "2")


def numbered(count: int = FRAMES) -> np.ndarray:
    """Make frames that show their number as bright and dark bars."""
    clip = np.full((count, ROWS, COLUMNS, 3), 120, np.uint8)
    for i in range(count):
        for bit in range(BITS):
            clip[i, :24, bit * 8 : bit * 8 + 8] = 200 if i >> bit & 1 else 40
    return clip


def number_on(frame: np.ndarray) -> int:
    bars = [frame[4:20, bit * 8 + 2 : bit * 8 + 6].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, bar in enumerate(bars) if bar > 120)


def encode(path: Path, clip: np.ndarray, *how: str) -> Path:
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{COLUMNS}x{ROWS}"]
    command = [ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *given, "-r", "25"]
    subprocess.run(
        [*command, "-i", "-", *how, str(path)], input=clip.tobytes(), check=True
    )
    return path


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("delayed.mp4", (*MPEG4, "-bf", "2")),
        ("motion-jpeg.avi", ("-c:v", "mjpeg", "-q:v", "2")),
        ("delayed.avi", (*MPEG4, "-bf", "2")),
        ("plain.avi", ("-c:v", "rawvideo", "-pix_fmt", "bgr24")),
        ("a.mkv", ("-c:v", "libx264", "-bf", "2", "-g", "12")),
        ("a.webm", ("-c:v", "libvpx-vp9", "-b:v", "1M")),
        ("old.webm", ("-c:v", "libvpx", "-b:v", "1M")),
        ("a.wmv", ("-c:v", "wmv2", "-q:v", "2")),
        (
            "uneven.mp4",
            (*MPEG4, "-vf", "setpts='(N+2*max(N-40,0))/25/TB'", "-fps_mode", "vfr"),
        ),
    ],
)
def test_every_frame_is_the_one_that_was_asked_for(tmp_path, name, how) -> None:
    path = encode(tmp_path / name, numbered(), *how)

    (image,) = io.read(path)

    assert image.data.shape == (FRAMES, ROWS, COLUMNS)
    for index in (0, 1, 7, 8, 39, 41, 77, FRAMES - 1):
        assert number_on(np.asarray(image.data[index])) == index


def test_grey_and_time_are_those_of_the_video(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered(10), *MPEG4)

    (image,) = io.read(path)

    frame = np.asarray(image.data[5])
    assert frame[30:].mean() == pytest.approx(120, abs=1.5)
    assert frame[4:20, 2:6].mean() == pytest.approx(200, abs=2)  # bit 0 of five
    assert (image.values, image.frame_interval_s) == ("display", 1 / 25)
    assert image.metadata["pixel_size_known"] is False


def test_uneven_frames_are_noted(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "a.mp4", numbered(10), *MPEG4, "-vf", "setpts='N*N/25/TB'",
        "-fps_mode", "vfr",
    )  # fmt: skip

    (image,) = io.read(path)

    assert any("evenly" in note for note in image.metadata["notes"])
    assert image.frame_interval_s == pytest.approx(81 / 9 / 25)


def test_a_clip_is_lazy_and_a_thousand_frames_open_at_once(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", np.zeros((1000, ROWS, COLUMNS, 3), np.uint8))

    start = time.perf_counter()
    (image,) = io.read(path)
    seconds = time.perf_counter() - start

    assert image.data.chunks == ((1,) * 1000, (ROWS,), (COLUMNS,))
    # A few starts of ffmpeg, on a machine that may have other things to do.
    assert seconds < 3
    path.unlink()
    with pytest.raises(FileFormatError):
        np.asarray(image.data[500])


def test_colour_doppler_is_recognised(tmp_path: Path) -> None:
    clip = numbered(10)
    clip[:, 28:44, 10:50] = (220, 30, 20)
    path = encode(tmp_path / "a.mp4", clip, *MPEG4)

    (image,) = io.read(path)
    (colours,) = io.open_file(path).colours

    assert "colour Doppler" in image.metadata["not_for_denoising"]
    red, green, _ = np.asarray(colours[3])[36, 30].astype(int)
    assert red > 180
    assert green < 80


def test_a_video_goes_through_the_registry(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", numbered(3), *MPEG4)

    assert io.detect(path) == "avi"
    assert io.describe(path)["shape"] == [3, ROWS, COLUMNS]


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_a_damaged_video_gives_one_line(tmp_path: Path, suffix: str) -> None:
    raw = encode(tmp_path / f"a.{suffix}", numbered(30), *MPEG4).read_bytes()
    path = tmp_path / f"b.{suffix}"
    path.write_bytes(raw[:40] + bytes(2000))

    with pytest.raises(FileFormatError) as caught:
        io.read(path)
    assert "\n" not in str(caught.value)


def test_sound_alone_and_other_containers_are_not_claimed(tmp_path: Path) -> None:
    for name, start in (
        ("a.mp4", b"\0\0\0\x18ftypM4A \0\0\0\0"),
        ("b.mp4", b"\0\0\0\x18ftypavif\0\0\0\0"),
        ("c.avi", b"RIFF\0\0\0\0WAVEfmt "),
        ("d.avi", b"not a video"),
    ):
        path = tmp_path / name
        path.write_bytes(start + bytes(64))
        assert io.detect(path) is None


def test_without_the_plugin_the_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    path = encode(tmp_path / "a.mp4", numbered(2), *MPEG4)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)

    with pytest.raises(UsflowError, match=r"napari-usflow\[video\]"):
        io.read(path)
