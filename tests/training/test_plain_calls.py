"""Training as one call: its result, its events, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.mri import MriStack
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.prior.architecture import GlowConfig
from napari_usflow.training.events import CheckpointWritten, TrainStep
from napari_usflow.training.flow.configs import CONFIGS
from napari_usflow.training.flow.train import train_prior_events
from napari_usflow.training.network.configs import NETWORK_CONFIGS
from napari_usflow.training.network.train import train_network_events

KINDS = {
    "prior": (
        usf.train_prior,
        train_prior_events,
        replace(
            CONFIGS["cpu"],
            flow=GlowConfig(patch_size=16, steps=(1,), hidden=(4,)),
            likelihood_steps=2,
            denoising_steps=1,
            batch_size=4,
            validation_patches=4,
        ),
    ),
    "network": (
        usf.train_network,
        train_network_events,
        replace(
            NETWORK_CONFIGS["realtime"],
            network=UNetConfig(channels=(4,), blocks=(1,)),
            steps=3,
            batch_size=2,
            crop=16,
            validation_patches=4,
        ),
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def call(kind: str) -> Callable[..., Path]:
    """Train the small model of this kind on two stacks in memory."""
    train, _, config = KINDS[kind]

    def run(out: Path, **options: Any) -> Path:
        return train(stacks(), out=out, config=config, device="cpu", **options)

    return run


def stacks() -> list[MriStack]:
    slices = np.random.default_rng(0).random((2, 48, 48), np.float32)
    return [MriStack(slices, (0.4375, 0.4375), name) for name in ("a", "b")]


def test_call_trains_to_the_end_and_returns_the_file(
    call: Callable[..., Path], kind: str, tmp_path: Path
) -> None:
    events: list[Event] = []

    path = call(tmp_path / "run", on_event=events.append)

    assert path == tmp_path / "run" / f"{kind}.safetensors"
    assert path.is_file()
    steps = [event.step for event in events if isinstance(event, TrainStep)]
    assert steps == [1, 2, 3]
    assert isinstance(events[-1], CheckpointWritten)


def test_generator_yields_the_events_that_the_call_reports(
    call: Callable[..., Path], kind: str, tmp_path: Path
) -> None:
    events: list[Event] = []
    call(tmp_path / "call", on_event=events.append)
    _, generator, config = KINDS[kind]

    yielded = generator(stacks(), out=tmp_path / "events", config=config, device="cpu")

    assert [type(event) for event in yielded] == [type(event) for event in events]


def test_token_that_a_callback_cancels_saves_and_ends_the_run(
    call: Callable[..., Path], tmp_path: Path
) -> None:
    token, steps = CancelToken(), []

    def stop_at_the_second(event: Event) -> None:
        if isinstance(event, TrainStep):
            steps.append(event.step)
            if event.step == 2:
                token.cancel()

    path = call(tmp_path / "run", on_event=stop_at_the_second, token=token)

    assert steps == [1, 2]
    assert path.is_file()


def test_error_of_a_callback_ends_the_run_and_frees_its_folder(
    call: Callable[..., Path], tmp_path: Path
) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, TrainStep):
            raise KeyError("mistake of the callback")

    with pytest.raises(KeyError, match="mistake of the callback"):
        call(tmp_path / "run", on_event=fail)

    assert call(tmp_path / "run", resume=True).is_file()
