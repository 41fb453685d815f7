"""A small good file of every kind of MRI and of weights, for what breaks them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

Maker = Callable[[Path], Path]

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>24</x><y>16</y><z>1</z></matrixSize>
<fieldOfView_mm><x>24</x><y>16</y><z>3</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>16</x><y>16</y><z>1</z></matrixSize>
<fieldOfView_mm><x>16</x><y>16</y><z>3</z></fieldOfView_mm></reconSpace>
</encoding></ismrmrdHeader>"""


def _volume(shape: tuple[int, ...] = (3, 24, 16)) -> np.ndarray:
    return np.random.default_rng(5).integers(1, 900, shape).astype(np.int16)


def fastmri(folder: Path) -> Path:
    with h5py.File(folder / "rss.h5", "w") as file:
        file.create_dataset(
            "reconstruction_rss",
            data=_volume().astype(np.float32),
            chunks=(1, 24, 16),
            compression="gzip",
        )
        file["ismrmrd_header"] = HEADER
        file.attrs["acquisition"] = "CORPD_FBK"
    return folder / "rss.h5"


def fastmri_kspace(folder: Path) -> Path:
    rng = np.random.default_rng(6)
    with h5py.File(folder / "kspace.h5", "w") as file:
        parts = rng.normal(size=(2, 2, 4, 24, 16))
        file["kspace"] = (parts[0] + 1j * parts[1]).astype(np.complex64)
        file["ismrmrd_header"] = HEADER
    return folder / "kspace.h5"


def _nifti(name: str, kind: str) -> Maker:
    def make(folder: Path) -> Path:
        import nibabel

        image = getattr(nibabel, kind)(_volume(), np.diag([3.0, 1.0, 1.0, 1.0]))
        image.header.set_slope_inter(2.0, 1.0)
        nibabel.save(image, folder / name)
        return folder / name

    return make


def nifti_extended(folder: Path) -> Path:
    """With an extension of its header, packed."""
    import nibabel

    image = nibabel.Nifti1Image(_volume(), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"text"))
    nibabel.save(image, folder / "plain.nii")
    path = folder / "extended.nii.gz"
    path.write_bytes(gzip.compress((folder / "plain.nii").read_bytes()))
    (folder / "plain.nii").unlink()
    return path


def _dicom(codec: str) -> Maker:
    def make(folder: Path) -> Path:
        from pydicom.uid import MRImageStorage, RLELossless

        from ultrasound_dicom import save

        path = folder / "slice.dcm"
        save(
            path,
            _volume((24, 16)).astype(np.uint16),
            Modality="MR",
            SOPClassUID=MRImageStorage,
            ImageType=["ORIGINAL", "PRIMARY", "M"],
            PixelSpacing=[1, 1],
            SeriesInstanceUID="1.2.3",
            ImagePositionPatient=[0, 0, 1],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            RescaleSlope=2,
            RescaleIntercept=1,
        )
        if codec == "rle":
            import pydicom

            found = pydicom.dcmread(path)
            found.compress(RLELossless)
            found.save_as(path, enforce_file_format=True)
        return path

    return make


def prior(folder: Path) -> Path:
    import torch

    from napari_usflow.prior.glow import Glow, GlowConfig
    from napari_usflow.prior.store import save_prior

    torch.manual_seed(0)
    flow = Glow(GlowConfig(patch_size=8, steps=(1, 1), hidden=(4, 4)))
    save_prior(flow, folder / "prior.safetensors", {"pixel_mm": 0.4375})
    return folder / "prior.safetensors"


def network(folder: Path) -> Path:
    import torch

    from napari_usflow.networks.architecture import UNetConfig
    from napari_usflow.networks.store import save_network
    from napari_usflow.networks.unet import UNet

    torch.manual_seed(0)
    unet = UNet(UNetConfig(channels=(4,), blocks=(1,)))
    save_network(unet, folder / "network.safetensors", {"pixel_mm": 0.4375})
    return folder / "network.safetensors"


def checkpoint(folder: Path) -> Path:
    """What a run needs to go on, with the names that its trainer gives."""
    import torch

    weights = {"a.weight": torch.ones(3, 2), "a.count": torch.tensor(4)}
    state = {
        "step": 3,
        "flow": weights,
        "average": weights,
        "optimizer": {"state": {}, "param_groups": []},
        "quality": "{}",
        "architecture": "{}",
    }
    torch.save(state, folder / "step-0000003.pt")
    return folder / "step-0000003.pt"


MRI: dict[str, Maker] = {
    "fastmri": fastmri,
    "fastmri-kspace": fastmri_kspace,
    "nifti": _nifti("volume.nii", "Nifti1Image"),
    "nifti-gz": _nifti("volume.nii.gz", "Nifti1Image"),
    "nifti-2": _nifti("volume2.nii", "Nifti2Image"),
    "nifti-extended": nifti_extended,
    "dicom-mr": _dicom("plain"),
    "dicom-mr-rle": _dicom("rle"),
}
"""Makers of files to train on, each of which takes a folder and gives a path in it."""

WEIGHTS: dict[str, Maker] = {
    "prior": prior,
    "network": network,
    "checkpoint": checkpoint,
}
"""Makers of files of weights."""
