"""Every file that unpacks, or is read, to far more than it declares."""

from __future__ import annotations

from bombs import (
    CODECS,
    HDF5,
    Maker,
    axis_of_a_scan,
    dicom,
    hdf5,
    matlab_5,
    picmus_image,
    tiff,
    zarr,
)
from bombs_hidden import (
    dicom_jp2,
    ome_entities,
    png,
    text_of_2_gb,
    texts_of_one,
    zarr_second_part,
)
from bombs_mri import fastmri, nifti

__all__ = ["BOMBS", "IMAGES", "MRI"]

IMAGES: dict[str, Maker] = {
    **{f"{kind} gzip": hdf5(kind) for kind in HDF5 if kind != "picmus-scan"},
    "picmus-scan gzip": axis_of_a_scan,
    **{f"picmus-image {codec}": picmus_image(codec) for codec in CODECS},
    **{
        f"tiff {codec}": tiff(codec)
        for codec in ("deflate", "lzw", "packbits", "zstd", "jpeg", "jpeg2000")
    },
    "tiff entities": ome_entities,
    "png deflate": png,
    **{
        f"dicom {codec}": dicom(codec)
        for codec in ("deflate", "rle", "jpeg", "jpeg-ls", "jpeg2000")
    },
    "zarr zstd": zarr("zstd"),
    "zarr gzip": zarr("gzip"),
    "zarr blosc": zarr("blosc"),
    "zarr gzip-members": zarr_second_part("gzip"),
    "zarr zstd-frames": zarr_second_part("zstd"),
    "dicom jp2": dicom_jp2,
    "matlab-5 field": matlab_5("field"),
    "matlab-5 behind": matlab_5("behind"),
}
"""Bombs in files of ultrasound, by format and codec."""

MRI: dict[str, Maker] = {
    "fastmri rss": fastmri("reconstruction_rss"),
    "fastmri kspace": fastmri("kspace"),
    "fastmri texts": texts_of_one,
    "fastmri text": text_of_2_gb,
    "nifti extension": nifti("extension"),
    "nifti behind": nifti("behind"),
    "dicom-mr deflate": dicom("deflate", of_mri=True),
    "dicom-mr rle": dicom("rle", of_mri=True),
    "dicom-mr jpeg2000": dicom("jpeg2000", of_mri=True),
}
"""Bombs in files of MRI."""

BOMBS: dict[str, Maker] = {**IMAGES, **MRI}
