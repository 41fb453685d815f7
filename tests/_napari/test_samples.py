"""The sample under File > Open Sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_usflow.ultrasound.simulate.phantom
from _napari.conftest import write_phantom, write_scan
from napari_usflow.errors import Cancelled
from napari_usflow.io.picmus import challenge
from napari_usflow.jobs import Note, Progress
from napari_usflow.ultrasound.simulate.picmus_files import write_dataset

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"


def test_sample_is_simulated_beamformed_and_opened_with_its_targets(
    npe2pm, monkeypatch, picmus_image, phantom_file
):
    def sample_files():
        yield Progress(1, 1)
        return picmus_image, phantom_file

    monkeypatch.setattr(
        napari_usflow.ultrasound.simulate.phantom, "sample_files", sample_files
    )
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        viewer.open_sample("napari-usflow", "plane-wave")
    image, regions, points = viewer.layers
    assert image.metadata["usflow"]["values"] == "db"
    assert list(regions.features["kind"]) == ["cyst", "cyst", "speckle"]
    assert len(points.data) == 3
    # A cyst must lie on the image, not beside it.
    low, high = image.extent.world[:, -2:]
    for cyst in regions.data:
        center = cyst[:, -2:].mean(axis=0)
        assert np.all((low < center) & (center < high + 8))
    assert viewer.layers.extent.units is not None


def test_clip_moves_in_seconds_and_millimetres(npe2pm):
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        viewer.open_sample("napari-usflow", "clip")
    (clip,) = viewer.layers
    assert clip.data.shape[0] == 20
    assert [str(unit) for unit in clip.units] == ["second", "millimeter", "millimeter"]
    assert clip.scale[0] == 0.05
    assert np.ptp(clip.data, axis=0).max() > 20


@pytest.fixture
def challenge_folder(tmp_path):
    """Small files with the names of the challenge's."""
    from napari_usflow.ultrasound.simulate.plane_waves import simulate_acquisition
    from napari_usflow.ultrasound.simulate.scene import Scene

    scene = Scene(np.array([[0, 0, 10e-3]]), np.ones(1))
    data = simulate_acquisition(scene, angles_rad=[0.0])
    write_dataset(tmp_path / "contrast_speckle_expe_dataset_iq.hdf5", data)
    write_phantom(tmp_path / "contrast_speckle_expe_phantom.hdf5")
    write_scan(tmp_path / "contrast_speckle_expe_scan.hdf5")
    return tmp_path


def test_picmus_is_downloaded_and_opened_with_its_targets(
    npe2pm, plugin_settings, monkeypatch, challenge_folder
):
    from napari.settings import get_plugin_settings
    from napari.utils import notifications

    asked, shown = [], []

    def files(*wanted, url, token):
        asked.append(url)
        yield Note("downloading")
        yield Note("new.hdf5 is not known")
        return [challenge_folder / name for name in wanted]

    monkeypatch.setattr(challenge, "challenge_files", files)
    monkeypatch.setattr(notifications, "show_warning", shown.append)
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        viewer.open_sample("napari-usflow", "picmus")
        get_plugin_settings("napari-usflow").files.picmus_url = "http://mirror/a.zip"
        viewer.open_sample("napari-usflow", "picmus")

    assert [layer._type_string for layer in viewer.layers[:3]] == [
        "image",
        "shapes",
        "points",
    ]
    assert asked == [challenge.ARCHIVE_URL, "http://mirror/a.zip"]
    assert shown == ["new.hdf5 is not known"] * 2


def test_a_cancelled_download_opens_nothing(npe2pm, monkeypatch):
    def files(*wanted, url, token):
        yield Note("downloading")
        raise Cancelled("stopped on request")

    monkeypatch.setattr(challenge, "challenge_files", files)
    viewer = ViewerModel()
    with (
        npe2pm.tmp_plugin(manifest=MANIFEST),
        pytest.raises(Cancelled, match="the download of the PICMUS archive"),
    ):
        viewer.open_sample("napari-usflow", "picmus-resolution")

    assert len(viewer.layers) == 0
