"""What scanners write: other classes, logos, several pictures, reference pixels."""

from __future__ import annotations

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.cli import main
from napari_usflow.io.dicom.regions import find_regions
from speckle_pictures import GREY, flow_box
from ultrasound_dicom import region, save

pytest.importorskip("pydicom")
RGB = np.stack([GREY] * 3, -1)
TISSUE = region((0, 0, 95, 95), (0.03, 0.03))
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize("sop_class", [SECONDARY_CAPTURE, "1.2.3.4"])
@pytest.mark.parametrize("name", ["a.dcm", "IM_0001"])
def test_modality_us_is_read_whatever_the_class(tmp_path, sop_class, name) -> None:
    path = save(tmp_path / name, GREY, SOPClassUID=sop_class, Modality="US")

    assert io.detect(path) == "dicom-ultrasound"
    np.testing.assert_array_equal(usf.read(path)[0].data[0], GREY)


def test_another_modality_in_another_class_is_left_alone(tmp_path) -> None:
    path = save(tmp_path / "a.dcm", GREY, SOPClassUID=SECONDARY_CAPTURE, Modality="CT")

    assert io.detect(path) is None


def test_a_logo_in_stated_tissue_is_no_doppler(tmp_path) -> None:
    rgb = RGB.copy()
    rgb[3:12, 3:12] = [255, 140, 0]
    stated = save(tmp_path / "a.dcm", rgb, [TISSUE])

    (image,) = usf.read(stated)

    assert "not_for_denoising" not in image.metadata


def test_doppler_in_stated_tissue_is_doppler_unless_the_user_says_so(tmp_path) -> None:
    path = save(tmp_path / "a.dcm", flow_box(), [TISSUE])

    assert "not_for_denoising" in usf.read(path)[0].metadata
    assert "not_for_denoising" not in usf.read(path, as_grey=True)[0].metadata


@pytest.mark.parametrize("picture", [None, 2])
def test_one_of_two_pictures_is_taken_and_said(tmp_path, capsys, picture) -> None:
    boxes = [region((0, 0, 95, 95), (0.03,) * 2), region((96, 0, 191, 95), (0.05,) * 2)]
    path = save(tmp_path / "a.dcm", np.hstack([GREY, GREY[:, ::-1]]), boxes)
    chosen = [] if picture is None else ["--picture", str(picture)]

    assert main(["convert", str(path), str(tmp_path / "b.tif"), *chosen]) == 0

    said = capsys.readouterr().err
    assert ("2 pictures in a frame" in said) is (picture is None)
    (image,) = usf.read(tmp_path / "b.tif")
    assert image.spacing_mm == pytest.approx((0.5, 0.5) if picture else (0.3, 0.3))
    assert main(["info", str(path)]) == 0
    assert main(["convert", str(path), str(tmp_path / "c.tif"), "--picture", "3"]) == 2
    assert "there is no --picture 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "depth_mm"),
    [
        ((60, 74), 0.0),  # the region's corner, from the frame
        ((640, 80), -1.8),  # outside of the region unless it is from the frame
        ((64, 0), 0.0),  # from the region, as it should be
        ((64, -20), 6.0),  # the apex above it
        (None, 0.0),
    ],
)
def test_a_reference_pixel_in_the_frame_is_told_from_one_in_the_region(
    reference, depth_mm
) -> None:
    box = (60, 74, 187, 201) if reference != (640, 80) else (500, 74, 780, 201)
    item = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.03,
        "PhysicalDeltaY": 0.03,
        **dict(
            zip(
                (f"RegionLocation{e}" for e in ("MinX0", "MinY0", "MaxX1", "MaxY1")),
                box,
                strict=True,
            )
        ),
    }
    if reference:
        item |= {"ReferencePixelX0": reference[0], "ReferencePixelY0": reference[1]}

    (found,), notes = find_regions([item], 600, 800)

    assert found.origin_mm[0] == pytest.approx(depth_mm)
    in_frame = reference in ((60, 74), (640, 80))
    assert any("corner of the frame" in note for note in notes) is in_frame


def test_shape_of_a_pixel_is_kept_where_its_size_is_not_known(tmp_path) -> None:
    path = save(tmp_path / "a.dcm", GREY, PixelAspectRatio=["4", "3"])

    (image,) = usf.read(path)
    content = io.describe(path)

    assert image.spacing_mm == pytest.approx((4 / 3, 1))
    assert image.metadata["pixel_size_known"] is False
    assert content["pixel_mm"] is None and "depth_range_mm" not in content
    assert any("4 high by 3 wide" in note for note in content["notes"])


@pytest.mark.parametrize(
    ("tags", "shown"),
    [
        ({"BitsStored": 12, "HighBit": 11}, (0, 4095)),
        ({"WindowCenter": 2040.5, "WindowWidth": 4081}, (0, 4080)),
        ({}, None),
    ],
)
def test_twelve_bits_in_sixteen_are_taken_where_they_are_stated(
    tmp_path, tags, shown
) -> None:
    path = save(tmp_path / "a.dcm", GREY.astype(np.uint16) * 16, **tags)

    if shown is None:
        with pytest.raises(ValueError, match="--value-range"):
            usf.read(path)
        (image,) = usf.read(path, value_range=(0, 4080))
        shown = (0, 4080)
    else:
        (image,) = usf.read(path)
    assert image.metadata["value_range"] == pytest.approx(shown)
