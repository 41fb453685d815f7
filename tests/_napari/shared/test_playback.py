"""Clips at their own pace, in a real window."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_usflow._napari.shared.playback import (
    Playback,
    frame_seconds,
    playback_of,
    toggle_playback,
)

pytestmark = pytest.mark.gui

MANIFEST = Path(__file__).parents[3] / "src" / "napari_usflow" / "napari.yaml"
FRAMES = 40


def overlay(viewer: Any) -> Any:
    canvas = getattr(viewer, "canvas", None)
    overlays = getattr(canvas, "overlays", None)
    return viewer.text_overlay if overlays is None else overlays.text


@pytest.fixture
def viewer(make_napari_viewer) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(
        np.zeros((FRAMES, 8, 9), np.float32),
        name="clip",
        scale=(50, 0.2, 0.25),
        units=("ms", "mm", "mm"),
    )
    viewer.dims.set_current_step(0, 0)
    return viewer


def test_frames_follow_the_clock(viewer, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(
        "napari_usflow._napari.shared.playback.time.perf_counter", lambda: now[0]
    )
    playback = Playback(viewer)
    viewer.dims.set_current_step(0, 3)
    playback.set_playing(True)
    for later, frame in ((0.049, 3), (0.051, 4), (0.26, 8), (1.86, 0), (2.0, 3)):
        now[0] = 100.0 + later
        playback._tick()
        assert viewer.dims.current_step[0] == frame
    playback.set_playing(False)
    assert not playback.playing


def test_the_time_is_written_in_seconds_and_taken_away(viewer) -> None:
    overlay(viewer).text = "mine"
    playback = Playback(viewer)
    playback.show_time(True)
    viewer.dims.set_current_step(0, 7)
    assert overlay(viewer).text == "0.350 s"
    assert overlay(viewer).visible

    playback.show_time(False)
    viewer.dims.set_current_step(0, 9)
    assert overlay(viewer).text == "mine"
    assert not overlay(viewer).visible


def test_it_stops_when_the_clip_is_removed(viewer) -> None:
    playback = Playback(viewer)
    playback.set_playing(True)
    viewer.layers.clear()
    playback._tick()

    assert not playback.playing


def test_layers_without_times_are_not_played(viewer) -> None:
    still = viewer.add_image(np.zeros((3, 8, 9)), name="planes")
    viewer.layers["clip"].visible = False

    assert frame_seconds(still) is None
    playback = Playback(viewer)
    playback.set_playing(True)
    assert not playback.playing


def test_the_menu_starts_and_stops_it(viewer) -> None:
    toggle_playback()
    assert playback_of(viewer).playing
    assert overlay(viewer).text == "0.000 s"
    toggle_playback()
    assert not playback_of(viewer).playing


def test_it_does_not_keep_the_viewer(viewer) -> None:
    class Window:
        class main_menu:
            class destroyed:
                connect = staticmethod(lambda _: None)

    class Viewer:
        window = Window()
        layers = ()

    other = Viewer()
    playback = Playback(other)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
    assert playback.clip() is None
