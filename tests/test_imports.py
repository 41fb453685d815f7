"""Every module can be imported, none in a circle, and the core at little cost."""

from __future__ import annotations

import os
import subprocess
import sys
from ast import literal_eval
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
    "napari_usflow.denoising",
    "napari_usflow.denoising.pipeline",
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
    if module.startswith("napari_usflow._napari"):
        pytest.importorskip("napari")
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


def modules_after(code: str) -> set[str]:
    """Names of the modules that a fresh process has imported."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_package_imports_no_other_module_of_its_own_and_no_numpy() -> None:
    names = modules_after("import napari_usflow")

    assert {name for name in names if name.startswith("napari_usflow")} == {
        "napari_usflow"
    }
    assert "numpy" not in names


def test_names_of_the_methods_are_listed_without_the_methods() -> None:
    names = modules_after("import napari_usflow as usf; usf.methods()")

    assert {name for name in names if name.startswith("napari_usflow.")} == {
        "napari_usflow.denoising",
        "napari_usflow.denoising.algorithms",
    }
    assert not names & {"numpy", "h5py", "scipy", "tifffile", "PIL", *SLOW}


def test_a_method_is_loaded_without_readers_and_their_packages() -> None:
    names = modules_after("import napari_usflow as usf; usf.method_class('srad')")

    assert "napari_usflow.denoising.algorithms.srad" in names
    assert "napari_usflow.denoising.algorithms.nlm" not in names
    assert not names & {"napari_usflow.io", "h5py", "scipy", "tifffile", "PIL", *SLOW}


def environment_changes(code: str, **given: str) -> dict[str, str]:
    """Variables of the environment that code changes in a fresh process."""
    before = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport os\nprint(dict(os.environ))"],
        env=before,
        capture_output=True,
        text=True,
        check=True,
    )
    after = literal_eval(done.stdout.splitlines()[-1])
    return {k: v for k, v in after.items() if before.get(k) != v}


@pytest.mark.parametrize(
    "code",
    [
        "import napari_usflow._napari",
        "import napari_usflow.cli as cli; cli.main(['info', 'nothing'])",
    ],
)
def test_plugin_and_command_line_let_waiting_threads_sleep(code: str) -> None:
    assert environment_changes(code) == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert environment_changes(code, OMP_WAIT_POLICY="ACTIVE") == {}


def test_package_leaves_the_environment_alone() -> None:
    code = "import napari_usflow as usf; usf.methods(); usf.denoise"

    assert environment_changes(code) == {}


def test_public_names_are_found_and_others_are_not() -> None:
    import napari_usflow as usf

    for name in usf.__all__:
        assert getattr(usf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        usf.nonsense  # noqa: B018
