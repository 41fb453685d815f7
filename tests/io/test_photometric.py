"""Photometric interpretations, compressions and colours of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import napari_usflow as usf
from napari_usflow import io
from speckle_pictures import GREY, flow_box

RGB = np.stack([GREY] * 3, -1)


def _grey(path: Path) -> np.ndarray:
    (image,) = usf.read(path)
    low, high = image.metadata.get("value_range") or (0, 255)
    return (np.asarray(image.data[0]) - low) * 255 / (high - low)


@pytest.mark.parametrize(
    "pixels",
    [255 - GREY, ~(GREY.view(np.int8) ^ -128), (255 - GREY) / np.float32(255)],
    ids=["uint8", "int8", "float32"],
)
def test_white_is_zero_is_turned_round(tmp_path: Path, pixels: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")

    (image,) = usf.read(tmp_path / "a.tif", values="display")

    data = np.asarray(image.data[0])
    assert np.corrcoef(data.ravel(), GREY.ravel())[0, 1] == pytest.approx(1)
    assert "turned round" in image.metadata["notes"][0]


def test_twelve_bits_that_are_stated_say_what_is_white(tmp_path: Path) -> None:
    twelve = GREY.astype(np.uint16) * 16
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, twelve, extratags=[(281, "H", 1, 4080, True)])
    ome = tmp_path / "a.ome.tif"
    tifffile.imwrite(ome, twelve, ome=True, metadata={"SignificantBits": 12})

    np.testing.assert_allclose(_grey(path), GREY)
    np.testing.assert_allclose(_grey(ome), GREY * (4080 / 4095), rtol=1e-5)


@pytest.mark.parametrize("turn", [False, True])
def test_a_palette_is_applied(tmp_path: Path, turn: bool) -> None:
    ramp = np.arange(256)[:: -1 if turn else 1].astype(np.uint16) * 257
    index = 255 - GREY if turn else GREY
    tifffile.imwrite(
        tmp_path / "a.tif", index, photometric="palette", colormap=np.stack([ramp] * 3)
    )

    np.testing.assert_allclose(_grey(tmp_path / "a.tif"), GREY)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_of_grey_is_grey_however_it_is_stored(tmp_path: Path, planar: str) -> None:
    pixels = RGB if planar == "contig" else np.moveaxis(RGB, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig=planar)

    np.testing.assert_allclose(_grey(tmp_path / "a.tif"), GREY)


def test_cmyk_becomes_grey(tmp_path: Path) -> None:
    ink = np.concatenate([np.zeros_like(RGB), 255 - GREY[..., None]], -1)
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="separated")

    np.testing.assert_allclose(_grey(tmp_path / "a.tif"), GREY)


def test_ycbcr_becomes_grey(tmp_path: Path) -> None:
    grey = np.stack([GREY, np.full_like(GREY, 128), np.full_like(GREY, 128)], -1)
    Image.fromarray(grey, "YCbCr").save(tmp_path / "a.tif")
    Image.fromarray(RGB).save(tmp_path / "b.tif", compression="jpeg", quality=95)

    np.testing.assert_allclose(_grey(tmp_path / "a.tif"), GREY)
    assert np.abs(_grey(tmp_path / "b.tif") - GREY).mean() < 8


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_compressed_tiff_is_read(tmp_path: Path, compression: str) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.tif", compression=compression)

    np.testing.assert_array_equal(_grey(tmp_path / "a.tif"), GREY)


def test_bilevel_and_sixteen_bit_png(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "a.png")
    Image.fromarray(GREY.astype(np.uint16) * 16).save(tmp_path / "b.png")

    assert set(np.unique(_grey(tmp_path / "a.png"))) == {0, 255}
    with pytest.raises(ValueError, match=r"uint16 values from .* to 4080"):
        usf.read(tmp_path / "b.png")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_colour_doppler_in_a_picture_is_not_denoised(tmp_path, suffix) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, flow_box())
    else:
        Image.fromarray(flow_box()).save(path)

    (image,) = usf.read(path)

    assert "colour Doppler" in image.metadata["not_for_denoising"]
    np.testing.assert_array_equal(io.open_file(path).colours[0][0], flow_box())
    with pytest.raises(ValueError, match="colour Doppler"):
        usf.denoise(image, method="tv")
    with pytest.raises(ValueError, match="colour Doppler"):
        usf.denoise(flow_box(), method="tv")
    (grey,) = usf.read(path, as_grey=True)
    assert "not_for_denoising" not in grey.metadata


def test_a_logo_beside_the_tissue_is_no_doppler(tmp_path: Path) -> None:
    screen = np.zeros((160, 200, 3), np.uint8)
    screen[50:146, 60:156] = RGB
    screen[4:34, 4:34] = [255, 140, 0]
    Image.fromarray(screen).save(tmp_path / "a.png")

    (image,) = usf.read(tmp_path / "a.png")

    assert "not_for_denoising" not in image.metadata


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_an_array_are_found_on_any_axis(tmp_path, axis, channels) -> None:
    colours = np.stack([GREY] * channels, -1)
    if axis == 0:  # equal frames are frames; a tint on some of them says colours
        colours = colours.copy()
        colours[:8, :20, 0] = np.maximum(colours[:8, :20, 0], 10) - 10
    array = np.moveaxis(colours, -1, axis)
    np.save(tmp_path / "a.npy", array)

    (image,) = usf.read(tmp_path / "a.npy")
    clean = usf.denoise(array, method="tv", sigma=0.1)

    assert image.data.shape == (1, 96, 96)
    assert clean.shape == array.shape and clean.dtype == array.dtype
    result = np.asarray(usf.denoise(image, method="tv", sigma=0.1).data)[0]
    np.testing.assert_allclose(np.moveaxis(clean, axis, -1)[..., 0], result, atol=1)
