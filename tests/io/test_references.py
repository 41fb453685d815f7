"""No reader opens a path that it finds inside a file; links are not followed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_usflow as usf
from example_files import clarius
from napari_usflow import io, mri
from napari_usflow.errors import FileFormatError
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

SECRET = np.full((12, 10), 77, np.uint8)
MULTI = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">
<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8"
 SizeX="10" SizeY="12" SizeC="1" SizeZ="1" SizeT="2">
<TiffData FirstT="0" IFD="0" PlaneCount="1"><UUID FileName="multi.ome.tif">urn:uuid:0
</UUID></TiffData>
<TiffData FirstT="1" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:1</UUID>
</TiffData>{more}</Pixels></Image></OME>"""


def _multi(folder: Path, name: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "multi.ome.tif"
    text = MULTI.format(name=name, more=more).replace("\n</UUID>", "</UUID>")
    tifffile.imwrite(path, SECRET * 0 + 5, description=text, metadata=None)
    return path


@pytest.mark.parametrize("name", ["../secret.tif", "secret.tif", "/etc/hostname"])
def test_an_ome_tiff_takes_no_planes_from_other_files(tmp_path: Path, name) -> None:
    path = _multi(tmp_path / "sub", name)
    for place in (tmp_path / "secret.tif", tmp_path / "sub" / "secret.tif"):
        tifffile.imwrite(place, SECRET)

    for work in (usf.read, io.describe):
        with pytest.raises(FileFormatError, match=r"takes planes from other files"):
            work(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_named_pipe_in_an_ome_tiff_does_not_hang(tmp_path: Path) -> None:
    path = _multi(tmp_path, "pipe.tif")
    os.mkfifo(tmp_path / "pipe.tif")

    done = subprocess.run(
        [sys.executable, "-m", "napari_usflow.cli", "info", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "takes planes from other files" in done.stderr


def test_a_description_in_another_file_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<BinaryOnly MetadataFile="secret.companion.ome" UUID="urn:uuid:1"/></OME>'
    )
    tifffile.imwrite(path, SECRET, description=text, metadata=None)

    with pytest.raises(FileFormatError, match="has its description in another file"):
        usf.read(path)


def test_an_ome_tiff_that_was_renamed_is_read(tmp_path: Path) -> None:
    stack = np.arange(240, dtype=np.uint8).reshape(2, 12, 10)
    text = tifffile.OmeXml()
    text.addimage(np.uint8, stack.shape, (2, 1, 1, 12, 10, 1), axes="TYX")
    described = text.tostring().replace(
        "</TiffData>", '<UUID FileName="before.ome.tif">urn:uuid:9</UUID></TiffData>'
    )
    tifffile.imwrite(
        tmp_path / "after.ome.tif", stack, description=described, metadata=None
    )

    (image,) = usf.read(tmp_path / "after.ome.tif")

    np.testing.assert_array_equal(np.asarray(image.data), stack)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('<TiffData FirstT="0" PlaneCount="2000000000"/>', "for PlaneCount"),
        ('<TiffData FirstT="-5"/>', "for FirstT"),
        (
            '<ModuloAlongZ Type="phase" Start="0" End="1e12" Step="1"/>',
            r"1e\+12 steps of an axis",
        ),
    ],
)
def test_absurd_counts_in_an_ome_description_are_refused(tmp_path, more, said) -> None:
    path = _multi(tmp_path, "multi.ome.tif", more)

    with pytest.raises(FileFormatError, match=said):
        usf.read(path)


def test_the_first_page_alone_is_read_of_a_series_that_lies_beside_it(
    tmp_path: Path, monkeypatch
) -> None:
    opened: list[str] = []
    original = tifffile.TiffFile.__init__

    def seen(self, file, *args, **kwargs):
        opened.append(str(file))
        original(self, file, *args, **kwargs)

    for name in ("a_MMStack_0.ome.tif", "a_MMStack_1.ome.tif"):
        tifffile.imwrite(tmp_path / name, SECRET, metadata=None)
    monkeypatch.setattr(tifffile.TiffFile, "__init__", seen)
    monkeypatch.setattr(
        tifffile.TiffFile,
        "micromanager_metadata",
        {
            "Summary": {"MicroManagerVersion": "1", "Frames": 2, "Prefix": "a"},
            "IndexMap": np.array([[0, 0, 0, 0, 8]]),
            "MajorVersion": 0,
        },
    )

    (image,) = usf.read(tmp_path / "a_MMStack_0.ome.tif")

    assert image.data.shape == (1, 12, 10)
    assert all("MMStack_1" not in name for name in opened)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    pytest.importorskip("zarr")
    from napari_usflow.io.zarr_stack import ZarrStack

    frames = np.full((2, 6, 4), -7, np.float32)
    image = UltrasoundImage(frames, "db", PixelGrid((6, 4), (1, 1), (0, 0)))
    written = ZarrStack(tmp_path / "a.zarr", image, {})
    for index, frame in enumerate(frames):
        written.write(index, frame)
    return tmp_path / "a.zarr"


def _linked(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("place", ["0/c/1/0/0", "0/c/1", "0/c", "0", "0/zarr.json"])
def test_links_inside_a_zarr_stack_are_not_followed(stack: Path, place: str) -> None:
    _linked(stack / place, stack.parent / "elsewhere")

    with pytest.raises(FileFormatError, match="link to another place"):
        np.asarray(usf.read(stack)[0].data[1])


@pytest.mark.parametrize("place", ["zarr.json", "done/zarr.json", "done/c/0"])
def test_no_part_of_a_zarr_stack_may_be_a_link(stack: Path, place: str) -> None:
    _linked(stack / place, stack.parent / "elsewhere")

    with pytest.raises(FileFormatError):
        usf.read(stack)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
@pytest.mark.parametrize("place", ["zarr.json", "done/c/0", "0/c/1/0/0"])
def test_a_named_pipe_in_a_zarr_stack_does_not_hang(stack: Path, place: str) -> None:
    (stack / place).unlink()
    os.mkfifo(stack / place)

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "napari_usflow.cli",
            "convert",
            str(stack),
            str(stack.parent / "out.npy"),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2


@pytest.mark.parametrize(("given", "other"), [("raw", "yml"), ("yml", "raw")])
def test_the_other_file_of_a_clarius_export_is_no_link(tmp_path, given, other) -> None:
    path = clarius(tmp_path)
    _linked(path.with_suffix(f".{other}"), tmp_path / "elsewhere")

    with pytest.raises(FileFormatError, match=rf"clarius\.{other} is a link"):
        usf.read(path.with_suffix(f".{given}"))


def test_a_slice_of_an_mr_series_is_no_link(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    from bombs import magnetic_dicom_file

    folder = tmp_path / "series"
    folder.mkdir()
    path = magnetic_dicom_file(folder)
    (tmp_path / "other").mkdir()
    (folder / "b.dcm").symlink_to(magnetic_dicom_file(tmp_path / "other"))

    with pytest.raises(FileFormatError, match=r"b\.dcm is a link to another place"):
        mri.read_stack(path)


def test_a_description_with_texts_of_its_own_is_not_read(tmp_path: Path) -> None:
    text = (
        '<!DOCTYPE OME [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'
        "<OME><Image><Description>&secret;</Description></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", SECRET, description=text, metadata=None)

    with pytest.raises(FileFormatError, match="declares a document type"):
        usf.read(tmp_path / "a.ome.tif")
