"""Clips on a cluster: through dask and onto the disk, as the command does."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from napari_usflow.jobs import CancelToken, FrameDone
from napari_usflow.lab.bench import workers
from napari_usflow.lab.bench.scores import Size


def test_every_repeat_computes_and_writes_the_whole_clip(monkeypatch) -> None:
    pytest.importorskip("zarr")
    asked = []
    # Without a client this process computes.
    monkeypatch.setattr(
        workers, "local_client", lambda n: asked.append(n) or nullcontext()
    )
    run = workers.workers_events(
        "tv",
        Size.parse("6x24x24"),
        1,
        repeats=2,
        device="cpu",
        token=CancelToken(),
    )
    frames = []
    while True:
        try:
            event = next(run)
        except StopIteration as stop:
            seconds = stop.value
            break
        if isinstance(event, FrameDone):
            frames.append(event.index)

    assert frames == [0, 1, *range(6), *range(6)]
    assert 0 < seconds < 30
    assert asked == [1]


def test_packages_that_are_missing_are_named(monkeypatch) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    assert workers.cluster_missing() == "distributed and zarr"

    monkeypatch.setattr(workers, "find_spec", lambda name: object())
    assert workers.cluster_missing() == ""
