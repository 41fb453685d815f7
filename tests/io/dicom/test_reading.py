"""DICOM ultrasound: grey, colours, clips, and what is refused."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.errors import FileFormatError, UsflowError
from napari_usflow.io.dicom.pixels import Frames

pytest.importorskip("pydicom")
from pydicom.uid import CTImageStorage, EnhancedUSVolumeStorage

from ultrasound_dicom import region, save, speckle

BOX = (8, 4, 55, 43)  # x0, y0, x1, y1


def colour_flow(shape=(48, 64)) -> np.ndarray:
    """Make tissue in grey with a red vessel, as of a duplex scan."""
    frame = np.repeat(speckle(shape)[..., None], 3, axis=-1)
    frame[20:30, 10:40] = (220, 40, 10)
    return frame


def test_a_still_is_cropped_to_its_region(tmp_path: Path) -> None:
    pixels = speckle((48, 64))
    path = save(tmp_path / "a.dcm", pixels, [region(BOX, (0.02, 0.01))])

    (image,) = usf.read(path)

    np.testing.assert_array_equal(image.data[0], pixels[4:44, 8:56])
    assert image.values == "display"
    assert image.spacing_mm == pytest.approx((0.1, 0.2))
    assert isinstance(image.data, np.ndarray)


def test_monochrome1_is_turned_round(tmp_path: Path) -> None:
    pixels = speckle((8, 9))
    path = save(tmp_path / "a.dcm", pixels, PhotometricInterpretation="MONOCHROME1")

    (image,) = io.read(path)

    np.testing.assert_array_equal(image.data[0], 255 - pixels.astype(np.float32))


def test_twelve_bits_say_what_is_white(tmp_path: Path) -> None:
    pixels = np.linspace(0, 4095, 72).reshape(8, 9).astype(np.uint16)
    path = save(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=11)

    (image,) = io.read(path)

    np.testing.assert_array_equal(image.data[0], pixels)
    assert image.metadata["value_range"] == (0.0, 4095.0)


def test_grey_in_rgb_is_the_grey(tmp_path: Path) -> None:
    grey = speckle((48, 64))
    path = save(tmp_path / "a.dcm", np.repeat(grey[..., None], 3, axis=-1))

    (image,) = io.read(path)

    np.testing.assert_array_equal(image.data[0], grey)
    assert "not_for_denoising" not in image.metadata


@pytest.mark.parametrize("shift", [0, 8], ids=["low byte", "high byte"])
def test_a_palette_is_applied_and_its_index_is_no_grey(tmp_path, shift) -> None:
    """Index i is shown as 255 - i, with a little blue."""
    index = speckle((48, 64))
    shown = 255 - np.arange(256, dtype=np.uint16)
    tables = {"Red": shown, "Green": shown, "Blue": np.minimum(shown + 20, 255)}
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in tables.items():
        stored = (table << shift).astype("<u2").tobytes()
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = stored
    path = save(tmp_path / "a.dcm", index, **tags)

    (image,) = io.read(path)

    red = 255.0 - index
    blue = np.minimum(red + 20, 255)
    np.testing.assert_allclose(image.data[0], 0.886 * red + 0.114 * blue, atol=0.51)
    assert "not_for_denoising" not in image.metadata


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("first", [-128, 0], ids=["from below", "from zero"])
def test_a_palette_of_signed_pixels_is_applied(tmp_path, bits: int, first: int) -> None:
    """Value v is shown as the grey v - first, where the palette has it."""
    values = np.arange(-60, 60, dtype=f"<i{bits // 8}").reshape(10, 12)
    tags = {"PhotometricInterpretation": "PALETTE COLOR", "PixelRepresentation": 1}
    for name in ("Red", "Green", "Blue"):
        # The first value is signed where pixels are (PS3.3, C.7.6.3.1.5).
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, first, 8]
        tags[f"{name}PaletteColorLookupTableData"] = np.arange(
            256, dtype=np.uint8
        ).tobytes()
    path = save(tmp_path / "a.dcm", values, **tags)

    (image,) = io.read(path)

    expected = np.clip(values.astype(int) - first, 0, 255)
    np.testing.assert_array_equal(image.data[0], expected)


def test_a_segmented_palette_that_unpacks_without_end_is_refused(tmp_path) -> None:
    """A linear segment of 65,535 entries in three words, ten thousand times."""
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    segments = np.tile(np.array([1, 65535, 7], "<u2"), 10_000)
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"Segmented{name}PaletteColorLookupTableData"] = segments.tobytes()
    path = save(tmp_path / "a.dcm", speckle((16, 16)), **tags)

    with pytest.raises(FileFormatError, match="a palette of more than 65536 colours"):
        io.read(path)


def test_planes_of_colour_one_after_the_other(tmp_path: Path) -> None:
    frame = colour_flow()
    planes = np.ascontiguousarray(frame.transpose(2, 0, 1))
    path = save(
        tmp_path / "a.dcm", frame, PlanarConfiguration=1, PixelData=planes.tobytes()
    )

    (colours,) = io.open_file(path).colours

    np.testing.assert_array_equal(np.asarray(colours[0]), frame)


def test_ybr_gives_its_luma(tmp_path: Path) -> None:
    grey = speckle((48, 64))
    ybr = np.full((48, 64, 3), 128, np.uint8)
    ybr[..., 0] = grey
    path = save(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL")

    (image,) = io.read(path)

    np.testing.assert_allclose(image.data[0], grey, atol=1)


def test_rle_frames_are_unpacked(tmp_path: Path) -> None:
    import pydicom
    from pydicom.uid import RLELossless

    clip = speckle((3, 48, 64))
    path = save(tmp_path / "a.dcm", clip, [region(BOX)])
    packed = pydicom.dcmread(path)
    packed.compress(RLELossless)
    packed.save_as(path)

    (image,) = io.read(path)

    np.testing.assert_array_equal(np.asarray(image.data), clip[:, 4:44, 8:56])


def test_colour_flow_is_recognised_and_not_denoised(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dcm", colour_flow(), [region()])

    (image,) = io.read(path)

    assert "colour Doppler" in image.metadata["not_for_denoising"]
    with pytest.raises(ValueError, match=r"a is not denoised: .*colour Doppler"):
        usf.denoise(image, method="tv")


def test_colour_flow_that_begins_later_in_a_clip_is_recognised(tmp_path) -> None:
    clip = np.stack([np.repeat(speckle((48, 64))[..., None], 3, -1)] * 9)
    clip[6:] = colour_flow()
    path = save(tmp_path / "a.dcm", clip, [region()], FrameTime=40)

    (image,) = io.read(path)

    assert image.metadata["not_for_denoising"]


def test_an_outline_unpacks_the_middle_frame_alone(tmp_path, monkeypatch) -> None:
    clip = np.stack([np.repeat(speckle((48, 64))[..., None], 3, -1)] * 9)
    path = save(tmp_path / "a.dcm", clip, [region()], FrameTime=40)
    unpacked = []
    colours = Frames.colours

    def counted(frames: Frames, index: int) -> np.ndarray:
        unpacked.append(index)
        return colours(frames, index)

    monkeypatch.setattr(Frames, "colours", counted)

    found = io.describe(path)

    assert set(unpacked) == {4}
    assert found["shape"] == [9, 48, 64]
    assert "colour Doppler was looked for in one frame" in found["notes"]
    (image,) = io.read(path)
    assert set(unpacked) == {0, 2, 4, 6, 8}
    assert "colour Doppler was looked for in one frame" not in image.metadata["notes"]


def test_a_tinted_map_and_coloured_text_are_no_flow(tmp_path: Path) -> None:
    grey = speckle((96, 128)).astype(float)
    sepia = np.stack([grey, 0.85 * grey, 0.6 * grey], axis=-1).astype(np.uint8)
    sepia[5:7, 10:100:2] = (0, 255, 0)
    path = save(tmp_path / "a.dcm", sepia, [region((0, 0, 127, 95))])

    (image,) = io.read(path)

    assert "not_for_denoising" not in image.metadata


def test_a_clip_is_lazy_by_frame_and_leaves_the_file_closed(tmp_path: Path) -> None:
    clip = speckle((5, 48, 64))
    path = save(tmp_path / "a.dcm", clip, [region(BOX)], FrameTime=33.3)

    (image,) = io.read(path)

    assert image.data.chunks == ((1,) * 5, (40,), (48,))
    assert image.frame_interval_s == pytest.approx(0.0333)
    np.testing.assert_array_equal(np.asarray(image.data[3]), clip[3, 4:44, 8:56])
    moved = path.rename(tmp_path / "b.dcm")
    with pytest.raises(FileFormatError):
        np.asarray(image.data[4])
    assert moved.exists()


def test_a_clip_of_a_thousand_frames_opens_at_once_and_stays_in_its_file(
    tmp_path: Path,
) -> None:
    shape = (1000, 240, 320)
    path = save(tmp_path / "a.dcm", np.zeros(shape, np.uint8), FrameTime=20)
    io.read(path)  # pydicom and dask are loaded

    tracemalloc.start()
    start = time.perf_counter()
    (image,) = io.read(path)
    seconds = time.perf_counter() - start
    np.asarray(image.data[999])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert image.data.shape == shape
    assert seconds < 1
    assert peak < 0.2 * np.prod(shape)


@pytest.mark.parametrize(
    ("tags", "expected_s"),
    [
        ({"FrameTime": 25}, 0.025),
        ({"FrameTimeVector": [0, 20, 20, 20]}, 0.02),
        ({"CineRate": 50}, 0.02),
        ({"RecommendedDisplayFrameRate": 10}, 0.1),
        ({"FrameTime": 0, "CineRate": 25}, 0.04),
        ({}, None),
    ],
)
def test_the_time_between_frames(tmp_path: Path, tags, expected_s) -> None:
    path = save(tmp_path / "a.dcm", speckle((4, 8, 9)), **tags)

    (image,) = io.read(path)

    assert image.frame_interval_s == pytest.approx(expected_s)


def test_uneven_frames_are_noted(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dcm", speckle((4, 8, 9)), FrameTimeVector=[0, 10, 20, 60])

    (image,) = io.read(path)

    assert image.frame_interval_s == pytest.approx(0.03)
    assert any("evenly" in note for note in image.metadata["notes"])


def test_pixel_spacing_is_taken_where_no_region_states_a_size(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dcm", speckle((8, 9)), PixelSpacing=[0.5, 0.25])

    (image,) = io.read(path)

    assert image.spacing_mm == (0.5, 0.25)
    assert image.metadata["pixel_size_known"]


def test_another_modality_is_told_and_not_claimed(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.dcm",
        speckle((8, 9)),
        Modality="CT",
        SOPClassUID=CTImageStorage,
    )

    assert io.detect(path) is None
    with pytest.raises(FileFormatError, match="not of an ultrasound class"):
        usf.read(path)


def test_a_volume_is_refused_by_name(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.dcm",
        speckle((8, 9)),
        SOPClassUID=EnhancedUSVolumeStorage,
    )

    with pytest.raises(FileFormatError, match="ultrasound volume"):
        usf.read(path)


@pytest.mark.parametrize("kept", [0.02, 0.4, 0.7, 0.97])
def test_a_file_cut_short_gives_one_line(tmp_path: Path, kept: float) -> None:
    whole = save(tmp_path / "a.dcm", speckle((4, 48, 64)), [region(BOX)])
    raw = whole.read_bytes()
    path = tmp_path / "b.dcm"
    path.write_bytes(raw[: int(kept * len(raw))])

    with pytest.raises(FileFormatError) as caught:
        usf.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "tags",
    [
        {"Rows": 60000, "Columns": 60000},
        {"NumberOfFrames": 2_000_000_000},
        {"NumberOfFrames": -1},
        {"BitsAllocated": 64},
        {"BitsStored": 60_000},
        {"BitsStored": [8, 8]},
        {"SamplesPerPixel": 7},
        {"PhotometricInterpretation": "CMYK"},
    ],
)
def test_absurd_headers_are_refused(tmp_path: Path, tags) -> None:
    path = save(tmp_path / "a.dcm", speckle((48, 64)), **tags)

    with pytest.raises(FileFormatError):
        usf.read(path)


def test_an_element_of_an_odd_length_gives_one_line(tmp_path: Path) -> None:
    """Rows is a 16-bit number; three bytes are none."""
    path = save(tmp_path / "a.dcm", speckle((48, 64)))
    raw = path.read_bytes()
    rows = b"\x28\x00\x10\x00US\x02\x00\x30\x00"
    assert raw.count(rows) == 1
    path.write_bytes(raw.replace(rows, b"\x28\x00\x10\x00US\x03\x00\x30\x00\x00"))

    with pytest.raises(FileFormatError) as caught:
        usf.read(path)
    assert "\n" not in str(caught.value)


def test_without_pydicom_the_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    path = save(tmp_path / "a.dcm", speckle((8, 9)))
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)

    assert io.detect(path) == "dicom-ultrasound"
    with pytest.raises(UsflowError, match=r"napari-usflow\[dicom\]"):
        usf.read(path)


def test_a_clip_is_described_in_plain_values(tmp_path: Path) -> None:
    import json

    path = save(tmp_path / "a.dcm", speckle((4, 48, 64)), [region(BOX)], FrameTime=25)

    summary = json.loads(json.dumps(io.describe(path)))

    assert summary["shape"] == [4, 40, 48]
    assert summary["pixel_mm"] == pytest.approx([0.1, 0.2])
    assert summary["frame_interval_s"] == 0.025
