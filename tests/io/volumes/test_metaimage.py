"""MetaImage: sequences of PLUS and volumes of ITK, upright and in millimetres."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from example_pictures import GREY, metaimage, metaimage_header, mha_header, seq_fields
from napari_usflow import io
from napari_usflow.errors import FileFormatError

FRAME = GREY[0]


def write(path: Path, data: bytes = GREY.tobytes(), **header: object) -> Path:
    path.write_bytes(mha_header(**header) + data)
    return path


def test_a_tracked_sequence_has_its_frames_times_and_transforms(tmp_path) -> None:
    path = metaimage(tmp_path)

    (image,) = usf.read(path)

    assert io.detect(path) == "metaimage"
    np.testing.assert_array_equal(image.data, GREY)
    assert image.values == "display"
    assert image.grid.spacing_mm == (0.2, 0.3)
    assert image.frame_axis == "t"
    assert image.frame_interval_s == pytest.approx(0.04)
    assert image.metadata["name"] == "example"
    assert image.metadata["orientation"] == "MFA"
    matrices = np.array(image.metadata["transforms"]["ProbeToTracker"])
    assert matrices.shape == (3, 4, 4)
    np.testing.assert_array_equal(matrices[:, :3, 3], [[n, 2, 3] for n in range(3)])
    assert image.metadata["transforms_valid"]["ProbeToTracker"] == [True, False, True]
    assert image.metadata["timestamps_s"] == pytest.approx([10, 10.04, 10.08])
    assert io.describe(path)["transforms"] == ["ProbeToTracker"]


STORED = {
    "MF": lambda f: f,
    "UF": lambda f: f[:, ::-1],
    "MN": lambda f: f[::-1],
    "UN": lambda f: f[::-1, ::-1],
    "UFD": lambda f: f[:, ::-1],
    "FM": lambda f: f.T,
    "FU": lambda f: f[:, ::-1].T,
    "NM": lambda f: f[::-1].T,
    "NU": lambda f: f[::-1, ::-1].T,
}


@pytest.mark.parametrize("code", STORED)
def test_a_picture_stands_upright_whatever_its_orientation(tmp_path, code) -> None:
    """+x to the marked side and +y away from the probe, as PLUS keeps pictures."""
    stored = np.stack([STORED[code](frame) for frame in GREY])
    rows, columns = stored.shape[1:]
    # 0.3 mm across and 0.2 mm deep, whichever axis is stored first.
    spacing = "0.2 0.3 1" if code[0] in "FN" else "0.3 0.2 1"
    path = write(
        tmp_path / "a.mha",
        stored.tobytes(),
        DimSize=f"{columns} {rows} 3",
        ElementSpacing=spacing,
        UltrasoundImageOrientation=code,
    )

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data, GREY)
    assert image.grid.spacing_mm == (0.2, 0.3)


def test_an_unknown_orientation_is_noted(tmp_path) -> None:
    path = write(tmp_path / "a.mha", UltrasoundImageOrientation="XX")

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data, GREY)
    assert "'XX'" in " ".join(image.metadata["notes"])


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("MET_UCHAR", "u1"),
        ("MET_SHORT", ">i2"),
        ("MET_USHORT", "<u2"),
        ("MET_LONG", "<i4"),
        ("MET_FLOAT", ">f4"),
        ("MET_DOUBLE", "<f8"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "zlib"])
def test_numbers_are_read_in_every_type_and_order(
    tmp_path, kind, dtype, packed
) -> None:
    numbers = (-GREY[:2].astype(float) / 4).astype(dtype) if "i" in dtype else None
    numbers = GREY[:2].astype(dtype) if numbers is None else numbers
    data = numbers.tobytes()
    path = write(
        tmp_path / "a.mha",
        zlib.compress(data) if packed else data,
        DimSize="32 24 2",
        ElementType=kind,
        BinaryDataByteOrderMSB=dtype.startswith(">"),
        CompressedData=packed,
    )

    # Grey of 16 bits may be an envelope as well.
    (image,) = usf.read(path, values="display" if dtype == "<u2" else None)

    np.testing.assert_array_equal(np.asarray(image.data), numbers.astype(np.float32))


def test_a_third_axis_that_nothing_calls_frames_is_a_volume(tmp_path) -> None:
    path = write(tmp_path / "a.mha", ElementSpacing="0.3 0.2 0.5")

    (image,) = usf.read(path)

    assert image.frame_axis == "y"
    assert image.frame_interval_s is None
    assert image.metadata["slice_spacing_mm"] == 0.5
    np.testing.assert_array_equal(image.data, GREY)


@pytest.mark.parametrize(
    "header",
    [
        {"Kinds": "domain domain list"},
        {"UltrasoundImageOrientation": "MF"},
        seq_fields(),
        {"NDims": 4, "DimSize": "32 24 1 3", "ElementSpacing": "0.3 0.2 1 1"},
    ],
    ids=["kinds", "orientation", "fields", "four axes"],
)
def test_frames_are_told_from_the_planes_of_a_volume(tmp_path, header) -> None:
    (image,) = usf.read(write(tmp_path / "a.mha", **header))

    assert image.frame_axis == "t"
    assert image.data.shape == GREY.shape
    assert image.grid.spacing_mm == (0.2, 0.3)


def test_a_list_of_volumes_gives_an_image_for_each(tmp_path) -> None:
    volumes = np.stack([GREY, 255 - GREY])
    path = write(
        tmp_path / "a.seq.mha",
        volumes.tobytes(),
        NDims=4,
        DimSize="32 24 3 2",
        ElementSpacing="0.3 0.2 0.5 1",
    )

    images = usf.read(path)

    assert [i.metadata["name"] for i in images] == ["a [volume 1]", "a [volume 2]"]
    for image, volume in zip(images, volumes, strict=True):
        np.testing.assert_array_equal(image.data, volume)


def test_pixels_of_one_in_a_tracked_sequence_are_of_unknown_size(tmp_path) -> None:
    fields = {"ElementSpacing": "1 1 1", **seq_fields()}

    (image,) = usf.read(write(tmp_path / "a.mha", **fields))

    assert image.metadata["pixel_size_known"] is False


def test_their_size_is_that_of_the_calibration(tmp_path) -> None:
    """A pixel is as long as the columns of the transform from picture to probe."""
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([0.09, 0.06, 1])
    numbers = " ".join(str(value) for value in matrix.ravel())
    fields = {"ElementSpacing": "1 1 1", "UltrasoundImageOrientation": "MF"}
    path = write(
        tmp_path / "a.mha", **fields, Seq_Frame0000_ImageToProbeTransform=numbers
    )

    (image,) = usf.read(path)

    assert image.grid.spacing_mm == pytest.approx((0.06, 0.09))
    assert "ImageToProbeTransform" in " ".join(image.metadata["notes"])


def test_colours_become_grey_and_flow_is_said(tmp_path) -> None:
    colours = np.repeat(GREY[..., None], 3, axis=-1)
    plain = write(tmp_path / "a.mha", colours.tobytes(), ElementNumberOfChannels=3)
    colours[1, 4:20, 4:20] = (220, 30, 10)
    flow = write(tmp_path / "b.mha", colours.tobytes(), ElementNumberOfChannels=3)

    (grey,), (doppler,) = usf.read(plain), usf.read(flow)

    np.testing.assert_array_equal(grey.data, GREY)
    assert "not_for_denoising" not in grey.metadata
    assert "colour Doppler" in doppler.metadata["not_for_denoising"]
    assert io.open_file(flow).colours[0].shape == (3, 24, 32, 3)


def test_a_header_and_its_data_may_lie_apart(tmp_path) -> None:
    path = metaimage_header(tmp_path)
    (tmp_path / "apart.raw").write_bytes(b"header" + GREY.tobytes())
    path.write_bytes(mha_header(ElementDataFile="apart.raw", HeaderSize=-1))
    (image,) = usf.read(path)
    np.testing.assert_array_equal(image.data, GREY)

    path.write_bytes(mha_header(ElementDataFile="apart.raw", HeaderSize=6))
    np.testing.assert_array_equal(usf.read(path)[0].data, GREY)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../other.raw", "plain file|same folder"),
        ("/etc/passwd", "same folder"),
        ("..\\other.raw", "same folder"),
        ("missing.raw", "needs the data file"),
        ("link.raw", "is a link"),
        ("LIST", "a file of its own"),
        ("slice%03d.raw 1 3 1", "a file of its own"),
    ],
)
def test_no_other_file_is_opened(tmp_path, name, match) -> None:
    (tmp_path / "other.raw").write_bytes(GREY.tobytes())
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.raw").symlink_to(tmp_path / "other.raw")
    path = folder / "a.mhd"
    path.write_bytes(mha_header(ElementDataFile=name))

    with pytest.raises(FileFormatError, match=match):
        usf.read(path)


@pytest.mark.parametrize(
    ("header", "data", "match"),
    [
        ({"DimSize": "32 24 4"}, GREY.tobytes(), "cut short"),
        ({"DimSize": "0 0 3"}, b"", "at least one pixel"),
        ({"DimSize": "32 24"}, GREY.tobytes(), "as many as NDims"),
        ({"DimSize": "99999999 99999999 9"}, GREY.tobytes(), "pixels are read"),
        ({"ElementType": "MET_STRING"}, GREY.tobytes(), "ElementType is"),
        ({"ElementNumberOfChannels": 7}, GREY.tobytes(), "7 numbers a pixel"),
        ({"CompressedData": True}, zlib.compress(b"short"), "compressed|cut short"),
        ({"CompressedData": True}, b"no zlib", "damaged compressed"),
        ({"UltrasoundImageType": "RF_IQ_LINE"}, GREY.tobytes(), "RF_IQ_LINE lines"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, header, data, match) -> None:
    path = write(tmp_path / "a.mha", data, **header)

    with pytest.raises(FileFormatError, match=match) as caught:
        usf.read(path)
    assert "\n" not in str(caught.value)


def test_a_stack_of_zeros_unpacks_to_its_size_and_no_further(tmp_path) -> None:
    bomb = zlib.compress(bytes(2**26))
    path = write(tmp_path / "a.mha", bomb, CompressedData=True)

    (image,) = usf.read(path)

    assert image.data.shape == GREY.shape
    path = write(tmp_path / "b.mha", bomb, CompressedData=True, DimSize="9999 9999 99")
    with pytest.raises(FileFormatError, match="of compressed data"):
        usf.read(path)


def test_rf_lines_are_shown_as_decibels(tmp_path) -> None:
    """Rows along depth (FM): the envelope of a carrier is level."""
    depth = np.arange(128)
    line = np.sin(0.5 * np.pi * depth) * 1000
    lines = np.repeat(line[None], 20, axis=0).astype("<i2")
    path = write(
        tmp_path / "a.mha",
        lines.tobytes(),
        NDims=2,
        DimSize="128 20",
        ElementSpacing="0.05 0.3",
        ElementType="MET_SHORT",
        UltrasoundImageOrientation="FM",
        UltrasoundImageType="RF_REAL",
    )

    (image,) = usf.read(path)

    assert (image.values, image.data.shape) == ("db", (1, 128, 20))
    assert image.grid.spacing_mm == (0.05, 0.3)
    assert np.ptp(np.asarray(image.data)[0, 10:-10]) < 0.5


def test_a_long_stack_is_lazy_and_can_be_sent_away(tmp_path) -> None:
    frames = np.tile(GREY, (8000, 1, 1))
    path = write(
        tmp_path / "a.mha", frames.tobytes(), DimSize="32 24 24000", **seq_fields(1)
    )

    (image,) = usf.read(path)

    assert not isinstance(image.data, np.ndarray)
    again = pickle.loads(pickle.dumps(image))
    np.testing.assert_array_equal(np.asarray(again.data[23999]), GREY[2])


@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_files_of_simpleitk_read_as_it_reads_them(tmp_path, suffix, packed, dtype):
    sitk = pytest.importorskip("SimpleITK")
    numbers = -GREY.astype(np.int16) // 2 if dtype == np.int16 else GREY.astype(dtype)
    written = sitk.GetImageFromArray(numbers)
    written.SetSpacing((0.3, 0.2, 0.5))
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(written, str(path), useCompression=packed)

    (image,) = usf.read(path)

    np.testing.assert_array_equal(
        np.asarray(image.data), sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    )
    assert image.grid.spacing_mm == pytest.approx((0.2, 0.3))
    assert image.metadata["slice_spacing_mm"] == pytest.approx(0.5)
