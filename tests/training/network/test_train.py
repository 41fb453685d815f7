"""Training a network by the engine of priors: it learns, stops, goes on, is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_usflow as usf
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.mri import MriStack
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.store import load_network, read_network_card
from napari_usflow.networks.unet import UNet
from napari_usflow.training.events import (
    CheckpointWritten,
    Estimated,
    Previewed,
    TrainStep,
    Validated,
)
from napari_usflow.training.network import pairs, scenes
from napari_usflow.training.network.configs import NETWORK_CONFIGS, NetworkConfig
from napari_usflow.training.network.train import (
    train_network,
    train_network_events,
)
from napari_usflow.training.run_folder import RunFolder

TINY = NetworkConfig(
    network=UNetConfig(channels=(8, 8), blocks=(1, 1)),
    steps=8,
    batch_size=8,
    crop=16,
    gaussian_fraction=0.375,
    warmup_steps=2,
    validate_every=100,
    validation_patches=12,
)


@pytest.fixture
def no_black_pictures() -> Iterator[None]:
    """Graphics and water cover pictures of few pixels, which then have no noise."""

    def nothing(shape: tuple[int, ...], _: torch.Generator) -> tuple[torch.Tensor, ...]:
        return torch.zeros(shape, dtype=torch.bool), torch.zeros(shape)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "draw_graphics", nothing)
        patch.setattr(scenes, "_WATER_SHARE", 0.0)
        yield


def events_of(
    stacks: list[MriStack], out: Path, config: NetworkConfig | None = TINY, **options
) -> list[Event]:
    return list(
        train_network_events(stacks, out=out, config=config, device="cpu", **options)
    )


def folder(path: Path) -> RunFolder:
    return RunFolder(path, "network.safetensors")


def weights(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder(path).checkpoints()[0].path, weights_only=True)
    return {**state["network"], **{f"avg {k}": v for k, v in state["average"].items()}}


def steps_of(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, TrainStep)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """A run of eight steps that nothing disturbed, and its events."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    return path, events_of(_stacks(), path)


def _stacks() -> list[MriStack]:
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(2, 3, 48, 48)), axis=-1).astype(np.float32)
    smooth -= smooth.min()
    return [
        MriStack(slices / slices.max(), (0.4375, 0.4375), name)
        for name, slices in zip(("knee_a", "knee_b"), smooth, strict=True)
    ]


def test_events_come_as_from_a_prior(whole) -> None:
    _, events = whole
    kinds = [type(event) for event in events if not isinstance(event, Note)]
    kinds = [kind for kind in kinds if kind.__name__ != "Progress"]
    assert kinds == [Estimated, *[TrainStep] * 8, Validated, Previewed, kinds[-1]]
    assert kinds[-1] is CheckpointWritten
    (estimate,) = (event for event in events if isinstance(event, Estimated))
    assert estimate.parameters == sum(
        p.numel() for p in UNet(TINY.network).parameters()
    )


def test_quality_is_told_for_noise_and_for_speckle(whole) -> None:
    _, events = whole
    (judged,) = (event for event in events if isinstance(event, Validated))
    assert judged.bits_per_dim is None
    assert set(judged.psnr_db) == {0.1, 0.2, 0.3, 0.4}
    # After eight steps it does next to nothing: what is left is the noise, which
    # is a little less once it is clipped to [0, 1].
    for sigma, found in judged.psnr_db.items():
        assert -20 * np.log10(sigma) - 0.5 < found < -20 * np.log10(sigma) + 8
    assert 10 < judged.speckle_psnr_db < 35


def test_previews_are_pictures_of_both(whole) -> None:
    _, events = whole
    (shown,) = (event for event in events if isinstance(event, Previewed))
    assert shown.real.shape == shown.noisy.shape == shown.denoised.shape
    assert shown.real.shape == (16, 16, 16) and not len(shown.generated)
    # With noise in one half and speckle in the other, and their own targets.
    # But where a picture is black or covered by graphics, where there is none.
    noise = shown.noisy - shown.real
    noisy = (noise != 0).any(axis=(1, 2))
    error = np.array([np.std(n[n != 0]) for n in noise[noisy]])
    assert (error > 0.01).all()
    assert noisy[:8].all() and noisy.sum() >= 14


def test_run_folder_holds_a_network_with_its_card(whole) -> None:
    path, _ = whole
    network = load_network(path / "network.safetensors", device="cpu")
    card = network.card
    assert network.unet.config == TINY.network
    assert card["training"]["steps_done"] == 8 and card["training"]["crop"] == 16
    assert card["data"] == ["knee_b"] and card["pixel_mm"] == 0.4375
    assert set(card["held_out"]) == {"step", "psnr_db", "speckle_psnr_db"}
    assert json.loads((path / "config.json").read_text())["kind"] == "network"


def test_run_folder_holds_figures_that_can_be_opened(whole) -> None:
    from PIL import Image

    for name in ("curves.png", "samples.png"):
        with Image.open(whole[0] / "figures" / name) as picture:
            assert min(picture.size) > 100


def test_network_learns_to_take_away_both_kinds_of_noise(
    no_black_pictures: None, stacks: list[MriStack], tmp_path: Path
) -> None:
    config = replace(TINY, steps=120, learning_rate=6e-3, average=0.8, batch_size=16)
    events = events_of(stacks, tmp_path / "run", replace(config, validate_every=60))
    start, end = (event for event in events if isinstance(event, Validated))
    assert all(end.psnr_db[sigma] > start.psnr_db[sigma] for sigma in end.psnr_db)
    assert end.speckle_psnr_db > start.speckle_psnr_db
    *_, shown = (event for event in events if isinstance(event, Previewed))
    before, after = (
        np.square(pictures - shown.real).mean(axis=(1, 2))
        for pictures in (shown.noisy, shown.denoised)
    )
    half = len(before) // 2
    assert after[:half].sum() < 0.7 * before[:half].sum()
    assert after[half:].sum() < 0.9 * before[half:].sum()


def test_run_that_is_stopped_and_resumed_equals_one_that_was_not(
    whole, tmp_path: Path
) -> None:
    token = CancelToken()
    for event in train_network_events(
        _stacks(), out=tmp_path / "parts", config=TINY, device="cpu", token=token
    ):
        if isinstance(event, TrainStep) and event.step == 5:
            token.cancel()
    assert folder(tmp_path / "parts").checkpoints()[0].step == 5
    assert load_network(tmp_path / "parts" / "network.safetensors", device="cpu")

    rest = events_of(_stacks(), tmp_path / "parts", None, resume=True)

    assert steps_of(rest) == [6, 7, 8]
    expected, found = weights(whole[0]), weights(tmp_path / "parts")
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    curves = [
        [record["loss"] for record in folder(path).records() if "loss" in record]
        for path in (whole[0], tmp_path / "parts")
    ]
    assert curves[0] == curves[1]


SCRIPT = textwrap.dedent(
    """
    import sys
    import time
    from dataclasses import replace
    import torch
    torch.set_num_threads(1)
    sys.path.insert(0, sys.argv[1])
    from test_train import TINY, _stacks, train_network_events

    config = replace(TINY, checkpoint_minutes=0.001)
    events = train_network_events(
        _stacks(), out=sys.argv[2], config=config, device="cpu"
    )
    for event in events:
        time.sleep(0.07)  # longer than the time between checkpoints
    """
)


def test_run_that_is_killed_goes_on_as_if_it_had_not_been(
    whole, tmp_path: Path
) -> None:
    script, run = tmp_path / "script.py", folder(tmp_path / "run")
    script.write_text(SCRIPT, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parent), str(run.path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        while not run.checkpoints():
            assert process.poll() is None, "the run ended early"
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    read_network_card(run.checkpoints()[0].weights)

    rest = events_of(_stacks(), run.path, resume=True)

    assert steps_of(rest)[-1] == 8
    expected, found = weights(whole[0]), weights(run.path)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    steps = [record["step"] for record in run.records() if "loss" in record]
    assert steps == list(range(1, 9))


def test_run_begins_with_the_weights_of_another(whole, tmp_path: Path) -> None:
    first = whole[0] / "network.safetensors"
    other = replace(
        TINY,
        network=UNetConfig(channels=(4,), blocks=(1,)),
        learning_rate=0.0,
        final_learning_rate=0.0,
    )
    events_of(_stacks(), tmp_path / "run", other, start=first, minutes=0.0)
    second = load_network(tmp_path / "run" / "network.safetensors", device="cpu").unet
    begun = load_network(first, device="cpu").unet
    assert second.config == TINY.network
    for ours, theirs in zip(second.parameters(), begun.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_run_of_a_prior_is_not_gone_on_with(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.begin({"kind": "flow", "likelihood_steps": 10}, 0)
    for file in (run.checkpoint(5).path, run.checkpoint(5).weights):
        file.touch()
    with pytest.raises(ValueError, match="a flow training run, but a network was"):
        events_of(_stacks(), run.path, None, resume=True)
    with pytest.raises(ValueError, match="a flow training run, but a network was"):
        events_of(_stacks(), run.path, NETWORK_CONFIGS["realtime"], resume=True)


def test_configuration_of_a_flow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'best'; choose one of realtime, realtime-w"):
        usf.train_network(_stacks(), out=tmp_path / "run", config="best")
    from napari_usflow.training.flow.configs import CONFIGS

    with pytest.raises(ValueError, match="config is a TrainConfig; pass a NetworkConf"):
        train_network(_stacks(), out=tmp_path / "run", config=CONFIGS["cpu"])
