"""A training run without a widget: its events, its end, its closing sentence."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from _napari.fake_training import FakeEngine
from napari_usflow._napari.jobs.worker import Job
from napari_usflow._napari.train.mri_layers import LayerVolume
from napari_usflow._napari.train.run import (
    StepsTaken,
    TrainRequest,
    TrainRun,
    _bundled,
    estimate_text,
    step_text,
)
from napari_usflow.jobs import CancelToken
from napari_usflow.training.events import (
    CheckpointWritten,
    Estimated,
    TrainStep,
    Validated,
)
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.network.configs import NetworkConfig
from napari_usflow.training.run_folder import RunFolder


class Watcher:
    """Collects what a run reports."""

    def __init__(self, request: TrainRequest) -> None:
        self.events: list[Any] = []
        self.ends: list[tuple[str, Exception | None]] = []
        self.run = TrainRun(
            request,
            on_event=self.events.append,
            on_end=lambda *end: self.ends.append(end),
        )


@pytest.fixture
def request_for(tmp_path):
    def make(steps: int = 60, **others: Any) -> TrainRequest:
        config = TrainConfig(likelihood_steps=steps)
        return TrainRequest((Path("knees"),), tmp_path / "run", config, **others)

    yield make
    assert not Job.busy()


def test_steps_come_together_and_in_order_with_the_other_events(tmp_path):
    engine = FakeEngine(step_s=0.0)
    config = TrainConfig(likelihood_steps=1000)
    token = CancelToken()
    run = engine(None, out=tmp_path, config=config, token=token)
    events = list(_bundled(run, token))
    bundles = [e for e in events if isinstance(e, StepsTaken)]
    steps = [s.step for bundle in bundles for s in bundle.steps]
    assert steps == list(range(1, 1001))
    assert len(bundles) < 500
    seen = 0
    for event in events:
        if isinstance(event, StepsTaken):
            seen = event.steps[-1].step
        elif isinstance(event, Validated):
            assert event.step == seen


def test_run_is_saved_when_nobody_listens_any_more(tmp_path):
    token = CancelToken()
    config = TrainConfig(likelihood_steps=10**6)
    run = FakeEngine()(None, out=tmp_path, config=config, token=token)
    events = _bundled(run, token)
    while not isinstance(next(events), StepsTaken):
        pass
    events.close()
    assert token.cancelled
    assert len(RunFolder(tmp_path).checkpoints()) >= 1


@pytest.mark.gui
def test_run_to_its_end(qtbot, engine, request_for):
    watcher = Watcher(request_for(60, device="cpu", minutes=5.0))
    watcher.run.start()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=20_000)
    sentence, error = watcher.ends[0]
    assert error is None
    assert sentence.startswith("Done after ")
    assert "Saved at step 60 in " in sentence
    kinds = [type(e) for e in watcher.events]
    assert kinds.index(Estimated) < kinds.index(StepsTaken)
    (call,) = engine.calls
    assert call["data"] == [Path("knees")]
    assert (call["device"], call["minutes"], call["resume"]) == ("cpu", 5.0, False)
    assert call["start"] is None


@pytest.mark.gui
def test_configuration_decides_what_is_trained(qtbot, engine, network_engine, tmp_path):
    config = NetworkConfig(steps=20)
    request = TrainRequest((Path("knees"),), tmp_path, config, start="realtime")
    watcher = Watcher(request)
    watcher.run.start()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=20_000)
    assert "Saved at step 20 in " in watcher.ends[0][0]
    (call,) = network_engine.calls
    assert (call["config"], call["start"]) == (config, "realtime")
    assert engine.calls == []


@pytest.mark.gui
def test_stop_waits_until_the_run_is_saved(qtbot, engine, request_for):
    engine.save_s = 1.0
    watcher = Watcher(request_for(10**6))
    watcher.run.start()
    qtbot.waitUntil(lambda: any(isinstance(e, StepsTaken) for e in watcher.events))
    watcher.run.stop()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=20_000)
    sentence, error = watcher.ends[0]
    assert error is None
    assert sentence.startswith("Stopped after ")
    last = [e for e in watcher.events if isinstance(e, CheckpointWritten)][-1]
    assert f"Saved at step {last.step} in" in sentence


@pytest.mark.gui
def test_failure_says_what_is_left(qtbot, engine, request_for):
    engine.fail_at = 50
    watcher = Watcher(request_for(100))
    watcher.run.start()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=20_000)
    sentence, error = watcher.ends[0]
    assert "CUDA out of memory" in str(error)
    assert sentence.startswith("Failed: ")
    assert "Saved at step 40 in" in sentence


@pytest.mark.gui
def test_layers_are_read_in_the_thread_and_their_errors_reported(
    qtbot, engine, request_for
):
    good = LayerVolume(np.full((1, 8, 8), 5.0), (0.5, 0.5), "knee")
    bad = LayerVolume(np.full((1, 8, 8), np.nan), (0.5, 0.5), "broken")
    request = request_for(20)
    object.__setattr__(request, "data", (good,))
    watcher = Watcher(request)
    watcher.run.start()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=20_000)
    (stack,) = engine.calls[0]["data"]
    assert (stack.name, stack.slices.max()) == ("knee", 1.0)

    object.__setattr__(request, "data", (good, bad))
    watcher = Watcher(request)
    watcher.run.start()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=20_000)
    assert "'broken' holds NaN" in watcher.ends[0][0]
    assert len(engine.calls) == 1


@pytest.mark.gui
def test_what_a_run_computed_with_is_freed(qtbot, engine, request_for):
    watcher = Watcher(request_for(20))
    watcher.run.start()
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=20_000)

    def freed() -> bool:
        gc.collect()
        return engine.ballast[0]() is None

    qtbot.waitUntil(freed, timeout=2000)


def test_texts_have_two_units_at_most():
    step = TrainStep(120, 7600, 1.234, 1.0, 1e-3, 851.6, 3725.0)
    told = "step 120/7600 · epoch 1.23 · 852 patches/s · 1 h 02 min left"
    assert step_text(step) == told
    fast = TrainStep(40_000, 40_000, 1234.5, 1.0, 1e-3, 12_345.6, 0.0)
    told = "step 40000/40000 · epoch 1230 · 12300 patches/s · 0 s left"
    assert step_text(fast) == told
    text = estimate_text(Estimated(1_234_567, 90_061.0, 851.6, 2**29))
    assert text == "Estimate: 1 d 01 h at 852 patches/s · 1.23 M weights · 537 MB"
