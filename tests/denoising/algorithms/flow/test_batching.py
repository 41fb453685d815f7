"""Batches where memory ends, on every device there is."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch

from napari_usflow.denoising.algorithms.flow import batching
from napari_usflow.denoising.algorithms.flow.batching import LARGEST_BATCH, batch_events
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.errors import JobError
from napari_usflow.jobs import Event, Note, Progress
from napari_usflow.prior.glow import Glow

CPU = torch.device("cpu")
FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class Recorder:
    """Work that fails where more patches are asked for than fit."""

    def __init__(self, room: int = 10**6) -> None:
        self.room = room
        self.done: list[tuple[int, int]] = []

    def __call__(self, start: int, stop: int) -> Generator[Event, None, None]:
        yield Progress(start, stop)
        if stop - start > self.room:
            raise FULL
        self.done.append((start, stop))


def run(denoiser: Any, frame: np.ndarray) -> tuple[np.ndarray, list[Event]]:
    """The result of a denoiser, and its events."""
    events = denoiser.run(frame, Run(0.1))
    told = []
    while True:
        try:
            told.append(next(events))
        except StopIteration as stop:
            return stop.value, told


def test_every_patch_is_worked_on_once_and_in_order() -> None:
    work = Recorder()

    list(batch_events(10, 4, CPU, work))

    assert work.done == [(0, 4), (4, 8), (8, 10)]


def test_a_batch_that_does_not_fit_is_halved_and_what_was_finished_stays() -> None:
    work = Recorder()
    events = batch_events(12, 4, CPU, work)
    next(events), next(events)  # the second batch has begun
    work.room = 1

    told = [event for event in events if isinstance(event, Note)]

    assert work.done == [(0, 4), *((i, i + 1) for i in range(4, 12))]
    assert ["2 patches" in told[0].text, "1 patch at" in told[1].text] == [True, True]


def test_a_patch_that_does_not_fit_by_itself_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(JobError, match="device cpu"):
        list(batch_events(4, 2, CPU, Recorder(room=0)))


def test_other_errors_are_not_taken_for_a_full_memory() -> None:
    def work(start: int, stop: int) -> Generator[Event, None, None]:
        yield Progress(start, stop)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(batch_events(4, 2, CPU, work))


@pytest.mark.parametrize(
    ("free", "then"), [(1000, 50), (10, 4), (10**9, LARGEST_BATCH)]
)
def test_where_memory_is_counted_the_first_batch_tells_how_many_fit(
    monkeypatch, free, then
) -> None:
    # Four patches took 40, so that half of 1000 holds 50 of them.
    monkeypatch.setattr(batching, "_memory", lambda device: (40, free))
    work = Recorder()

    list(batch_events(1000, 4, CPU, work))

    assert work.done[:2] == [(0, 4), (4, 4 + then)]


@pytest.mark.parametrize("name", ["flow", "flow-speckle", "flow-map"])
def test_methods_go_on_with_fewer_patches(
    name, device, tiny_prior, monkeypatch
) -> None:
    few = {"iterations": 2} if name == "flow-map" else {}
    frame = np.random.default_rng(0).random((40, 40), dtype=np.float32)
    denoiser = create(name, weights=tiny_prior, device=device, batch_size=5, **few)
    expected, _ = run(denoiser, frame)

    def scarce(function):
        def limited(self, patches, *args, **kwargs):
            if len(patches) > 2:
                raise FULL
            return function(self, patches, *args, **kwargs)

        return limited

    for step in ("log_prob", "inverse"):
        monkeypatch.setattr(Glow, step, scarce(getattr(Glow, step)))
    result, told = run(denoiser, frame)

    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert any("memory" in e.text for e in told if isinstance(e, Note))
