"""NRRD: axes by their kinds, sequences of Slicer, and what is refused."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from example_pictures import GREY, nrrd, nrrd_detached, nrrd_header
from napari_usflow import io
from napari_usflow.errors import FileFormatError


def write(path: Path, data: bytes = GREY.tobytes(), keys: str = "", **fields) -> Path:
    header = nrrd_header(**fields)
    path.write_bytes(header[:-1] + keys.encode() + b"\n" + data)
    return path


def test_an_example_has_its_frames_and_millimetres(tmp_path) -> None:
    path = nrrd(tmp_path)

    (image,) = usf.read(path)

    assert io.detect(path) == "nrrd"
    np.testing.assert_array_equal(image.data, GREY)
    assert (image.values, image.frame_axis) == ("display", "t")
    assert image.grid.spacing_mm == (0.2, 0.3)


SLICER = {
    "dimension": 4,
    "space": "left-posterior-superior",
    "spacings": None,
    "space_origin": "(1,2,3)",
}


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        (
            {
                **SLICER,
                "sizes": "32 24 1 3",
                "space_directions": "(0.3,0,0) (0,0.2,0) (0,0,1) none",
                "kinds": "domain domain domain list",
                "units": '"" "" "" "s"',
            },
            GREY,
        ),
        (
            {
                **SLICER,
                "sizes": "3 32 24 1",
                "space_directions": "none (0.3,0,0) (0,0.2,0) (0,0,1)",
                "kinds": "list domain domain domain",
                "units": '"s" "" "" ""',
            },
            np.moveaxis(GREY, 0, -1),
        ),
    ],
    ids=["list last", "list first"],
)
def test_sequences_of_slicer_old_and_new(tmp_path, fields, stored) -> None:
    axis = fields["kinds"].split().index("list")
    keys = f"axis {axis} index type:=numeric\naxis {axis} index values:=0 0.05 0.1\n"
    path = write(tmp_path / "a.seq.nrrd", stored.tobytes(), keys, **fields)

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data, GREY)
    assert image.grid.spacing_mm == (0.2, 0.3)
    assert image.frame_interval_s == pytest.approx(0.05)
    assert image.metadata["name"] == "a"
    assert image.metadata["space"]["space"] == "left-posterior-superior"


def test_transforms_of_plus_become_metadata(tmp_path) -> None:
    numbers = "1 0 0 7 0 1 0 8 0 0 1 9 0 0 0 1"
    keys = "".join(
        f"Seq_Frame{n:04d}_ProbeToTrackerTransform:={numbers}\n"
        f"Seq_Frame{n:04d}_Timestamp:={n / 20}\n"
        for n in range(3)
    )
    keys += "ultrasound image orientation:=UN\n"
    path = write(tmp_path / "a.nrrd", GREY[:, ::-1, ::-1].tobytes(), keys)

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data, GREY)
    matrices = np.array(image.metadata["transforms"]["ProbeToTracker"])
    np.testing.assert_array_equal(matrices[2, :3, 3], [7, 8, 9])
    assert image.frame_interval_s == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("raw", bytes),
        ("gz", gzip.compress),
        ("bzip2", bz2.compress),
        ("ascii", lambda b: " ".join(map(str, np.frombuffer(b, ">i2"))).encode()),
    ],
)
def test_every_encoding_of_big_endian_numbers(tmp_path, encoding, pack) -> None:
    numbers = (-GREY.astype(int) // 3).astype(">i2")
    path = write(
        tmp_path / "a.nrrd",
        pack(numbers.tobytes()),
        type="short",
        endian="big",
        encoding=encoding,
    )

    (image,) = usf.read(path)

    np.testing.assert_array_equal(np.asarray(image.data), numbers.astype(np.float32))


@pytest.mark.parametrize(
    ("fields", "spacing"),
    [
        ({"space_units": '"cm" "cm"', "spacings": "0.03 0.02 nan"}, (0.2, 0.3)),
        ({"units": '"um" "um" ""', "spacings": "300 200 nan"}, (0.2, 0.3)),
        ({"spacings": None}, None),
        ({"units": '"px" "px" ""'}, None),
    ],
    ids=["cm", "um", "none", "no length"],
)
def test_spacings_are_in_their_units(tmp_path, fields, spacing) -> None:
    (image,) = usf.read(write(tmp_path / "a.nrrd", **fields))

    assert image.metadata["pixel_size_known"] == (spacing is not None)
    if spacing is not None:
        assert image.grid.spacing_mm == pytest.approx(spacing)


def test_three_domains_are_a_volume(tmp_path) -> None:
    path = write(tmp_path / "a.nrrd", kinds=None, spacings="0.3 0.2 0.5")

    (image,) = usf.read(path)

    assert image.frame_axis == "y"
    assert image.metadata["slice_spacing_mm"] == 0.5


def test_colours_lie_on_the_fastest_axis(tmp_path) -> None:
    colours = np.repeat(GREY[0, ..., None], 3, axis=-1)
    path = write(
        tmp_path / "a.nrrd",
        colours.tobytes(),
        sizes="3 32 24",
        kinds="RGB-color domain domain",
        spacings="nan 0.3 0.2",
    )

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data[0], GREY[0])
    assert image.grid.spacing_mm == (0.2, 0.3)


def test_a_detached_header_reads_the_file_beside_it(tmp_path) -> None:
    (image,) = usf.read(nrrd_detached(tmp_path))
    np.testing.assert_array_equal(image.data, GREY)

    path = tmp_path / "lines.nhdr"
    (tmp_path / "apart.dat").write_bytes(b"a\nb\nxy" + GREY.tobytes())
    for skip in (2, -1):
        fields = {"line_skip": 2, "byte_skip": skip, "data_file": "./apart.dat"}
        path.write_bytes(nrrd_header(**fields))
        np.testing.assert_array_equal(usf.read(path)[0].data, GREY)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"data_file": "../a.dat"}, "same folder"),
        ({"data_file": "LIST"}, "several files"),
        ({"data_file": "a%03d.dat 0 3 1"}, "several files"),
        ({"sizes": "32 24 4"}, "cut short"),
        ({"sizes": "32 24"}, "as many as"),
        ({"sizes": "32 24 x"}, "whole numbers"),
        ({"type": "block"}, "a type of numbers"),
        ({"encoding": "hex"}, "raw, gzip"),
        ({"endian": "middle"}, "little or big"),
        ({"line_skip": 10**9}, "line skip"),
        ({"kinds": "list list domain"}, "a picture, frames or a volume"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, fields, match) -> None:
    path = write(tmp_path / "a.nrrd", **fields)

    with pytest.raises(FileFormatError, match=match) as caught:
        usf.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_files_of_pynrrd_read_as_it_reads_them(tmp_path, encoding, dtype) -> None:
    pynrrd = pytest.importorskip("nrrd")
    numbers = -GREY.astype(np.int16) // 2 if dtype == np.int16 else GREY.astype(dtype)
    header = {
        "encoding": encoding,
        "kinds": ["domain", "domain", "list"],
        "space directions": np.array(
            [[0.3, 0, 0], [0, 0.2, 0], [np.nan, np.nan, np.nan]]
        ),
        "space": "left-posterior-superior",
    }
    path = tmp_path / "a.nrrd"
    pynrrd.write(str(path), numbers.T, header)

    (image,) = usf.read(path)

    read, _ = pynrrd.read(str(path))
    np.testing.assert_array_equal(np.asarray(image.data), read.T.astype(np.float32))
    assert image.grid.spacing_mm == pytest.approx((0.2, 0.3))


def test_a_volume_of_simpleitk_reads_as_it_reads_it(tmp_path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    written = sitk.GetImageFromArray(GREY)
    written.SetSpacing((0.3, 0.2, 0.5))
    sitk.WriteImage(written, str(tmp_path / "a.nrrd"), useCompression=True)

    (image,) = usf.read(tmp_path / "a.nrrd")

    np.testing.assert_array_equal(image.data, GREY)
    assert image.frame_axis == "y"
    assert image.grid.spacing_mm == pytest.approx((0.2, 0.3))
