"""PNG and TIFF: which numbers they are, and which pixel size is believed."""

from __future__ import annotations

import math
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import raster
from napari_usflow.io.outputs.usflow_metadata import RANGE_KEY, VALUES_KEY
from napari_usflow.io.outputs.writing import write
from peak_memory import peaks_of

GREY = np.random.default_rng(5).integers(0, 256, (12, 16)).astype(np.uint8)
GREY[0, :2] = 0, 255
STACK = np.random.default_rng(6).integers(0, 256, (5, 12, 16)).astype(np.uint8)


def _png(path: Path, pixels: np.ndarray) -> Path:
    imsave(path, pixels, check_contrast=False)
    return path


def _tiff(path: Path, pixels: np.ndarray, **options) -> Path:
    tifffile.imwrite(path, pixels, **options)
    return path


def test_a_grey_png_is_one_frame_of_display_values(tmp_path: Path) -> None:
    (image,) = io.read(_png(tmp_path / "a.png", GREY))

    assert image.values == "display"
    assert image.data.dtype == np.float32
    np.testing.assert_array_equal(image.data, GREY[None])
    assert "value_range" not in image.metadata


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_saved_as_colour_is_grey_again(tmp_path: Path, channels: int) -> None:
    colour = np.repeat(GREY[..., None], channels, axis=-1)

    (image,) = io.read(_png(tmp_path / "a.png", colour))

    np.testing.assert_array_equal(image.data, GREY[None])
    assert image.metadata["notes"] == []


def test_colours_become_their_luma(tmp_path: Path) -> None:
    colour = np.zeros((12, 16, 3), np.uint8)
    colour[..., 0], colour[..., 1] = 100, 200

    (image,) = io.read(_png(tmp_path / "a.png", colour))

    # Rec. 601: 0.299 * 100 + 0.587 * 200 = 147.3
    assert np.unique(image.data) == [147]
    assert "colours were turned into grey" in image.metadata["notes"][0]


def test_a_picture_does_not_tell_its_pixel_size(tmp_path: Path) -> None:
    for path in (
        _png(tmp_path / "a.png", GREY),
        _tiff(tmp_path / "a.tif", GREY, resolution=(72, 72), resolutionunit="INCH"),
        _tiff(tmp_path / "b.tif", GREY, imagej=True, metadata={"unit": "pixel"}),
    ):
        (image,) = io.read(path)
        assert image.metadata["pixel_size_known"] is False
        assert image.spacing_mm == (1, 1)


@pytest.mark.parametrize(
    ("unit", "size_mm"), [("mm", 1.0), ("micron", 1e-3), ("um", 1e-3), ("cm", 10.0)]
)
def test_imagej_tells_size_and_frame_interval(tmp_path, unit, size_mm) -> None:
    path = _tiff(
        tmp_path / "a.tif",
        STACK,
        imagej=True,
        resolution=(4, 5),  # pixels a unit: x, y
        metadata={"axes": "TYX", "unit": unit, "finterval": 0.05},
    )

    (image,) = io.read(path)

    np.testing.assert_allclose(image.spacing_mm, (size_mm / 5, size_mm / 4), rtol=1e-6)
    assert image.frame_interval_s == pytest.approx(0.05)
    assert image.metadata["pixel_size_known"] is True
    np.testing.assert_array_equal(image.data, STACK)


def test_ome_tells_size_and_frame_interval(tmp_path: Path) -> None:
    metadata = {
        "axes": "TYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "mm",
        "PhysicalSizeY": 50.0,  # micrometres unless stated
        "TimeIncrement": 20,
        "TimeIncrementUnit": "ms",
    }
    path = _tiff(tmp_path / "a.ome.tif", STACK, ome=True, metadata=metadata)

    (image,) = io.read(path)

    np.testing.assert_allclose(image.spacing_mm, (0.05, 0.1))
    assert image.frame_interval_s == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("pixels", "values", "value_range"),
    [
        (GREY.astype(np.float32), "display", None),
        (GREY.astype(np.float32) / 255, "display", (0, 1)),
        (GREY > 100, "display", (0, 1)),
        (-GREY.astype(np.float32) / 4, "db", None),
    ],
)
def test_numbers_are_kept_and_named(tmp_path, pixels, values, value_range) -> None:
    path = _tiff(tmp_path / "a.tif", pixels, photometric="minisblack")

    (image,) = io.read(path)

    assert image.values == values
    assert image.metadata.get("value_range") == value_range
    np.testing.assert_array_equal(image.data[0], pixels.astype(np.float32))


@pytest.mark.parametrize("values", ["db", "envelope", "display"])
def test_a_tiff_may_say_what_its_numbers_are(tmp_path, values) -> None:
    path = _tiff(
        tmp_path / "a.tif",
        GREY.astype(np.float32),
        imagej=True,
        metadata={VALUES_KEY: values},
    )

    (image,) = io.read(path)

    assert image.values == values


@pytest.mark.parametrize(
    ("pixels", "value_range"),
    [
        (GREY.astype(np.uint16) * 100, (0, 25500)),
        (GREY.astype(np.float32) / 300 + 0.05, (0, 1)),
        (GREY, None),
    ],
)
def test_grey_written_by_us_keeps_its_black_and_white(
    tmp_path, pixels, value_range
) -> None:
    (before,) = io.read(_tiff(tmp_path / "a.tif", pixels), value_range=value_range)

    write(tmp_path / "b.tif", before)

    (after,) = io.read(tmp_path / "b.tif")
    assert after.values == "display"
    assert after.metadata.get("value_range") == value_range
    np.testing.assert_array_equal(after.data[0], pixels.astype(np.float32))


@pytest.mark.parametrize("text", ["", "1", "1 x", "9 1", "nan 1", "0 inf", "1 2 3"])
def test_a_range_that_is_none_is_passed_over(tmp_path, text) -> None:
    properties = {VALUES_KEY: "display", RANGE_KEY: text}
    path = _tiff(tmp_path / "a.tif", GREY, imagej=True, metadata=properties)

    assert "value_range" not in io.read(path)[0].metadata


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_numpy_array_is_an_image_or_a_stack(tmp_path, dtype) -> None:
    np.save(tmp_path / "a.npy", STACK.astype(dtype))
    np.save(tmp_path / "b.npy", np.asfortranarray(GREY.astype(dtype)))

    (stack,), (single,) = io.read(tmp_path / "a.npy"), io.read(tmp_path / "b.npy")

    np.testing.assert_array_equal(stack.data, STACK)
    np.testing.assert_array_equal(single.data, GREY[None])
    assert (stack.values, stack.metadata["pixel_size_known"]) == ("display", False)


def test_noise_about_zero_to_one_is_no_decibels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY / 255 - 0.1)

    (image,) = io.read(tmp_path / "a.npy")

    assert (image.values, image.metadata["value_range"]) == ("display", (0, 1))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[{}]], dtype=object), "damaged or unsafe NumPy file"),
        (np.zeros((4, 4), bool), "bool values, which have no speckle"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((0, 4)), r"shape \(0, 4\)"),
        (np.zeros((1, 2, 5, 6)), r"shape \(1, 2, 5, 6\)"),
    ],
)
def test_an_array_that_is_no_image_is_refused(tmp_path, array, said) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)

    with pytest.raises(FileFormatError, match=f"a.npy .*{said}"):
        io.read(tmp_path / "a.npy")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shape", ["(9999999, 99999)", "(9999999999, 9999999999)"])
def test_an_array_that_declares_the_moon_is_refused(tmp_path, shape) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    path = tmp_path / "a.npy"
    path.write_bytes(
        b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + header.encode() + bytes(64)
    )

    with pytest.raises(FileFormatError, match="damaged or unsafe NumPy file"):
        io.read(path)


def test_a_stack_of_pages_is_a_stack_of_frames(tmp_path: Path) -> None:
    path = _tiff(tmp_path / "a.tif", STACK, photometric="minisblack")

    (image,) = io.read(path)

    np.testing.assert_array_equal(image.data, STACK)


def test_what_is_left_unread_is_told(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(GREY)
        tiff.write(GREY[:5])

    (image,) = io.read(tmp_path / "a.tif")

    np.testing.assert_array_equal(image.data, GREY[None])
    assert image.metadata["notes"] == ["only the first of 2 image series was read"]


def test_more_than_one_stack_axis_is_refused(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 12, 16), np.uint8)
    path = _tiff(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "TZYX"})

    with pytest.raises(FileFormatError, match=r"axes TZYX .* one stack of frames"):
        io.read(path)


def test_a_picture_of_nothing_is_refused(tmp_path: Path) -> None:
    path = _tiff(tmp_path / "a.tif", np.full((12, 16), np.nan, np.float32))

    with pytest.raises(FileFormatError, match="192 NaN or infinite pixels of 192"):
        io.read(path)


def _chunk(kind: bytes, content: bytes) -> bytes:
    size, check = len(content), zlib.crc32(kind + content)
    return struct.pack(">I", size) + kind + content + struct.pack(">I", check)


def test_a_png_that_declares_the_moon_is_refused(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header))

    with pytest.raises(FileFormatError, match="declares 60000 x 60000 pixels in 33"):
        io.read(path)


def test_a_tiff_that_declares_the_moon_is_refused(tmp_path: Path) -> None:
    tags = [(256, 4, 100_000), (257, 4, 100_000), (258, 3, 8), (259, 3, 1)]
    tags += [(262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, 100_000), (279, 4, 10**9)]
    entries = b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags)
    path = tmp_path / "a.tif"
    path.write_bytes(
        b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
    )

    with pytest.raises(FileFormatError, match=r"declares shape \(100000, 100000\)"):
        io.read(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_a_file_cut_anywhere_is_refused_or_read(tmp_path: Path, name: str) -> None:
    whole = tmp_path / name
    if name == "a.npy":
        np.save(whole, GREY)
    else:
        (_png if name == "a.png" else _tiff)(whole, GREY)
    content = whole.read_bytes()

    for size in range(8, len(content) - 20, 7):
        whole.write_bytes(content[:size])
        with pytest.raises(FileFormatError, match=rf"{name}"):
            io.read(whole)


def test_angles_or_a_grid_make_no_sense_for_a_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="angles and grid are for raw data"):
        io.read(_png(tmp_path / "a.png", GREY), angles=3)


def test_the_summary_has_no_pixel_size_where_none_is_known(tmp_path: Path) -> None:
    known = io.describe(
        _tiff(
            tmp_path / "a.tif",
            GREY,
            imagej=True,
            resolution=(10, 10),
            metadata={"unit": "mm"},
        )
    )
    unknown = io.describe(_png(tmp_path / "a.png", GREY))

    assert known["pixel_mm"] == pytest.approx([0.1, 0.1])
    assert unknown["pixel_mm"] is None
    assert unknown["shape"] == [1, 12, 16]


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_the_summary_of_a_compressed_picture_unpacks_nothing(
    tmp_path, monkeypatch, ending
) -> None:
    path = tmp_path / f"a.{ending}"
    grey = np.random.default_rng(0).integers(0, 255, (24, 32)).astype(np.uint8)
    if ending == "tif":
        tifffile.imwrite(path, grey, compression="deflate")
    else:
        imsave(path, grey)

    with monkeypatch.context() as patch:
        patch.setattr(raster, "_grey_stack", None)
        content = io.describe(path)

    assert content["shape"] == [1, 24, 32]
    assert content["values"] == "display"
    np.testing.assert_array_equal(io.read(path)[0].data[0], grey)
    opened = io.open_file(path, outline=True).images[0]
    np.testing.assert_array_equal(np.asarray(opened.data[0]), grey)


def test_what_only_the_pixels_could_tell_is_left_open(tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((8, 9), -30, np.float32), compression="deflate")

    assert io.describe(path)["values"] is None
    assert io.read(path)[0].values == "db"


@pytest.mark.parametrize(
    ("name", "dtype", "options"),
    [
        ("pages.tif", np.uint16, {"compression": "deflate"}),
        ("contiguous.tif", ">f4", {}),
        ("imagej.tif", np.uint8, {"imagej": True, "metadata": {"axes": "TYX"}}),
        ("colours.tif", np.uint8, {"photometric": "rgb", "compression": "deflate"}),
        ("a.npy", np.float64, {}),
        ("fortran.npy", np.float32, {}),
    ],
)
def test_frames_are_the_same_one_by_one(tmp_path, name, dtype, options) -> None:
    path, shape = tmp_path / name, (5, 24, 32)
    colours = (3,) if "photometric" in options else ()
    stack = np.random.default_rng(0).integers(1, 250, (*shape, *colours)).astype(dtype)
    if path.suffix == ".npy":
        np.save(path, np.asfortranarray(stack) if "fortran" in name else stack)
    else:
        tifffile.imwrite(path, stack, **options)
    expected = np.rint(stack @ [0.299, 0.587, 0.114]) if colours else stack

    (image,) = io.read(path, values="display")

    np.testing.assert_array_equal(image.data, expected.astype(np.float32))


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_reading_takes_what_is_declared_and_little_more(tmp_path) -> None:
    paths, shape = [tmp_path / "a.tif", tmp_path / "b.tif"], (128, 1024, 1024)
    tifffile.imwrite(paths[0], np.zeros((2, 8, 8), np.uint8), compression="deflate")
    with tifffile.TiffWriter(paths[1]) as file:
        for _ in range(shape[0]):
            file.write(
                np.zeros(shape[1:], np.uint8), compression="deflate", contiguous=False
            )

    (peak,) = peaks_of(paths[1:], warm=paths[:1])

    assert paths[1].stat().st_size < 10**6
    assert peak.grown_bytes < 4 * math.prod(shape) + 200 * 10**6


def test_a_frame_that_is_absurdly_large_is_refused(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2**14, 2**14), np.uint8))

    with pytest.raises(FileFormatError, match="at most 134 MB"):
        io.read(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_a_large_stack_of_64_bits_is_read_by_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    stack = -60 * np.random.default_rng(0).random((3, 40, 30))
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, stack)
    else:
        tifffile.imwrite(path, stack, photometric="minisblack")
    (held,) = io.read(path, values="db")
    monkeypatch.setattr("napari_usflow.io.raster._MOST_HELD_BYTES", 2 * stack[0].nbytes)

    (image,) = io.read(path, values="db")

    assert isinstance(held.data, np.ndarray)
    assert hasattr(image.data, "dask") and image.data.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(image.data), held.data)
    np.testing.assert_allclose(held.data, stack, rtol=1e-6)
