"""A small good file of every kind that is read, for what breaks them on purpose."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

import example_pictures
import uff_files
import zea_files
from napari_usflow.io.outputs.writing import write
from napari_usflow.io.project import VERSION
from napari_usflow.io.project.archive import write_archive_events
from napari_usflow.io.project.images import StoredImage, image_record
from napari_usflow.jobs import result_of
from napari_usflow.ultrasound.data import ChannelData, PixelGrid, PlaneWave
from napari_usflow.ultrasound.data import UltrasoundImage as Image
from napari_usflow.ultrasound.simulate.picmus_files import write_dataset, write_phantom
from napari_usflow.ultrasound.simulate.scene import Scene
from point_scene import CENTER_HZ, FS_HZ, echoes, plane_paths
from point_scene import ELEMENTS_M as ALL_ELEMENTS_M

ANGLES = np.radians([-8.0, 0.0, 8.0])
START_S = np.full(3, 4e-6)
ELEMENTS_M = ALL_ELEMENTS_M[4::6]
RNG = np.random.default_rng(11)


def _rf() -> np.ndarray:
    return echoes(plane_paths(ANGLES), START_S, 480)[:, 4::6]


def _image(values: str = "db", frames: int = 2) -> Image:
    shape = (frames, 16, 12)
    data = {
        "db": lambda: -RNG.uniform(0, 60, shape),
        "display": lambda: RNG.integers(0, 256, shape),
    }[values]()
    grid = PixelGrid((16, 12), (0.2, 0.3), (5.0, -1.8))
    return Image(data.astype(np.float32), values, grid, frame_interval_s=0.04)


def _written(suffix: str, values: str = "db", frames: int = 2):
    def make(folder: Path) -> Path:
        path = folder / f"example{suffix}"
        write(path, _image(values, frames), provenance={"method": "flow"})
        return path

    return make


def picmus_dataset(folder: Path) -> Path:
    samples, waves = _rf()[None], [PlaneWave(float(a)) for a in ANGLES]
    data = ChannelData(
        samples, ELEMENTS_M, FS_HZ, CENTER_HZ, 0.0, 1540.0, START_S, waves
    )
    write_dataset(folder / "example_dataset_rf.hdf5", data)
    return folder / "example_dataset_rf.hdf5"


def picmus_scan(folder: Path) -> Path:
    with h5py.File(folder / "example_scan.hdf5", "w") as file:
        group = file.create_group("US/US_DATASET0000")
        group["x_axis"] = np.linspace(-5e-3, 5e-3, 20).astype(np.float32)
        group["z_axis"] = np.linspace(5e-3, 20e-3, 30).astype(np.float32)
    return folder / "example_scan.hdf5"


def picmus_phantom(folder: Path) -> Path:
    scene = Scene(
        np.array([[0, 0, 10e-3], [1e-3, 0, 20e-3]]),
        np.ones(2),
        points_mm=np.array([[10.0, 0.0]]),
        cysts_mm=np.array([[20.0, 1.0, 3.0]]),
    )
    path = folder / "example_phantom.hdf5"
    write_phantom(path, scene, axial_resolution_mm=0.4, lateral_resolution_mm=0.5)
    return path


def pybf(folder: Path) -> Path:
    with h5py.File(folder / "example_pybf.hdf5", "w") as file:
        for name, value in {
            "data/f_sampling": FS_HZ,
            "data/correction_time_shift": -4e-6,
            "trans_params/x_num_of_elements": len(ELEMENTS_M),
            "trans_params/x_pitch": 1.8e-3,
            "trans_params/f_central": CENTER_HZ,
        }.items():
            file[name] = np.full((1, 1), value)
        file["data/tx_mode/PW_3_8"] = ANGLES[None]
        for number, shot in enumerate(_rf(), start=1):
            file[f"data/rf_data/frame_1/shot_{number}"] = shot
    return folder / "example_pybf.hdf5"


def cubdl(folder: Path) -> Path:
    """In the layout of Johns Hopkins' plane waves, JHU024 to 034."""
    with h5py.File(folder / "JHU024.hdf5", "w") as file:
        file["channel_data"] = _rf()
        file["angles"] = ANGLES
        file["modulation_frequency"] = [[CENTER_HZ]]
        file["sampling_frequency"] = [[FS_HZ]]
        file["sound_speed"] = [[1540.0]]
        file["time_zero"] = START_S
        file["element_positions"] = ELEMENTS_M[:, 0]
    return folder / "JHU024.hdf5"


def cubdl_beams(folder: Path) -> Path:
    """In the layout of Oslo's focused beams of a phased array, OSL011 to 014."""
    with h5py.File(folder / "OSL012.hdf5", "w") as file:
        file["channel_data"] = _rf()
        file["modulation_frequency"] = [[CENTER_HZ]]
        file["sampling_frequency"] = [[FS_HZ]]
        file["sound_speed"] = [[1540.0]]
        file["start_time"] = START_S[None]
        file["transmit_origin"] = np.zeros((3, 3))
        file["transmit_direction"] = np.stack([ANGLES, 0 * ANGLES])
        file["transmit_focus"] = [[20e-3]]
        file["element_positions"] = ELEMENTS_M.T
    return folder / "OSL012.hdf5"


def uff_channel_data(folder: Path) -> Path:
    waves = [{"wavefront": 0, "distance": np.inf, "azimuth": a} for a in ANGLES]
    with uff_files.new_file(folder / "example_raw.uff") as file:
        uff_files.write_channel_data(
            file,
            _rf()[None],
            waves,
            ELEMENTS_M,
            fs=FS_HZ,
            initial_time=4e-6,
            center=CENTER_HZ,
        )
    return folder / "example_raw.uff"


def uff_image(folder: Path) -> Path:
    picture = RNG.normal(size=(2, 16, 12)) + 1j * RNG.normal(size=(2, 16, 12))
    with uff_files.new_file(folder / "example_image.uff") as file:
        group = uff_files.write_image(file, picture)
        depth, angle = 5e-3 + 1e-4 * np.arange(16), 0.05 * np.arange(-6, 6)
        uff_files.write_sector_scan(group, "scan", depth, angle)
    return folder / "example_image.uff"


def zea_raw(folder: Path) -> Path:
    scan = zea_files.scan_of(
        ELEMENTS_M[:, 0] * np.sin(ANGLES)[:, None], START_S, ANGLES
    )
    path = folder / "zea_raw.hdf5"
    return zea_files.write_raw(path, _rf()[None], scan, "tracks", ELEMENTS_M)


def _matlab_struct() -> dict:
    """The struct of the challenge's MAT files, arrays in MATLAB's order."""
    records = np.ascontiguousarray(_rf().transpose(2, 1, 0))
    return {
        "real": records,
        "imag": np.zeros_like(records),
        "sampling_frequency": FS_HZ,
        "modulation_frequency": 0.0,
        "c0": 1540.0,
        "initial_time": START_S[0],
        "PRF": 100.0,
        "probe_geometry": ELEMENTS_M,
        "angles": ANGLES,
    }


def matlab_v5(folder: Path) -> Path:
    from scipy.io import savemat

    savemat(folder / "v5.mat", {"PARAM": _matlab_struct()}, do_compression=True)
    return folder / "v5.mat"


def matlab_v73(folder: Path) -> Path:
    from matlab_files import save_v73

    return save_v73(folder / "v73.mat", {"PARAM": _matlab_struct()})


def dicom(folder: Path) -> Path:
    from ultrasound_dicom import region, save, speckle

    return save(folder / "example.dcm", speckle((2, 24, 32)), [region((0, 0, 31, 23))])


def clarius(folder: Path) -> Path:
    """The parameters; the samples are in the file beside them."""
    raw = struct.pack("<5I", 1, 2, 12, 16, 1)
    for number, frame in enumerate(_image("display").data.astype(np.uint8)):
        raw += struct.pack("<Q", 10**12 + 50_000_000 * number)
        raw += frame.T.tobytes()
    (folder / "clarius.raw").write_bytes(raw)
    lines = "".join(
        f"  - {{rx element: {line}, tx element: 1, angle: 0 °}}\n" for line in range(12)
    )
    (folder / "clarius.yml").write_text(
        "# raw data parameters\n\nframes: 2\nsampling rate: 15 MHz\n"
        f"delay samples: 16\nlines:\n{lines}",
        "utf-8",
    )
    return folder / "clarius.raw"


def clarius_parameters(folder: Path) -> Path:
    return clarius(folder).with_suffix(".yml")


Maker = Callable[[Path], Path]

HDF5: dict[str, Maker] = {
    "picmus-dataset": picmus_dataset,
    "picmus-scan": picmus_scan,
    "picmus-phantom": picmus_phantom,
    "picmus-image": _written(".hdf5"),
    "pybf": pybf,
    "cubdl": cubdl,
    "cubdl-beams": cubdl_beams,
    "uff-channel-data": uff_channel_data,
    "uff-image": uff_image,
    "zea-raw": zea_raw,
    "zea-image": _written(".zea.hdf5"),
    "matlab-7.3": matlab_v73,
}
"""Makers of files that are HDF5 inside; each takes a folder and gives a path in it."""

DATA = {
    "picmus-dataset": "US/US_DATASET0000/data/real",
    "picmus-scan": "US/US_DATASET0000/z_axis",
    "picmus-phantom": "US/US_DATASET0000/scatterers_positions",
    "picmus-image": "US/US_DATASET0000/data/real",
    "pybf": "data/rf_data/frame_1/shot_1",
    "cubdl": "channel_data",
    "cubdl-beams": "channel_data",
    "uff-channel-data": "channel_data/data",
    "uff-image": "b_data/data/real",
    "zea-raw": "tracks/track_0/data/raw_data",
    "zea-image": "tracks/track_0/data/image/values",
    "matlab-7.3": "PARAM/real",
}
"""Where the data of each are."""


def project(folder: Path) -> Path:
    """A clip and its result, one of them in three dimensions."""
    clip = _image()
    images = [
        StoredImage("clip", np.asarray(clip.data), "db", grid=clip.grid, in_mm=True),
        StoredImage("flat", np.zeros((16, 12)), "db", grid=clip.grid, result_of=0),
    ]
    names = [f"images/{number}.npy" for number in range(2)]
    records = map(image_record, images, names)
    description = {"version": VERSION, "images": list(records), "regions": []}
    arrays = {name: image.data for name, image in zip(names, images, strict=True)}
    path = folder / "example.usflow"
    result_of(write_archive_events(path, description, arrays))
    return path


OTHERS: dict[str, Maker] = {
    "matlab-5": matlab_v5,
    "dicom": dicom,
    "clarius": clarius,
    "clarius-parameters": clarius_parameters,
    "mp4": _written(".mp4", "display"),
    "ome-tiff": _written(".ome.tif"),
    "imagej-tiff": _written(".tif"),
    "png": _written(".png", "display", 1),
    "npy": _written(".npy"),
    **example_pictures.PICTURES,
    "project": project,
}
"""Makers of all other files."""

EXAMPLES: dict[str, Maker] = {**HDF5, **OTHERS}
"""Every maker, by what it makes."""

NEEDS = {"dicom": "pydicom", "mp4": "imageio_ffmpeg", **example_pictures.NEEDS}
"""Packages that making and reading some of them needs."""
