"""ONNX files: what torch computes, on any size, by another program."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_usflow.errors import PriorError, UsflowError
from napari_usflow.networks.onnx_export import export_onnx
from napari_usflow.networks.store import load_network, save_network
from napari_usflow.networks.unet import UNet

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


@pytest.fixture
def weights(toy_network: UNet, tmp_path: Path) -> Path:
    file = tmp_path / "toy.safetensors"
    save_network(toy_network, file, {"pixel_mm": 0.4375, "licence": "CC0-1.0"})
    return file


@pytest.fixture
def exported(weights: Path) -> Path:
    path = weights.with_name("toy.onnx")
    export_onnx(weights, path)
    return path


def run(path: Path, noisy: np.ndarray, sigma: np.ndarray, threads: int = 1):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"noisy": noisy, "sigma": sigma})[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (2, 9), (7, 5), (33, 48), (64, 64)])
def test_file_gives_what_torch_gives(weights: Path, exported: Path, shape) -> None:
    rng = np.random.default_rng(0)
    noisy = rng.random((2, 1, *shape), dtype=np.float32)
    sigma = np.array([0.05, 0.4], dtype=np.float32)

    clean = run(exported, noisy, sigma)

    with torch.no_grad():
        unet = load_network(weights, device="cpu").unet
        said = unet(torch.from_numpy(noisy), torch.from_numpy(sigma)).numpy()
    assert clean.dtype == np.float32
    np.testing.assert_allclose(clean, said, atol=1e-5)


def test_result_does_not_depend_on_the_threads(exported: Path) -> None:
    noisy = np.random.default_rng(0).random((1, 1, 90, 70), dtype=np.float32)
    sigma = np.array([0.1], dtype=np.float32)
    np.testing.assert_array_equal(
        run(exported, noisy, sigma, threads=1), run(exported, noisy, sigma, threads=3)
    )


def test_file_does_not_depend_on_the_threads(weights: Path, exported: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        export_onnx(weights, weights.with_name("again.onnx"))
    finally:
        torch.set_num_threads(before)
    assert weights.with_name("again.onnx").read_bytes() == exported.read_bytes()


def test_file_says_what_it_is(weights: Path, exported: Path) -> None:
    model = onnx.load(exported)

    onnx.checker.check_model(model, full_check=True)
    told = {prop.key: prop.value for prop in model.metadata_props}
    assert (told["pixel_mm"], told["licence"]) == ("0.4375", "CC0-1.0")
    assert told["network_sha256"] == load_network(weights, device="cpu").sha256
    assert json.loads(told["usflow"])["architecture"]["channels"] == [6, 8]
    named = [value.name for value in (*model.graph.input, *model.graph.output)]
    assert named == ["noisy", "sigma", "clean"]
    assert {opset.domain for opset in model.opset_import} == {""}


def test_card_without_pixel_and_licence_is_no_reason_to_fail(
    toy_network: UNet, tmp_path: Path
) -> None:
    save_network(toy_network, tmp_path / "bare.safetensors", {})
    export_onnx(tmp_path / "bare.safetensors", tmp_path / "bare.onnx")
    told = {p.key for p in onnx.load(tmp_path / "bare.onnx").metadata_props}
    assert told == {"network_sha256", "usflow"}


def test_other_endings_are_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"toy\.pt: give .* ends in \.onnx"):
        export_onnx(weights, weights.with_name("toy.pt"))


def test_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="nowhere: no such network"):
        export_onnx("nowhere", tmp_path / "out.onnx")


def test_folder_that_is_not_there_is_told(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsflowError, match=r"out\.onnx cannot be written: No such file"):
        export_onnx(weights, tmp_path / "nowhere" / "out.onnx")


def test_failure_leaves_the_file_that_was_there(
    weights: Path, exported: Path, monkeypatch
) -> None:
    before = exported.read_bytes()

    def full(self: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsflowError, match="No space left on device"):
        export_onnx(weights, exported)

    assert exported.read_bytes() == before
    assert {file.name for file in weights.parent.iterdir()} == {
        "toy.onnx",
        "toy.safetensors",
    }


def test_missing_package_names_the_extra(weights: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsflowError, match=r"the onnx package: pip .*usflow\[onnx\]"):
        export_onnx(weights, weights.with_name("toy.onnx"))
