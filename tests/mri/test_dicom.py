"""MR series in DICOM: order, pixels, several series, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.mri import find_files, open_stack, read_stack

pydicom = pytest.importorskip("pydicom")
from pydicom.data import get_testdata_file  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import (  # noqa: E402
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    generate_uid,
)

SAGITTAL = [0, 1, 0, 0, 0, -1]


def header(**tags) -> Dataset:
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = MRImageStorage
    found.SOPClassUID = MRImageStorage
    found.SOPInstanceUID = generate_uid()
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    found.Modality, found.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "NORM"]
    found.PatientName, found.PatientID = "Doe^Jane", "12345"
    found.PatientBirthDate, found.InstitutionName = "19700101", "Some Hospital"
    found.SeriesDescription = "t2 Jane Doe"
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit, found.PixelRepresentation = 15, 0
    for name, value in tags.items():
        setattr(found, name, value)
    return found


def save(path: Path, pixels: np.ndarray, **tags) -> Path:
    dataset = header(**tags)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


def save_series(folder: Path, slices: np.ndarray, uid: str, prefix="", **tags) -> None:
    """Write slices 2 mm apart along x, named and numbered against their order."""
    folder.mkdir(exist_ok=True)
    for k, image in enumerate(slices):
        save(
            folder / f"{prefix}{len(slices) - k:03d}",
            image,
            SeriesInstanceUID=uid,
            InstanceNumber=len(slices) - k,
            ImagePositionPatient=[-2.0 * k, 10, 20],
            ImageOrientationPatient=SAGITTAL,
            **{"PixelSpacing": [0.7, 0.6], **tags},
        )


@pytest.fixture
def slices() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 4000, (5, 8, 6))


def test_slices_are_in_order_along_their_normal(tmp_path, slices) -> None:
    # The normal of (0,1,0) x (0,0,-1) is -x, so that -2 k along x goes up.
    save_series(tmp_path / "knee", slices, "1.2.3")
    (path,) = find_files([tmp_path / "knee"])
    with open_stack(path) as opened:
        assert (opened.name, opened.shape) == ("knee", (5, 8, 6))
        assert opened.pixel_size_mm == (0.7, 0.6)
        for k in range(5):
            np.testing.assert_array_equal(opened.read(k), slices[k])


def test_numbers_give_the_order_where_there_is_no_position(tmp_path, slices) -> None:
    for k in range(5):
        save(
            tmp_path / f"{9 - k}.dcm",
            slices[k],
            SeriesInstanceUID="1.2",
            InstanceNumber=k,
            PixelSpacing=[1, 1],
        )
    (path,) = find_files([tmp_path])
    with open_stack(path) as opened:
        np.testing.assert_array_equal(opened.read(3), slices[3])


def test_any_file_of_a_series_opens_it(tmp_path, slices) -> None:
    save_series(tmp_path, slices, "1.2.3")
    for path in tmp_path.iterdir():
        with open_stack(path) as opened:
            np.testing.assert_array_equal(opened.read(4), slices[4])


def test_every_series_of_a_folder_is_a_stack(tmp_path, slices) -> None:
    study = tmp_path / "study"
    save_series(study, slices, "1.2.1", "a", SeriesNumber=3)
    save_series(study, slices + 1, "1.2.2", "b", SeriesNumber=4)
    save_series(study, slices[:, :, :4], "1.2.2", "c", SeriesNumber=4)
    files = find_files([tmp_path])
    stacks = [read_stack(path) for path in files]
    assert [s.slices.shape for s in stacks] == [(5, 8, 6), (5, 8, 4), (5, 8, 6)]
    assert [s.name for s in stacks] == ["study-3", "study-4", "study-4"]


def test_values_are_rescaled(tmp_path, slices) -> None:
    save_series(tmp_path, slices, "1", RescaleSlope=0.5, RescaleIntercept=7)
    with open_stack(next(tmp_path.iterdir())) as opened:
        np.testing.assert_allclose(opened.read(2), slices[2] * 0.5 + 7)


def test_multi_frame_file_is_a_stack(tmp_path, slices) -> None:
    measures = Dataset()
    measures.PixelSpacing = [0.9, 0.8]
    common = Dataset()
    common.PixelMeasuresSequence = Sequence([measures])
    frames = []
    for k in range(5):
        values = Dataset()
        values.RescaleSlope, values.RescaleIntercept = k + 1.0, 2.0
        frame = Dataset()
        frame.PixelValueTransformationSequence = Sequence([values])
        frames.append(frame)
    path = save(
        tmp_path / "enhanced.dcm",
        slices,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
        NumberOfFrames=5,
        SharedFunctionalGroupsSequence=Sequence([common]),
        PerFrameFunctionalGroupsSequence=Sequence(frames),
        SeriesInstanceUID="1.2",
    )
    assert find_files([tmp_path]) == [path]
    with open_stack(path) as opened:
        assert opened.shape == (5, 8, 6)
        assert opened.pixel_size_mm == (0.9, 0.8)
        np.testing.assert_allclose(opened.read(3), slices[3] * 4.0 + 2.0)


def test_nothing_about_the_patient_is_kept(tmp_path, slices) -> None:
    save_series(tmp_path / "scan", slices, "1", EchoTime=4.5, ScanningSequence="SE")
    stack = read_stack(find_files([tmp_path / "scan"])[0])
    assert stack.attributes == {"echo_time_ms": 4.5, "acquisition": "SE"}


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Modality": "CT"}, "modality CT; MR was expected"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "P, no magnitude image"),
        ({"ComplexImageComponent": "PHASE"}, "PHASE, no magnitude image"),
        ({"PhotometricInterpretation": "RGB"}, "RGB; grey was expected"),
    ],
)
def test_what_is_no_mr_magnitude_is_refused_and_left_out(
    tmp_path, slices, tags, reason
) -> None:
    save_series(tmp_path, slices[:1], "1", **tags)
    path = next(tmp_path.iterdir())
    with pytest.raises(FileFormatError, match=f"{path} is .*{reason}"):
        read_stack(path)
    with pytest.raises(FileFormatError, match="1 DICOM, none of them an MR magnitude"):
        find_files([tmp_path])
    save_series(tmp_path, slices, "2", "mr")
    assert len(find_files([tmp_path])) == 1


def test_image_that_is_there_twice_counts_once(tmp_path, slices) -> None:
    save_series(tmp_path, slices, "1")
    (tmp_path / "copy").write_bytes((tmp_path / "002").read_bytes())
    assert read_stack(find_files([tmp_path])[0]).slices.shape[0] == 5


def test_series_without_a_pixel_size_is_refused(tmp_path, slices) -> None:
    path = save(tmp_path / "a", slices[0], SeriesInstanceUID="1")
    with pytest.raises(FileFormatError, match="has no PixelSpacing"):
        read_stack(path)


def test_pixels_that_are_cut_short_are_refused(tmp_path, slices) -> None:
    save_series(tmp_path, slices, "1")
    path = tmp_path / "002"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileFormatError, match="cannot be read as DICOM"):
        read_stack(path)


def test_absurd_number_of_frames_is_refused_unread(tmp_path, slices) -> None:
    tags = {"PixelSpacing": [1, 1], "SeriesInstanceUID": "1"}
    many = save(tmp_path / "a", slices, NumberOfFrames=2_000_000_000, **tags)
    with pytest.raises(FileFormatError, match="declares 2000000000 frames"):
        read_stack(many)
    some = save(tmp_path / "a", slices, NumberOfFrames=200, **tags)
    with pytest.raises(FileFormatError, match="is cut short: its header declares 200"):
        read_stack(some)


def test_pixels_in_an_unknown_compression_are_refused(tmp_path, slices) -> None:
    dataset = header(SeriesInstanceUID="1", PixelSpacing=[1, 1])
    dataset.Rows, dataset.Columns = 8, 6
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = pydicom.encaps.encapsulate([b"\0\1\2\3"])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(FileFormatError, match="cannot be read as DICOM"):
        read_stack(tmp_path / "a")


def test_header_of_nonsense_is_refused(tmp_path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(128) + b"DICM" + bytes(range(256)) * 4)
    with pytest.raises(FileFormatError, match=f"{path}"):
        read_stack(path)


def test_damaged_header_does_not_keep_the_others_from_being_read(
    tmp_path, slices
) -> None:
    save_series(tmp_path, slices, "1")
    (tmp_path / "000").write_bytes(bytes(128) + b"DICM" + bytes(range(256)) * 4)
    (path,) = find_files([tmp_path])
    assert read_stack(path).slices.shape == (5, 8, 6)


@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_RLE.dcm"])
def test_file_of_a_scanner_is_read(tmp_path, name) -> None:
    # It comes with pydicom, which also says what is in it.
    path = tmp_path / name
    path.write_bytes(Path(get_testdata_file(name, download=False)).read_bytes())
    with open_stack(path) as opened:
        assert opened.pixel_size_mm == (0.3125, 0.3125)
        np.testing.assert_array_equal(opened.read(0), pydicom.dcmread(path).pixel_array)
