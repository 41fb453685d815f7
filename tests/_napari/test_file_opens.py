"""A file that is dropped on the window is opened three times at most."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import uff_files
import zea_files
from example_files import EXAMPLES, NEEDS, picmus_dataset, picmus_scan, uff_image
from file_opens import counted_opens
from matlab_files import save_v73
from napari_usflow._napari.readers import get_reader
from napari_usflow.errors import FileFormatError

AT_MOST = 3


def picmus_dataset_and_scan(folder: Path) -> Path:
    picmus_scan(folder)
    return picmus_dataset(folder)


def uff_scan(folder: Path) -> Path:
    with uff_files.new_file(folder / "scan.uff") as file:
        depth, angle = 5e-3 + 1e-4 * np.arange(16), 0.05 * np.arange(-6, 6)
        uff_files.write_sector_scan(file, "scan", depth, angle)
    return folder / "scan.uff"


def uff_of_both(folder: Path) -> Path:
    raw, image = EXAMPLES["uff-channel-data"](folder), uff_image(folder)
    with h5py.File(raw) as source, h5py.File(image, "r+") as target:
        source.copy("channel_data", target)
    raw.unlink()
    return image


def zea_of_2025(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    angles = np.radians([-5.0, 0.0, 5.0])
    x_m = zea_files.ELEMENTS_M[:, 0]
    scan = zea_files.scan_of(x_m * np.sin(angles)[:, None], np.full(3, 4e-6), angles)
    samples = rng.normal(size=(2, 3, len(x_m), 480))
    return zea_files.write_raw(folder / "early.hdf5", samples, scan, "2025")


def matlab_image(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    return save_v73(folder / "image.mat", {"I": rng.uniform(0, 255, (40, 30, 4))})


def matlab_image_5(folder: Path) -> Path:
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    savemat(folder / "image5.mat", {"I": rng.uniform(0, 255, (40, 30, 4))})
    return folder / "image5.mat"


def dicom_with_colours(folder: Path) -> Path:
    from ultrasound_dicom import region, save, speckle

    clip = np.repeat(speckle((9, 48, 64))[..., None], 3, axis=-1)
    clip[:, 10:30, 10:40] = (220, 40, 10)
    return save(folder / "duplex.dcm", clip, [region()], FrameTime=40)


def dicom_picture_with_colours(folder: Path) -> Path:
    from ultrasound_dicom import region, save, speckle

    frame = np.repeat(speckle((48, 64))[..., None], 3, axis=-1)
    frame[10:30, 10:40] = (220, 40, 10)
    return save(folder / "duplex.dcm", frame, [region()])


def zarr_stack(folder: Path) -> Path:
    pytest.importorskip("zarr")
    from napari_usflow.io.zarr_stack import ZarrStack
    from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

    frames = np.zeros((3, 6, 5), np.float32)
    grid = PixelGrid((6, 5), (0.2, 0.3), (5.0, -0.6))
    store = ZarrStack(folder / "s.zarr", UltrasoundImage(frames, "db", grid), {})
    for index in range(2):
        store.write(index, frames[index])
    return folder / "s.zarr"


FURTHER = (
    picmus_dataset_and_scan,
    uff_scan,
    uff_of_both,
    zea_of_2025,
    matlab_image,
    matlab_image_5,
    dicom_with_colours,
    dicom_picture_with_colours,
    zarr_stack,
)
NEEDED = {
    **NEEDS,
    "dicom_with_colours": "pydicom",
    "dicom_picture_with_colours": "pydicom",
}
FILES = {**EXAMPLES, **{make.__name__: make for make in FURTHER}}
SHOWS_NOTHING = {"picmus-scan", "uff_scan"}
LEFT_TO_NAPARI = {"png", "npy", "jpeg", "gif", "hdf5-arrays"}
# By pydicom, and by ffmpeg to list the frames and for a block of them.
MORE = {"dicom-stream": 5}


@pytest.mark.parametrize("kind", FILES)
def test_a_drop_opens_a_file_at_most_three_times(kind, tmp_path) -> None:
    if kind in NEEDED:
        pytest.importorskip(NEEDED[kind])
    path = str(FILES[kind](tmp_path))

    with counted_opens(tmp_path) as opens:
        reader = get_reader(path)
        if kind in LEFT_TO_NAPARI:
            assert reader is None
        elif kind in SHOWS_NOTHING:
            with pytest.raises(FileFormatError, match="holds no image"):
                reader(path)
        else:
            assert reader(path)

    assert 0 < max(opens.values()) <= MORE.get(kind, AT_MOST), dict(opens)


def test_several_files_are_each_opened_three_times(tmp_path) -> None:
    paths = [str(EXAMPLES[kind](tmp_path)) for kind in ("picmus-image", "uff-image")]

    with counted_opens(tmp_path) as opens:
        layers = get_reader(paths)(paths)

    assert len(layers) == 3  # a sector is two
    assert set(opens.values()) == {AT_MOST}
