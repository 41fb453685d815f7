"""Every module can be imported, none in a circle, and the core at little cost."""

from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import import_module

import grimp
import pytest

GRAPH = grimp.build_graph("napari_usflow", cache_dir=None)

SLOW = ("napari", "qtpy", "torch", "skimage", "matplotlib", "magicgui", "dask")
CORE = (
    "napari_usflow",
    "napari_usflow.cli",
    "napari_usflow.cli.denoise",
    "napari_usflow.cli.info",
    "napari_usflow.cli.measure",
    "napari_usflow.cli.simulate",
    "napari_usflow.cli.train",
    "napari_usflow.denoise",
    "napari_usflow.denoise.pipeline",
    "napari_usflow.evaluate.demo",
    "napari_usflow.evaluate.measure",
    "napari_usflow.evaluate.regions",
    "napari_usflow.io",
    "napari_usflow.io.outputs.writing",
    "napari_usflow.networks",
    "napari_usflow.training.network.configs",
    "napari_usflow.networks.store",
    "napari_usflow.prior",
    "napari_usflow.prior.store",
    "napari_usflow.ultrasound.beamform",
    "napari_usflow.ultrasound.data",
    "napari_usflow.ultrasound.simulate.speckle",
)


@pytest.mark.parametrize("module", sorted(GRAPH.modules))
def test_every_module_can_be_imported(module: str) -> None:
    if not module.endswith("__main__"):
        import_module(module)


def test_no_module_imports_itself_by_way_of_others() -> None:
    imported = {m: GRAPH.find_modules_directly_imported_by(m) for m in GRAPH.modules}

    assert list(TopologicalSorter(imported).static_order())


@pytest.mark.parametrize("module", CORE)
def test_core_imports_nothing_slow(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        f"print(*[name for name in {SLOW!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_public_names_are_found_and_others_are_not() -> None:
    import napari_usflow as usf

    for name in usf.__all__:
        assert getattr(usf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        usf.nonsense  # noqa: B018
