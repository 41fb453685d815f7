"""The core costs little to import and knows nothing of napari."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = ("napari", "qtpy", "torch", "skimage", "matplotlib", "magicgui", "dask")
CORE = (
    "napari_usflow",
    "napari_usflow.cli",
    "napari_usflow.cli.denoise",
    "napari_usflow.cli.info",
    "napari_usflow.cli.simulate",
    "napari_usflow.cli.train",
    "napari_usflow.denoise",
    "napari_usflow.denoise.pipeline",
    "napari_usflow.evaluate.demo",
    "napari_usflow.io",
    "napari_usflow.io.writing",
    "napari_usflow.networks",
    "napari_usflow.networks.configs",
    "napari_usflow.networks.store",
    "napari_usflow.prior",
    "napari_usflow.prior.store",
    "napari_usflow.ultrasound.beamform",
    "napari_usflow.ultrasound.data",
    "napari_usflow.ultrasound.speckle",
)


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
