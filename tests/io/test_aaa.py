"""AAA's tongue ultrasound: lines of bytes, and the text file that explains them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from example_pictures import GREY, aaa
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid


def text(path: Path, **fields: object) -> None:
    lines = [f"{name}={value}" for name, value in fields.items()]
    path.write_text("\n".join(lines), "utf-8")


def test_a_recording_is_a_fan_in_millimetres(tmp_path) -> None:
    path = aaa(tmp_path)

    (image,) = usf.read(path)

    assert io.detect(path) == "aaa-ult"
    np.testing.assert_array_equal(np.asarray(image.data), GREY)
    assert image.frame_interval_s == pytest.approx(1 / 80)
    grid = image.grid
    assert isinstance(grid, PolarGrid)
    # 32 pixels from the apex to the first one, 4 pixels a mm.
    assert grid.radius_mm == (8, 0.25)
    # 32 lines, 0.025 rad apart, about the middle; the first is the left one.
    assert grid.angle_rad == pytest.approx((-15.5 * 0.025, 0.025))
    assert image.metadata["first_frame_s"] == 0.5


@pytest.mark.parametrize("name", ["tongueUS.txt", "tongue.US.txt", "tongue.param"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_text_file_may_have_other_names_and_encodings(tmp_path, name, encoding):
    path = aaa(tmp_path)
    content = (tmp_path / "tongueUS.txt").read_text("utf-8")
    (tmp_path / "tongueUS.txt").unlink()
    (tmp_path / name).write_text(content.replace("\n", "\r\n"), encoding)

    (image,) = usf.read(path)

    assert image.data.shape == (3, 24, 32)


@pytest.mark.parametrize("lines", [8, 24, 64])
def test_other_numbers_of_lines(tmp_path, lines) -> None:
    stored = np.arange(2 * lines * 10, dtype=np.uint32).astype(np.uint8)
    (tmp_path / "a.ult").write_bytes(stored.tobytes())
    fields = {"NumVectors": lines, "PixPerVector": 10, "ZeroOffset": 0}
    text(tmp_path / "aUS.txt", **fields, Angle=0.02, PixelsPerMm="2,5")

    (image,) = usf.read(tmp_path / "a.ult")

    expected = stored.reshape(2, lines, 10).swapaxes(1, 2)
    np.testing.assert_array_equal(np.asarray(image.data), expected)
    assert image.grid.radius_mm == (0, 0.4)


def test_without_the_angle_lines_are_columns_of_unknown_size(tmp_path) -> None:
    path = aaa(tmp_path)
    text(tmp_path / "tongueUS.txt", NumVectors=32, PixPerVector=24)

    (image,) = usf.read(path)

    assert isinstance(image.grid, PixelGrid)
    assert image.metadata["pixel_size_known"] is False
    assert "the fan is not stated" in " ".join(image.metadata["notes"])


def test_what_is_missing_or_does_not_fit_is_said(tmp_path) -> None:
    path = aaa(tmp_path)
    beside = tmp_path / "tongueUS.txt"

    text(beside, NumVectors=31, PixPerVector=24, Angle=math.pi / 90)
    with pytest.raises(FileFormatError, match="no whole number of frames of 31 lines"):
        usf.read(path)
    text(beside, NumVectors=32)
    with pytest.raises(FileFormatError, match="PixPerVector"):
        usf.read(path)
    text(beside, NumVectors=32, PixPerVector=24, BitsPerPixel=16)
    with pytest.raises(FileFormatError, match="16 bits"):
        usf.read(path)
    beside.unlink()
    with pytest.raises(FileFormatError, match=r"needs tongueUS.txt .* beside it"):
        usf.read(path)
    (tmp_path / "far").mkdir()
    text(tmp_path / "far" / "us.txt", NumVectors=32, PixPerVector=24)
    beside.symlink_to(tmp_path / "far" / "us.txt")
    with pytest.raises(FileFormatError, match="is a link"):
        usf.read(path)
