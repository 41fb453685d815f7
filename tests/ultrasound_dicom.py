"""DICOM ultrasound files, made for tests: no scanner has seen them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

PATIENT = {
    "PatientName": "Quux^Xanthippe",
    "PatientID": "MRN-7788991",
    "PatientBirthDate": "19331224",
    "PatientSex": "F",
    "PatientAge": "091Y",
    "PatientAddress": "12 Rue Imaginaire",
    "OtherPatientIDs": "OTHER-556677",
    "PatientComments": "comment about Xanthippe",
    "ReferringPhysicianName": "Zweistein^Albert",
    "OperatorsName": "Sonographer^Sam",
    "InstitutionName": "Hospital of Nowhere",
    "InstitutionAddress": "1 Clinic Road",
    "AccessionNumber": "ACC-424242",
    "StudyID": "STUDY-99",
    "StudyDate": "20260131",
    "StudyDescription": "carotid of Xanthippe",
    "SeriesDescription": "left side, Xanthippe",
    "StationName": "STATION-XYZ",
    "DeviceSerialNumber": "SN-31337",
    "ImageComments": "free text, Xanthippe",
    "ProtocolName": "protocol for MRN-7788991",
}


def region(box=(0, 0, 63, 47), delta_cm=(0.02, 0.01), **tags: Any) -> Any:
    """Make an item of the Sequence of Ultrasound Regions; box is x0, y0, x1, y1."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, 1, 2
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2:]
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_cm
    for name, value in tags.items():
        setattr(item, name, value)
    return item


def save(path: Path, pixels: np.ndarray, regions=(), **tags: Any) -> Path:
    """Write pixels (frames,) rows, columns (, 3) as an ultrasound file."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        ExplicitVRLittleEndian,
        UltrasoundMultiFrameImageStorage,
        generate_uid,
    )

    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found.SOPClassUID = UltrasoundMultiFrameImageStorage
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID
    found.Modality = "US"
    for name, value in PATIENT.items():
        setattr(found, name, value)
    colours = pixels.shape[-1] == 3
    found.SamplesPerPixel = 3 if colours else 1
    found.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        found.PlanarConfiguration = 0
    shape = pixels.shape[:-1] if colours else pixels.shape
    found.Rows, found.Columns = shape[-2:]
    if len(shape) == 3:
        found.NumberOfFrames = shape[0]
    bits = 8 * pixels.dtype.itemsize
    found.BitsAllocated = found.BitsStored = bits
    found.HighBit, found.PixelRepresentation = bits - 1, 0
    if regions:
        found.SequenceOfUltrasoundRegions = list(regions)
    found.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(found, name, value)
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.save_as(path, enforce_file_format=True)
    return path


def speckle(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Make grey noise, uint8."""
    return np.random.default_rng(seed).integers(20, 200, shape).astype(np.uint8)
