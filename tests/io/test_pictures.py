"""JPEG and GIF: grey, turned as they say, and bounded."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_usflow as usf
from example_pictures import GREY, gif, jpeg
from napari_usflow import io
from napari_usflow.errors import FileFormatError

SMOOTH = np.add.outer(np.arange(24) * 4, np.arange(32) * 5).astype(np.uint8)


def test_a_grey_jpeg_is_what_pillow_decodes(tmp_path) -> None:
    path = jpeg(tmp_path)

    (image,) = usf.read(path)

    assert io.detect(path) == "jpeg"
    np.testing.assert_array_equal(image.data[0], np.asarray(Image.open(path)))
    assert (image.values, image.metadata["pixel_size_known"]) == ("display", False)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_colours_of_a_jpeg_become_grey(tmp_path, mode) -> None:
    path = tmp_path / "a.jpg"
    picture = Image.fromarray(SMOOTH).convert("RGB").convert(mode)
    picture.save(path, quality=100, subsampling=0)

    (image,) = usf.read(path)

    assert np.abs(np.asarray(image.data[0]) - SMOOTH).max() <= 3
    assert "not_for_denoising" not in image.metadata


@pytest.mark.parametrize(("code", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_jpeg_is_turned_as_its_exif_data_say(tmp_path, code, turns) -> None:
    exif = Image.Exif()
    exif[0x0112] = code
    path = tmp_path / "a.jpg"
    Image.fromarray(SMOOTH).save(path, quality=100, exif=exif)

    (image,) = usf.read(path)

    np.testing.assert_allclose(image.data[0], np.rot90(SMOOTH, turns), atol=2)
    assert any("turned" in n for n in image.metadata["notes"]) == (code != 1)


def test_flow_in_a_jpeg_is_not_for_denoising(tmp_path) -> None:
    colours = np.repeat(np.kron(SMOOTH, np.ones((4, 4), np.uint8))[..., None], 3, -1)
    colours[20:60, 30:80] = (220, 30, 10)
    Image.fromarray(colours).save(tmp_path / "a.jpg", quality=95)

    (image,) = usf.read(tmp_path / "a.jpg")

    assert "colour Doppler" in image.metadata["not_for_denoising"]


def test_a_gif_is_a_stack_of_its_frames(tmp_path) -> None:
    path = gif(tmp_path)

    (image,) = usf.read(path)

    assert io.detect(path) == "gif"
    np.testing.assert_array_equal(image.data, GREY)
    assert image.frame_interval_s == pytest.approx(0.04)


def test_a_frame_of_a_gif_lies_over_the_one_before(tmp_path) -> None:
    """Only what changes is stored, from which Pillow's writer profits."""
    frames = [GREY[0].copy(), GREY[0].copy()]
    frames[1][4:9, 5:8] = 7
    first, second = map(Image.fromarray, frames)
    path = tmp_path / "a.gif"
    first.save(path, save_all=True, append_images=[second], duration=[40, 80])

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data, frames)


def test_a_picture_that_declares_too_much_is_refused(tmp_path) -> None:
    path = jpeg(tmp_path)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 60000, 60000)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="60000 x 60000 pixels"):
        usf.read(path)

    path = gif(tmp_path)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", 60000, 60000)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="3 frames of 60000 x 60000"):
        usf.read(path)


@pytest.mark.parametrize("make", [jpeg, gif])
def test_a_cut_picture_is_refused_or_read_in_part(tmp_path: Path, make) -> None:
    path = make(tmp_path)
    whole = path.read_bytes()
    for size in range(3, len(whole), 97):
        path.write_bytes(whole[:size])
        try:
            usf.read(path)
        except FileFormatError as error:
            assert "\n" not in str(error)
