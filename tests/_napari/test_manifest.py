"""The manifest: everything it names exists, and napari accepts all of it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from npe2 import PluginManifest

from napari_usflow.io.formats import FORMATS

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "src" / "napari_usflow" / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_every_name_in_the_manifest_can_be_imported(manifest):
    manifest.validate_imports()


def test_file_at_the_top_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").read_bytes() == MANIFEST.read_bytes()


def test_contributions_are_all_there(manifest):
    given = manifest.contributions
    files, folders = given.readers
    assert (files.accepts_directories, folders.accepts_directories) == (False, True)
    assert folders.filename_patterns == ["*.zarr"]
    modules = map(import_module, FORMATS)
    known = {pattern for m in modules for pattern in getattr(m, "PATTERNS", ())}
    assert set(files.filename_patterns) == known - {"*.zarr"}
    assert len(files.filename_patterns) == len(known) - 1
    assert [w.display_name for w in given.widgets] == [
        "Denoise",
        "Compare",
        "Measure",
        "Annotate",
        "Project and report",
        "Train prior",
        "Baselines",
        "Simulate speckle",
        "Acquisition",
    ]
    assert [s.key for s in given.sample_data] == [
        "clip",
        "plane-wave",
        "picmus",
        "picmus-resolution",
    ]
    (submenu,) = given.menus["napari/layers/filter"]
    commands = [item.command for item in given.menus[submenu.submenu]]
    assert commands == ["napari-usflow.denoise_active_layer"]
    (despeckle,) = [c for c in given.commands if c.id == commands[0]]
    assert despeckle.title == "Despeckle"
    titles = {command.id: command.title for command in given.commands}
    shown = {
        menu: [titles[entry.command] for entry in given.menus[f"napari/layers/{menu}"]]
        for menu in ("visualize", "measure", "annotate")
    }
    assert shown == {
        "visualize": ["Compare before and after", "Play in real time"],
        "measure": ["Measure before and after"],
        "annotate": ["Annotate before and after"],
    }


def test_menu_is_one_that_napari_takes_contributions_in(manifest):
    from napari._app_model.constants._menus import is_menu_contributable

    menus = [m for m in manifest.contributions.menus if m.startswith("napari/")]
    assert menus
    assert all(is_menu_contributable(menu) for menu in menus)


def test_importing_the_reader_loads_neither_torch_nor_qt():
    code = (
        "import sys; import napari_usflow._napari.readers; "
        "print([m for m in ('torch', 'qtpy', 'napari.viewer') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
