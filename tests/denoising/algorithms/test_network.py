"""A network as a method: tiles without seams, files of one's own, and what is told."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_usflow.denoising.algorithms import network as amortized
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create, denoise
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.errors import Cancelled, PriorError, UsflowError
from napari_usflow.jobs import CancelToken, FrameDone, Progress, result_of
from napari_usflow.networks import precision
from napari_usflow.training.network.speckle_synthesis import speckle_field
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage


def network_file(path: Path) -> Path:
    """A network whose weights matter everywhere, and that is quick."""
    from napari_usflow.networks.architecture import UNetConfig
    from napari_usflow.networks.store import save_network
    from napari_usflow.networks.unet import UNet

    network = UNet(UNetConfig(channels=(6, 8), blocks=(1, 1)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(0.1 * torch.randn(weights.shape, generator=generator))
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
    denoiser = create(method, weights=prior, device="cpu", **params)
    return result_of(denoiser.run(frame, Run(sigma)))


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("method", ["realtime", "best"])
def test_tiles_give_what_the_whole_frame_gives(
    toy: Path, in_float32: None, monkeypatch, method: str
) -> None:
    """Of odd sizes too: a tile that began between two pixels of the network's coarsest
    scale would show its seam."""
    frame = picture(151, 97)
    whole = run(toy, frame, method=method)
    monkeypatch.setattr(amortized, "_TILE", 37)
    monkeypatch.setattr(amortized, "_MARGIN", 30)

    np.testing.assert_allclose(run(toy, frame, method=method), whole, atol=1e-5)

    # The margin is needed: without it the seams are seen.
    monkeypatch.setattr(amortized, "_MARGIN", 0)
    assert np.abs(run(toy, frame, method=method) - whole).max() > 1e-2


def test_tiles_are_reported_one_by_one(toy: Path, monkeypatch) -> None:
    monkeypatch.setattr(amortized, "_TILE", 20)
    denoiser = create("realtime", weights=toy, device="cpu")

    events = denoiser.run(picture(40, 60), Run(0.1))

    done = [(e.done, e.total) for e in events if isinstance(e, Progress)]
    assert done == [(i, 6) for i in range(1, 7)]


def test_result_is_what_the_network_says(toy: Path, in_float32: None) -> None:
    from napari_usflow.networks.store import load_network

    frame = picture(24, 30)
    unet = load_network(toy, device="cpu").unet
    with torch.no_grad():
        said = unet(torch.from_numpy(frame)[None, None], torch.tensor([0.2]))
    np.testing.assert_allclose(run(toy, frame, 0.2), said[0, 0].numpy(), atol=1e-6)


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
    made = create("realtime", weights=toy, device="cpu").provenance()
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


SPECKLE_NOISE = Noise(0.09, (0.8, 1.2), white=False)
WHITE_NOISE = Noise(0.1, (0.2, 0.2), white=True)


@pytest.mark.parametrize(
    ("noise", "network", "blind"),
    [(SPECKLE_NOISE, "realtime", True), (WHITE_NOISE, "realtime-white", False)],
)
@pytest.mark.parametrize("method", ["realtime", "best"])
def test_network_is_chosen_by_the_noise(method, noise, network, blind) -> None:
    chosen = create(method, device="cpu").suited(noise)

    assert (chosen.name, chosen.device) == (method, "cpu")
    assert chosen.provenance()["network"] == network
    assert chosen.blind == blind


def test_network_that_was_named_stays_whatever_the_noise(toy: Path) -> None:
    named = create("best", noise="speckle", device="cpu")
    own = create("best", weights=toy, device="cpu")

    assert named.suited(WHITE_NOISE) is named
    assert own.suited(WHITE_NOISE) is own


@pytest.mark.parametrize("kind", ["speckle", "white"])
def test_left_to_itself_the_method_takes_the_network_of_the_image(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    field = speckle_field(
        torch.ones(1, 96, 96), torch.tensor([[0.8, 1.2]]), generator=generator
    )
    frame = {
        "speckle": (0.6 + 20 * field[0].abs().log10() / 60).numpy(),
        "white": (0.5 + 0.1 * torch.randn(96, 96, generator=generator)).numpy(),
    }[kind]
    image = UltrasoundImage(
        60 * frame[None] - 60, "db", PixelGrid((96, 96), (0.2, 0.2), (0.0, 0.0))
    )

    auto, named = (
        next(
            event
            for event in denoise_events(
                image, create("realtime", noise=noise, device="cpu"), Settings()
            )
            if isinstance(event, FrameDone)
        )
        for noise in ("auto", kind)
    )

    assert auto.info["white_noise"] == (kind == "white")
    np.testing.assert_array_equal(auto.data, named.data)
    assert auto.data[8:-8, 8:-8].std() < 0.3 * image.data[0, 8:-8, 8:-8].std()


@pytest.mark.parametrize(("grain", "own"), [((3.0, 4.0), True), ((9.0, 3.0), False)])
def test_network_works_at_the_images_own_pixel_unless_that_is_tiny(grain, own) -> None:
    pixel = create("best").working_pixel(Noise(0.09, grain, white=False))

    assert pixel.own == own
    if not own:
        assert pixel.steps[0] > 1 and pixel.steps[1] == 1


@pytest.mark.parametrize(
    ("noise", "quarters", "shifts"),
    [("speckle", (0, 2), ((0, 0), (3, 5))), ("white", (0, 1, 2, 3), ((0, 0),))],
)
def test_best_is_the_mean_over_mirrored_and_shifted_copies(
    toy: Path, in_float32: None, noise: str, quarters, shifts
) -> None:
    """Speckle is not turned by a quarter: its grain has a direction."""
    frame = picture(24, 30)
    found = []
    for turns in quarters:
        for axes in ((), (1,)):
            seen = np.flip(np.rot90(frame, turns), axes)
            for rows, columns in shifts:
                moved = np.pad(seen, ((rows, 0), (columns, 0)), mode="symmetric")
                clean = run(toy, moved)[rows:, columns:]
                found.append(np.rot90(np.flip(clean, axes), -turns))

    best = run(toy, frame, method="best", noise=noise)

    assert np.ptp(found, axis=0).max() > 1e-2
    np.testing.assert_allclose(best, np.mean(found, axis=0), atol=1e-5)


def test_file_that_is_no_network_is_refused(tiny_prior: Path) -> None:
    with pytest.raises(PriorError, match="not a network of this program"):
        denoise(picture(20, 20), method="realtime", weights=tiny_prior, device="cpu")


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
    made = create("realtime", weights=toy, device="auto", backend="onnx").provenance()
    assert (made["device"], made["parameters"]["backend"]) == ("cpu", "onnx")
    assert made["precision"] == "float32"

    elsewhere = create("realtime", weights=toy, device="cuda", backend="onnx")
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
    result_of(denoiser.run(picture(8, 8), Run(0.1)))
    token, asked = CancelToken(), []

    def cancel() -> None:
        asked.append(time.perf_counter())
        token.cancel()

    threading.Timer(0.2, cancel).start()
    with pytest.raises(Cancelled):
        result_of(denoiser.run(picture(768, 768), Run(0.1, token=token)))

    assert time.perf_counter() - asked[0] < 0.5
    # Nothing is left computing.
    for thread in threading.enumerate():
        if thread.name == "usflow-library":
            thread.join(1.0)
            assert not thread.is_alive()
