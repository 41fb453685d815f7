"""Opening files, and leaving those of others alone."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import DynamicPlugin, PluginManager
from scipy.io import savemat

from example_files import EXAMPLES
from example_pictures import GREY, encode
from napari_usflow._napari import readers
from napari_usflow._napari.layers.content import LayerError, inspect_layer
from napari_usflow._napari.readers import get_reader, open_files
from napari_usflow._napari.settings import Preferences, associate_files
from napari_usflow.errors import FileFormatError
from napari_usflow.io.outputs.writing import write
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from ultrasound_dicom import region, save, speckle

PLANE_WAVES = [1, 3, 11]
RAW = (
    "picmus-dataset",
    "pybf",
    "cubdl",
    "cubdl-beams",
    "uff-channel-data",
    "zea-raw",
    "matlab-7.3",
    "matlab-5",
)
MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"


def add_all(path: Path) -> ViewerModel:
    reader = get_reader(str(path))
    assert reader is not None
    viewer = ViewerModel()
    for data, kwargs, kind in reader(str(path)):
        getattr(viewer, f"add_{kind}")(data, **kwargs)
    return viewer


def test_image_file_is_one_layer_of_plane_wave_counts(picmus_image):
    (layer,) = add_all(picmus_image).layers
    with h5py.File(picmus_image) as file:
        envelope = file["US/US_DATASET0000/data/real"][-1].T
    expected = 20 * np.log10(envelope / envelope.max())
    np.testing.assert_allclose(layer.data[-1], expected, atol=1e-3)
    assert layer.axis_labels == ("plane_waves", "z", "x")
    assert [str(u) for u in layer.units[1:]] == ["millimeter"] * 2
    np.testing.assert_allclose(layer.scale, (1, 0.2, 0.4), rtol=1e-4)
    np.testing.assert_allclose(layer.translate, (0, 5.0, -6.0), atol=1e-5)
    assert layer.contrast_limits == [-60, 0]
    assert layer.metadata["usflow"]["plane_waves"] == PLANE_WAVES
    assert layer.metadata["usflow"]["source"] == str(picmus_image)
    assert layer.metadata["usflow"]["values"] == "db"


@pytest.mark.parametrize("wrap", [str, Path, lambda p: [str(p)], lambda p: [p]])
def test_path_may_come_in_any_form(picmus_image, wrap):
    reader = get_reader(wrap(picmus_image))
    assert reader is not None
    assert len(reader(wrap(picmus_image))) == 1


def test_phantom_opens_as_regions_and_points_in_mm(phantom_file):
    regions, points = add_all(phantom_file).layers
    assert list(regions.shape_type) == ["ellipse", "ellipse", "rectangle"]
    assert list(regions.features["kind"]) == ["cyst", "cyst", "speckle"]
    low, high = regions.data[1].min(axis=0), regions.data[1].max(axis=0)
    np.testing.assert_allclose(low, (18, -1), atol=1e-4)
    np.testing.assert_allclose(high, (22, 3), atol=1e-4)
    low, high = regions.data[2].min(axis=0), regions.data[2].max(axis=0)
    # Six axial resolutions of 0.25 mm and eight lateral ones of 0.5 mm, either way.
    np.testing.assert_allclose(low, (19.5, 4), atol=1e-4)
    np.testing.assert_allclose(high, (22.5, 12), atol=1e-4)
    np.testing.assert_allclose(points.data, [(10, 0), (11, 1), (12, 2)], atol=1e-4)
    assert regions.units == points.units
    assert str(points.units[0]) == "millimeter"


def test_image_and_phantom_together_have_units_in_common(picmus_image, phantom_file):
    viewer = add_all(picmus_image)
    for data, kwargs, kind in get_reader(phantom_file)(phantom_file):
        getattr(viewer, f"add_{kind}")(data, **kwargs)
    assert viewer.layers.extent.units is not None


def test_scan_file_says_what_to_open_instead(scan_file):
    with pytest.raises(FileFormatError, match="open the dataset file beside it"):
        get_reader(scan_file)(scan_file)


@pytest.fixture
def dataset_file(tmp_path: Path) -> Path:
    """Plane-wave RF of three transmits and eight elements, in the PICMUS layout."""
    path = tmp_path / "noise_dataset_rf.hdf5"
    samples = np.random.default_rng(2).normal(size=(3, 8, 400)).astype(np.float32)
    with h5py.File(path, "w") as file:
        group = file.create_group("US/US_DATASET0000")
        group["data/real"], group["data/imag"] = samples, np.zeros_like(samples)
        group["angles"] = np.array([-0.1, 0, 0.1])
        group["probe_geometry"] = np.outer([1, 0, 0], 0.3e-3 * np.arange(8))
        for name, value in {
            "sampling_frequency": 20.832e6,
            "modulation_frequency": 0.0,
            "sound_speed": 1540.0,
            "initial_time": 3e-6,
        }.items():
            group[name] = np.array([value])
    return path


@pytest.mark.gui
def test_window_shows_how_far_beamforming_is(qtbot, monkeypatch, dataset_file):
    from qtpy import QtWidgets
    from qtpy.QtCore import QTimer

    from napari_usflow.ultrasound.beamform import stack as beamform_stack

    seen: list[int] = []

    class Dialog(QtWidgets.QProgressDialog):
        def setValue(self, value: int) -> None:
            super().setValue(value)
            seen.append(value)

    real = beamform_stack.beamform_frame_events

    def slow(*args, **kwargs):
        events = real(*args, **kwargs)
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                return stop.value
            time.sleep(0.06)
            yield event

    monkeypatch.setattr(QtWidgets, "QProgressDialog", Dialog)
    monkeypatch.setattr(beamform_stack, "beamform_frame_events", slow)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    (layer,) = add_all(dataset_file).layers
    timer.stop()
    assert layer.contrast_limits == [-60, 0]
    # Eight elements, each an eighth of the way.
    assert len(set(seen)) >= 4
    assert seen == sorted(seen)
    assert len(ticks) > 5


def test_raw_data_is_beamformed_on_the_preferred_device(monkeypatch, dataset_file):
    wish = Preferences(device="no-such-device")
    monkeypatch.setattr(readers, "preferences", lambda: wish)
    with pytest.raises(ValueError, match="'no-such-device' is not on this machine"):
        add_all(dataset_file)


def test_raw_data_is_beamformed_as_preferred(monkeypatch, dataset_file):
    chosen = BeamformParams(plane_waves=1, f_number=2.5, dynamic_range_db=45.0)
    monkeypatch.setattr(readers, "preferences", lambda: Preferences(beamform=chosen))
    (layer,) = add_all(dataset_file).layers
    noted = layer.metadata["usflow"]
    assert (noted["plane_waves"], noted["f_number"]) == (1, 2.5)
    assert layer.contrast_limits == [-45, 0]


@pytest.mark.parametrize("kind", RAW)
def test_every_format_of_raw_data_follows_the_preferences(monkeypatch, tmp_path, kind):
    chosen = BeamformParams(f_number=2.5, sound_speed_m_s=1500, dynamic_range_db=45)
    monkeypatch.setattr(readers, "preferences", lambda: Preferences(beamform=chosen))
    for layer in add_all(EXAMPLES[kind](tmp_path)).layers:
        noted = layer.metadata["usflow"]
        assert (noted["f_number"], noted["sound_speed_m_s"]) == (2.5, 1500)
        assert layer.contrast_limits == [-45, 0]


def test_colour_doppler_opens_in_colour_and_is_not_denoised(tmp_path):
    pytest.importorskip("pydicom")
    clip = np.repeat(speckle((3, 48, 64))[..., None], 3, axis=-1)
    clip[:, 10:30, 10:40] = (220, 40, 10)
    path = save(tmp_path / "duplex.dcm", clip, [region()], FrameTime=40)
    (layer,) = add_all(path).layers
    assert layer.rgb
    np.testing.assert_array_equal(np.asarray(layer.data[2]), clip[2])
    np.testing.assert_allclose(layer.scale, (0.04, 0.1, 0.2))
    with pytest.raises(LayerError, match="colour Doppler"):
        inspect_layer(layer)


def test_clip_is_left_in_its_file_until_it_is_looked_at(tmp_path):
    pytest.importorskip("pydicom")
    clip = speckle((4, 48, 64))
    path = save(tmp_path / "clip.dcm", clip, [region()], FrameTime=40)
    (layer,) = add_all(path).layers
    assert not isinstance(layer.data, np.ndarray)
    np.testing.assert_array_equal(np.asarray(layer.data[3]), clip[3])
    assert [str(unit) for unit in layer.units] == ["second"] + ["millimeter"] * 2


def test_matlab_files_of_unknown_layout_are_left_to_others(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"table": np.zeros((4, 3)), "weights": np.ones((500, 2))})
    assert get_reader(path) is None


def test_tiff_written_here_keeps_its_millimetres_and_decibels(tmp_path, npe2pm):
    path = tmp_path / "clean.tif"
    data = np.linspace(-80, 0, 72, dtype=np.float32).reshape(1, 8, 9)
    grid = PixelGrid((8, 9), (0.2, 0.3), (0.0, 0.0))
    write(path, UltrasoundImage(data, "db", grid))
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(package="napari"), npe2pm.tmp_plugin(manifest=MANIFEST):
        open_files(viewer, [path])
    (layer,) = viewer.layers
    np.testing.assert_array_equal(layer.data, data[0])
    np.testing.assert_allclose(layer.scale, (0.2, 0.3), rtol=1e-5)
    assert [str(u) for u in layer.units] == ["millimeter"] * 2
    assert layer.contrast_limits == [-60, 0]
    assert layer.metadata["usflow"]["values"] == "db"


def test_tiff_written_here_without_a_pixel_size_opens_in_pixels(tmp_path, npe2pm):
    path = tmp_path / "clean.tif"
    data = np.full((1, 8, 9), -20, np.float32)
    grid = PixelGrid((8, 9), (1.0, 1.0), (0.0, 0.0))
    unknown = {"pixel_size_known": False}
    write(path, UltrasoundImage(data, "db", grid, metadata=unknown))
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(package="napari"), npe2pm.tmp_plugin(manifest=MANIFEST):
        open_files(viewer, [path])
    (layer,) = viewer.layers
    assert [str(u) for u in layer.units] == ["pixel"] * 2
    assert layer.contrast_limits == [-60, 0]


def test_other_tiffs_open_in_napari_without_a_choice_of_reader(tmp_path, npe2pm):
    from tifffile import imwrite

    path = tmp_path / "cells.tif"
    cells = np.arange(72, dtype=np.uint8).reshape(8, 9)
    imwrite(path, cells, imagej=True, metadata={"unit": "um"})
    associate_files()
    with npe2pm.tmp_plugin(package="napari"), npe2pm.tmp_plugin(manifest=MANIFEST):
        (layer,) = ViewerModel().open([path], plugin=None)
    np.testing.assert_array_equal(layer.data, cells)
    assert not layer.metadata


def test_damaged_tiff_is_left_to_napari(tmp_path):
    path = tmp_path / "damaged.tif"
    path.write_bytes(b"II*\0\xff\xff\xff\x7f" + bytes(range(64)))
    assert get_reader(path).__module__.startswith("napari_builtins")


def foreign(tmp_path: Path) -> list[Path]:
    tables = tmp_path / "CollectedData.h5"
    with h5py.File(tables, "w") as file:
        file["df_with_missing/table"] = np.zeros(3)
    text, empty = tmp_path / "notes.h5", tmp_path / "empty.hdf5"
    text.write_text("not HDF5 at all")
    empty.touch()
    return [tables, text, empty, tmp_path / "missing.h5", tmp_path]


def test_reader_leaves_other_files_alone(tmp_path):
    for path in foreign(tmp_path):
        assert get_reader(path) is None, path


def test_reader_leaves_pictures_to_napari(tmp_path):
    from tifffile import imwrite

    path = tmp_path / "frame.tif"
    imwrite(path, np.zeros((8, 9), np.uint8))
    assert get_reader(path).__module__.startswith("napari_builtins")


def test_one_foreign_file_among_ours_is_enough_to_decline(picmus_image, tmp_path):
    assert get_reader([str(picmus_image), str(tmp_path / "missing.h5")]) is None
    assert get_reader([]) is None


def test_sniffing_leaves_the_file_closed(picmus_image):
    get_reader(picmus_image)
    with h5py.File(picmus_image, "r+") as file:
        assert "US" in file


def test_napari_finds_exactly_one_reader(picmus_image, npe2pm: PluginManager):
    with npe2pm.tmp_plugin(manifest=MANIFEST) as plugin:
        assert isinstance(plugin, DynamicPlugin)
        readers = list(npe2pm.iter_compatible_readers([str(picmus_image)]))
        assert [r.plugin_name for r in readers] == ["napari-usflow"]
        (layer,) = ViewerModel().open(picmus_image, plugin="napari-usflow")
        assert layer.ndim == 3


@pytest.mark.parametrize("name", ["IM_0001", "a.IMA", "a.ima", "a.dcm"])
def test_dropped_dicom_opens_whatever_it_is_called(tmp_path, npe2pm, name):
    pytest.importorskip("pydicom")
    grey = speckle((48, 64))
    path = save(tmp_path / name, grey, [region()])
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        (layer,) = ViewerModel().open([path], plugin=None)
    np.testing.assert_array_equal(np.asarray(layer.data).squeeze(), grey)
    assert layer.metadata["usflow"]["format"] == "dicom-ultrasound"


@pytest.mark.parametrize("ending", [".mov", ".MOV"])
def test_dropped_movie_opens(tmp_path, npe2pm, ending):
    pytest.importorskip("imageio_ffmpeg")
    path = encode(tmp_path / f"clip{ending}", GREY, "-c:v", "mjpeg")
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        (layer,) = ViewerModel().open([path], plugin=None)
    assert layer.data.shape == GREY.shape
    assert layer.metadata["usflow"]["format"] == "mp4"


def test_dropped_picmus_file_needs_no_choice_of_reader(picmus_image, npe2pm):
    from napari.errors import MultipleReaderError
    from napari.settings import get_settings

    get_settings().reset()
    # napari's own reader claims the extension too.
    with npe2pm.tmp_plugin(package="napari"), npe2pm.tmp_plugin(manifest=MANIFEST):
        with pytest.raises(MultipleReaderError):
            ViewerModel().open([picmus_image], plugin=None)
        associate_files()
        (layer,) = ViewerModel().open([picmus_image], plugin=None)
    get_settings().reset()
    assert layer.metadata["usflow"]["plane_waves"] == PLANE_WAVES


def test_dropped_zarr_stack_opens_lazily_in_place(tmp_path, npe2pm):
    pytest.importorskip("zarr")
    from napari_usflow.io.zarr_stack import ZarrStack

    frames = np.random.default_rng(0).uniform(-50, 0, (4, 6, 5)).astype(np.float32)
    image = UltrasoundImage(
        frames,
        "db",
        PixelGrid((6, 5), (0.2, 0.3), (5.0, -0.6)),
        frame_interval_s=0.02,
        metadata={"value_range": (-50.0, 0.0)},
    )
    store = ZarrStack(tmp_path / "clip.zarr", image, {"method": "tv"})
    for index, frame in enumerate(frames):
        store.write(index, frame)
    (tmp_path / "folder").mkdir()

    with npe2pm.tmp_plugin(manifest=MANIFEST):
        (layer,) = ViewerModel().open(tmp_path / "clip.zarr", plugin="napari-usflow")
    assert get_reader(tmp_path / "folder") is None

    assert layer.data.chunks[0] == (1, 1, 1, 1)  # frame by frame
    np.testing.assert_array_equal(np.asarray(layer.data[2]), frames[2])
    assert [str(unit) for unit in layer.units] == ["second", *["millimeter"] * 2]
    np.testing.assert_allclose(layer.scale, (0.02, 0.2, 0.3))
    np.testing.assert_allclose(layer.translate, (0, 5.0, -0.6))
    assert layer.contrast_limits == [-50, 0]
    assert inspect_layer(layer).values == "db"


def test_files_of_both_kinds_are_opened_by_the_right_reader(
    picmus_image, tmp_path, npe2pm
):
    from tifffile import imwrite

    picture = tmp_path / "frame.tif"
    imwrite(picture, np.zeros((8, 9), np.uint8))
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(package="napari"), npe2pm.tmp_plugin(manifest=MANIFEST):
        open_files(viewer, [picmus_image, picture])
    assert [layer.ndim for layer in viewer.layers] == [3, 2]


@pytest.mark.real_data
def test_every_real_file_opens_or_says_why(real_data):
    folder = real_data / "ultrasound"
    images = sorted((folder / "picmus-das-images").glob("*.hdf5"))
    assert images
    for path in images:
        (layer,) = add_all(path).layers
        assert layer.metadata["usflow"]["plane_waves"] == [1, 3, 11, 75]
    for path in sorted((folder / "picmus-phantoms-scan").glob("*phantom.hdf5")):
        assert len(add_all(path).layers) >= 1
