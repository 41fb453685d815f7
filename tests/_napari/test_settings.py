"""Preferences, with and without a napari that keeps them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_usflow._napari.settings import (
    PICMUS_NAMES,
    Preferences,
    associate_files,
    own_weights,
    preferences,
    remember_own_weights,
)
from napari_usflow.ultrasound.beamform.params import BeamformParams

MANIFEST = Path(__file__).parents[2] / "src" / "napari_usflow" / "napari.yaml"


def test_defaults_without_napari(monkeypatch):
    monkeypatch.setitem(sys.modules, "napari.settings", None)
    assert preferences() == Preferences(device="auto", prior="")


def test_defaults_where_the_plugin_is_not_known(monkeypatch, npe2pm):
    import napari.settings

    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {}, raising=False)
    assert preferences() == Preferences()


def test_preferences_of_napari_are_used(plugin_settings, npe2pm):
    from napari.settings import get_plugin_settings

    with npe2pm.tmp_plugin(manifest=MANIFEST):
        compute = get_plugin_settings("napari-usflow").compute
        assert (compute.device, compute.prior) == ("auto", "")
        compute.device = "cpu"
        compute.prior = " knees.safetensors "
        found = preferences()
        assert (found.device, found.prior) == ("cpu", "knees.safetensors")


def test_zero_stands_for_what_the_file_says_of_an_acquisition(plugin_settings, npe2pm):
    from napari.settings import get_plugin_settings

    with npe2pm.tmp_plugin(manifest=MANIFEST):
        acquisition = get_plugin_settings("napari-usflow").acquisition
        assert preferences().beamform == BeamformParams()
        acquisition.plane_waves, acquisition.f_number = 11, 1.2
        acquisition.bandwidth = 0.0
        acquisition.sound_speed_m_s = 1480.0
        expected = BeamformParams(
            plane_waves=11, f_number=1.2, bandwidth=0.0, sound_speed_m_s=1480.0
        )
        assert preferences().beamform == expected


def test_own_weights_are_kept_in_the_preferences(plugin_settings, npe2pm):
    paths = ["/runs/knees/kept/step-0001200.safetensors", "/runs/b.safetensors"]
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        assert own_weights() == []
        remember_own_weights(paths)
        assert own_weights() == paths


def test_own_weights_are_forgotten_without_napari(monkeypatch):
    monkeypatch.setitem(sys.modules, "napari.settings", None)
    remember_own_weights(["/runs/b.safetensors"])
    assert own_weights() == []


@pytest.fixture
def extension2reader():
    """napari's table of file names and plugins, as it is when asked."""
    from napari.settings import get_settings

    get_settings().reset()
    yield lambda: get_settings().plugins.extension2reader
    get_settings().reset()


def test_picmus_names_are_associated_and_choices_of_the_user_kept(extension2reader):
    from napari.settings import get_settings

    get_settings().plugins.extension2reader = {"*_scan.hdf5": "other", "*.h5": "other"}
    associate_files()
    table = extension2reader()
    assert table.pop("*_scan.hdf5") == "other"
    assert table.pop("*.h5") == "other"
    assert set(table) == set(PICMUS_NAMES) - {"*_scan.hdf5"}
    assert set(table.values()) == {"napari-usflow"}


def test_no_association_against_the_users_will(
    plugin_settings, npe2pm, extension2reader
):
    from napari.settings import get_plugin_settings

    with npe2pm.tmp_plugin(manifest=MANIFEST):
        get_plugin_settings("napari-usflow").files.associate = False
        associate_files()
    assert extension2reader() == {}
