"""Fixtures of the napari tests: a denoiser that can be slow or fail, and files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Nothing a test does may end up in the preferences of whoever runs it.
os.environ["NAPARI_CONFIG"] = ""

import h5py
import numpy as np
import pytest

from _napari.fake_training import FakeEngine
from napari_usflow.denoising import contract
from napari_usflow.jobs import Event, Progress
from napari_usflow.parameters import parameter
from register_method import register

PLANE_WAVES = (1, 3, 11)
AXIAL_STEP_MM, LATERAL_STEP_MM = 0.2, 0.4
ORIGIN_MM = (5.0, -6.0)
SHAPE = (60, 30)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        skip = pytest.mark.skip(reason="no display; run under xvfb-run")
        for item in items:
            if item.get_closest_marker("gui"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def fresh_own_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """No prior that another test took into use is remembered."""
    from napari_usflow._napari.denoise import own_weights as priors

    kept: list[str] = []
    monkeypatch.setattr(priors, "own_weights", lambda: list(kept))
    monkeypatch.setattr(
        priors,
        "remember_own_weights",
        lambda paths: kept.__setitem__(slice(None), paths),
    )
    priors.own_weights_registry.cache_clear()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A stand-in for the training engine."""
    engine = FakeEngine()
    stand_in = SimpleNamespace(train_prior_events=engine)
    monkeypatch.setitem(sys.modules, "napari_usflow.training.flow.train", stand_in)
    return engine


@pytest.fixture
def network_engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A stand-in for the engine where networks are trained."""
    engine = FakeEngine(network=True)
    stand_in = SimpleNamespace(train_network_events=engine)
    monkeypatch.setitem(sys.modules, "napari_usflow.training.network.train", stand_in)
    return engine


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    """A network with random weights."""
    from napari_usflow.networks.architecture import UNetConfig
    from napari_usflow.networks.store import save_network
    from napari_usflow.networks.unet import UNet

    path = tmp_path / "own-network.safetensors"
    save_network(UNet(UNetConfig(channels=(4,), blocks=(1,))), path, {})
    return path


@dataclass(frozen=True)
class HalvingParams:
    seconds: float = parameter(0.0, minimum=0.0, unit="s", help="Time a frame takes")
    fail_at: float = parameter(-1.0, help="Brightest value of the frame that fails")
    deaf: bool = parameter(False, help="Do not look at the token")


class Halving(contract.Denoiser):
    """Gives half the frame; slow, failing or deaf when asked to."""

    name = "halving"
    title = "Halving (a test)"
    baseline = True
    Params = HalvingParams

    def run(
        self, frame: contract.Frame, run: contract.Run
    ) -> Generator[Event, None, contract.Frame]:
        end = time.monotonic() + self.params.seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.005))
            if not self.params.deaf:
                run.token.raise_if_cancelled()
                yield Progress(round(1000 * (1 - left / self.params.seconds)), 1000)
        if np.isclose(frame.max(), self.params.fail_at):
            raise RuntimeError("CUDA out of memory")
        return frame / 2


@pytest.fixture
def halving(monkeypatch: pytest.MonkeyPatch) -> type[Halving]:
    """The test denoiser, registered for one test."""
    register(monkeypatch, Halving)
    return Halving


@pytest.fixture
def grey_stack() -> np.ndarray:
    """Five 8-bit frames in display grey; frame i has the brightest value 50 + 10 i."""
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 50, (5, 24, 20)).astype(np.uint8)
    stack[:, 0, 0] = 50 + 10 * np.arange(5)
    return stack


@pytest.fixture
def layer_kwargs() -> dict[str, Any]:
    """Where and how the test layers lie, all of it unlike the defaults."""
    return {
        "name": "clip",
        "scale": (0.02, 0.5, 0.25),
        "translate": (0.0, 5.0, -2.5),
        "units": ("s", "mm", "mm"),
        "axis_labels": ("t", "z", "x"),
        "contrast_limits": (10, 200),
        "colormap": "magma",
        "gamma": 0.8,
    }


@pytest.fixture
def picmus_image(tmp_path: Path) -> Path:
    """A file in the layout of the PICMUS images: MATLAB axis order, metres."""
    rng = np.random.default_rng(1)
    axial, lateral = SHAPE
    envelope = rng.rayleigh(size=(len(PLANE_WAVES), lateral, axial))
    path = tmp_path / "speckle_img_from_rf.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["version"] = np.array([b"v.0.0.41"])
        group = file.create_group("US/US_DATASET0000")
        group.attrs["name"] = np.array([b"speckle"])
        group.attrs["type"] = np.array([1], np.int32)
        group.attrs["signal_format"] = np.array([2], np.int32)
        group["data/real"] = envelope.astype(np.float32)
        group["data/imag"] = np.zeros_like(envelope, np.float32)
        group["number_plane_waves"] = np.array(PLANE_WAVES, np.float32)
        for name, start, step, count in (
            ("z_axis", ORIGIN_MM[0], AXIAL_STEP_MM, axial),
            ("x_axis", ORIGIN_MM[1], LATERAL_STEP_MM, lateral),
        ):
            axis = 1e-3 * (start + step * np.arange(count))
            group[f"scan/{name}"] = axis.astype(np.float32)
        group["transmit_f_number"] = np.zeros(1, np.float32)
        group["receive_f_number"] = np.full(1, 1.75, np.float32)
    return path


def write_phantom(path: Path, *, cysts: int = 2, points: int = 3) -> Path:
    """Write a file in the layout of the PICMUS phantoms."""
    with h5py.File(path, "w") as file:
        group = file.create_group("US/US_DATASET0000")
        columns = {
            "scatterers_positions": np.zeros((3, 4)),
            "scatterers_amplitude": np.ones(4),
            "phantom_xPts": 1e-3 * np.arange(points),
            "phantom_zPts": 1e-3 * (10 + np.arange(points)),
            "phantom_occlusionCenterX": 1e-3 * np.arange(cysts),
            "phantom_occlusionCenterZ": np.full(cysts, 20e-3),
            "phantom_occlusionDiameter": np.full(cysts, 4e-3),
            "phantom_RoiCenterX": np.array([8e-3]),
            "phantom_RoiCenterZ": np.array([21e-3]),
            "phantom_RoiPsfTimeX": np.array([8.0]),
            "phantom_RoiPsfTimeZ": np.array([6.0]),
            "phantom_lateralResolution": np.array([0.5e-3]),
            "phantom_axialResolution": np.array([0.25e-3]),
        }
        for name, column in columns.items():
            group[name] = column.astype(np.float32)
        group.attrs["name"] = np.array([b"cysts"])
    return path


def write_scan(path: Path) -> Path:
    """Write a file in the layout of the PICMUS scans."""
    with h5py.File(path, "w") as file:
        group = file.create_group("US/US_DATASET0000")
        group["x_axis"] = np.linspace(-0.01, 0.01, 20).astype(np.float32)
        group["z_axis"] = np.linspace(0.005, 0.03, 30).astype(np.float32)
    return path


@pytest.fixture
def phantom_file(tmp_path: Path) -> Path:
    """Two cysts, three points and a region of speckle."""
    return write_phantom(tmp_path / "cysts_phantom.hdf5")


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    """Pixel positions only."""
    return write_scan(tmp_path / "cysts_scan.hdf5")
