"""A network as a method: tiles without seams, files of one's own, and what is told."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter, minimum_filter

from napari_usflow.denoise import amortized, create, denoise
from napari_usflow.errors import Cancelled, PriorError, UsflowError
from napari_usflow.jobs import CancelToken, Progress, result_of
from napari_usflow.networks import precision


def network_file(path: Path, seed: int = 0, factor: float = 0.1) -> Path:
    """A network whose weights matter everywhere, and that is quick."""
    from napari_usflow.networks.architecture import UNetConfig
    from napari_usflow.networks.store import save_network
    from napari_usflow.networks.unet import UNet

    network = UNet(UNetConfig(channels=(6, 8), blocks=(1, 1)))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(factor * torch.randn(weights.shape, generator=generator))
    save_network(network, path, {"pixel_mm": 0.4375})
    return path


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return network_file(tmp_path / "toy.safetensors")


@pytest.fixture
def in_float32(monkeypatch) -> None:
    """The same arithmetic on every processor."""
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: False)


def run(
    prior: Path | None,
    frame: np.ndarray,
    sigma: float = 0.1,
    method: str = "realtime",
    **params: str,
) -> np.ndarray:
    denoiser = create(method, prior=prior, device="cpu", **params)
    return result_of(denoiser.run(frame, sigma=sigma, seed=0, token=CancelToken()))


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_tiles_give_what_the_whole_frame_gives(
    toy: Path, in_float32: None, monkeypatch
) -> None:
    """Of odd sizes too: a tile that began between two pixels of the network's coarsest
    scale would show its seam."""
    frame = picture(151, 97)
    whole = run(toy, frame)
    monkeypatch.setattr(amortized, "_TILE", 37)
    monkeypatch.setattr(amortized, "_MARGIN", 30)

    np.testing.assert_allclose(run(toy, frame), whole, atol=1e-5)

    # The margin is needed: without it the seams are seen.
    monkeypatch.setattr(amortized, "_MARGIN", 0)
    assert np.abs(run(toy, frame) - whole).max() > 1e-2


def test_tiles_are_reported_one_by_one(toy: Path, monkeypatch) -> None:
    monkeypatch.setattr(amortized, "_TILE", 20)
    denoiser = create("realtime", prior=toy, device="cpu")

    events = denoiser.run(picture(40, 60), sigma=0.1, seed=0, token=CancelToken())

    done = [(e.done, e.total) for e in events if isinstance(e, Progress)]
    assert done == [(i, 6) for i in range(1, 7)]


def test_result_is_what_the_network_says(toy: Path, in_float32: None) -> None:
    from napari_usflow.networks.store import load_network

    frame = picture(24, 30)
    unet = load_network(toy, device="cpu").unet
    with torch.no_grad():
        said = unet(torch.from_numpy(frame)[None, None], torch.tensor([0.2]))
    expected = np.clip(
        said[0, 0].numpy(), minimum_filter(frame, 7), maximum_filter(frame, 7)
    )
    np.testing.assert_allclose(run(toy, frame, 0.2), expected, atol=1e-6)


def test_noise_level_is_told_to_the_network(toy: Path) -> None:
    frame = picture(24, 24)
    assert np.abs(run(toy, frame, 0.3) - run(toy, frame, 0.05)).max() > 1e-3


def test_bfloat16_costs_less_than_it_rounds(toy: Path, monkeypatch) -> None:
    frame = picture(64, 64)
    results = []
    for wanted in (False, True):
        monkeypatch.setattr(precision, "computes_bfloat16", lambda _, w=wanted: w)
        results.append(run(toy, frame))
    error = results[1] - results[0]
    # Eight bits of mantissa: 2^-8 of what is taken away, and some layers of it.
    assert 0 < np.sqrt(np.mean(error**2)) < 0.02 * np.std(results[0] - frame)


def test_network_of_ones_own_is_used_and_named(toy: Path) -> None:
    made = create("realtime", prior=toy, device="cpu").provenance()
    assert (made["network"], len(made["network_sha256"])) == ("toy", 64)
    assert made["device"] == "cpu"
    assert made["precision"] in ("bfloat16", "float32")


@pytest.mark.parametrize("method", ["realtime", "best"])
def test_each_kind_of_noise_has_its_network(method: str) -> None:
    names = [
        create(method, noise=noise, device="cpu").provenance()["network"]
        for noise in ("speckle", "white")
    ]
    assert names == ["realtime", "realtime-white"]


@pytest.mark.parametrize(
    ("noise", "quarters"), [("speckle", (0, 2)), ("white", (0, 1, 2, 3))]
)
def test_best_is_the_mean_over_turned_and_mirrored_images(
    toy: Path, in_float32: None, noise: str, quarters: tuple[int, ...]
) -> None:
    frame = picture(24, 30)
    found = []
    for turns in quarters:
        for axes in ((), (1,)):
            seen = np.flip(np.rot90(frame, turns), axes)
            found.append(np.rot90(np.flip(run(toy, seen.copy()), axes), -turns))

    best = run(toy, frame, method="best", noise=noise)

    assert np.ptp(found, axis=0).max() > 1e-2
    np.testing.assert_allclose(best, np.mean(found, axis=0), atol=1e-5)


def test_file_that_is_no_network_is_refused(tiny_prior: Path) -> None:
    with pytest.raises(PriorError, match="not a network of this program"):
        denoise(picture(20, 20), method="realtime", prior=tiny_prior, device="cpu")


def test_a_result_never_lies_beyond_what_is_seen_nearby(tmp_path) -> None:
    wild = network_file(tmp_path / "wild.safetensors", factor=2.0)
    frame = picture(40, 40)

    result = run(wild, frame)

    lowest, highest = minimum_filter(frame, 7), maximum_filter(frame, 7)
    assert (result >= lowest - 1e-6).all()
    assert (result <= highest + 1e-6).all()
    # It would have: many pixels are at their limits.
    assert (np.isclose(result, lowest) | np.isclose(result, highest)).mean() > 0.5


def test_onnxruntime_gives_what_torch_gives(
    toy: Path, in_float32: None, monkeypatch
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    frame = picture(61, 47)
    # Of several sizes, and with the margin: as one frame.
    monkeypatch.setattr(amortized, "_TILE", 37)
    np.testing.assert_allclose(
        run(toy, frame, 0.2, backend="onnx"), run(toy, frame, 0.2), atol=1e-5
    )


def test_onnxruntime_computes_on_the_processor(toy: Path) -> None:
    made = create("realtime", prior=toy, device="auto", backend="onnx").provenance()
    assert (made["device"], made["parameters"]["backend"]) == ("cpu", "onnx")
    assert made["precision"] == "float32"

    elsewhere = create("realtime", prior=toy, device="cuda", backend="onnx")
    with pytest.raises(ValueError, match="on the processor, not on cuda"):
        elsewhere.provenance()


def test_onnxruntime_that_is_missing_names_the_extra(toy: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsflowError, match=r"onnxruntime package: .*usflow\[onnx\]"):
        run(toy, picture(20, 20), backend="onnx")


def test_cancel_ends_onnxruntime_in_the_middle_of_a_pass() -> None:
    """Of the shipped network, which takes seconds for a tile of this size."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    denoiser = create("realtime", device="cpu", backend="onnx")
    result_of(denoiser.run(picture(8, 8), sigma=0.1, seed=0, token=CancelToken()))
    token, asked = CancelToken(), []

    def cancel() -> None:
        asked.append(time.perf_counter())
        token.cancel()

    threading.Timer(0.2, cancel).start()
    with pytest.raises(Cancelled):
        result_of(denoiser.run(picture(768, 768), sigma=0.1, seed=0, token=token))

    assert time.perf_counter() - asked[0] < 0.5
    # Nothing is left computing.
    for thread in threading.enumerate():
        if thread.name == "usflow-library":
            thread.join(1.0)
            assert not thread.is_alive()
