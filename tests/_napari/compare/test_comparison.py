"""A comparison on the canvas, without a window."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)

from napari_usflow._napari.compare.comparison import Comparison, side_names
from napari_usflow._napari.compare.picture import Divider
from napari_usflow._napari.layers.views import is_view

FRAMES, SHAPE = 6, (40, 60)
PIXEL_MM = (0.5, 0.25)
DRAG_STEP_S = 0.030


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    clip = rng.normal(-30, 5, (FRAMES, *SHAPE)).astype(np.float32)
    place = {
        "scale": (0.1, *PIXEL_MM),
        "units": ("s", "mm", "mm"),
        "contrast_limits": (-60, 0),
        "metadata": {"usflow": {"values": "db"}},
    }
    viewer.add_image(clip, name="clip", **place)
    viewer.add_image(clip / 2 - 15, name="clip [best]", **place)
    viewer.add_shapes(
        [np.array([[1.0, 1.0], [5.0, 5.0]])],
        shape_type="rectangle",
        name="regions",
        units=("mm", "mm"),
    )
    viewer.layers.selection.active = viewer.layers["clip"]
    viewer.dims.set_current_step(0, 2)
    return viewer


class Told:
    """What a comparison says to its widget."""

    def __init__(self) -> None:
        self.moved: list[Divider] = []
        self.gone: list[str] = []
        self.frames = 0

    def on_frame(self) -> None:
        self.frames += 1


@pytest.fixture
def told() -> Told:
    return Told()


def compare(viewer: ViewerModel, told: Told, **kwargs: Any) -> Comparison:
    return Comparison(
        viewer,
        viewer.layers["clip"],
        viewer.layers["clip [best]"],
        **{
            "mode": "curtain",
            "on_moved": told.moved.append,
            "on_frame": told.on_frame,
            "on_gone": told.gone.append,
            **kwargs,
        },
    )


def event(kind: str, z: float, x: float, **extra: Any) -> SimpleNamespace:
    return SimpleNamespace(
        type=kind,
        position=(0.0, z, x),
        modifiers=extra.get("modifiers", ()),
        camera_zoom=10.0,
        is_dragging=kind == "mouse_move",
        handled=False,
    )


def drag(viewer: ViewerModel, *path: tuple[float, float], **extra: Any) -> bool:
    """Press, move and release; tell whether the press was taken."""
    kinds = ["mouse_press"] + ["mouse_move"] * (len(path) - 1) + ["mouse_release"]
    events = [
        ReadOnlyWrapper(event(kind, *place, **extra), exceptions=("handled",))
        for kind, place in zip(kinds, [*path, path[-1]], strict=True)
    ]
    mouse_press_callbacks(viewer, events[0])
    grabbed = events[0].handled
    for moved in events[1:-1]:
        mouse_move_callbacks(viewer, moved)
    mouse_release_callbacks(viewer, events[-1])
    return grabbed


def test_lies_above_the_pair_and_below_what_is_drawn(viewer, told) -> None:
    active = viewer.layers.selection.active
    compare(viewer, told)

    names = [layer.name for layer in viewer.layers]
    assert names == ["clip", "clip [best]", "Compare", "regions", "Compare (line)"]
    assert viewer.layers.selection.active is active
    assert [is_view(layer) for layer in viewer.layers] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_lies_in_the_same_place_and_units(viewer, told) -> None:
    shown, before = compare(viewer, told).layer, viewer.layers["clip"]

    np.testing.assert_allclose(shown.extent.world, before.extent.world)
    assert shown.units == before.units
    assert [str(unit) for unit in viewer.layers.extent.units] == [
        "second",
        "millimeter",
        "millimeter",
    ]


def test_playing_shows_each_frame_of_both(viewer, told) -> None:
    comparison = compare(viewer, told, divider=Divider((5.0, 30 * 0.25 - 0.01)))
    clip, best = viewer.layers["clip"].data, viewer.layers["clip [best]"].data
    for frame in (3, 0, 5):
        viewer.dims.set_current_step(0, frame)
        assert comparison.frame_index() == frame
        shown = np.asarray(comparison.layer.data[frame])
        np.testing.assert_array_equal(shown[:, :30], clip[frame][:, :30])
        np.testing.assert_array_equal(shown[:, 30:], best[frame][:, 30:])
    assert told.frames >= 3


def test_the_line_is_dragged_where_it_is_grabbed(viewer, told) -> None:
    comparison = compare(viewer, told, divider=Divider((5.0, 7.0)))

    grabbed = drag(viewer, (12.0, 7.5), (12.0, 9.0), (13.0, 10.0))

    # 0.5 mm off at ten pixels of the screen a millimetre.
    assert grabbed
    assert comparison.picture.divider.point == pytest.approx((13.0, 10.0))
    assert [d.point for d in told.moved] == [
        pytest.approx((12.0, 9.0)),
        pytest.approx((13.0, 10.0)),
    ]


def test_shift_turns_the_line_towards_the_mouse(viewer, told) -> None:
    comparison = compare(viewer, told, divider=Divider((8.0, 7.0)))

    drag(viewer, (3.0, 7.0), (3.0, 12.0), modifiers=("Shift",))

    divider = comparison.picture.divider
    assert divider.point == (8.0, 7.0)
    assert divider.distance((3.0, 12.0)) == pytest.approx(0, abs=1e-9)
    assert abs(divider.angle_deg) == pytest.approx(45)


def test_a_press_elsewhere_is_left_to_napari(viewer, told) -> None:
    comparison = compare(viewer, told, divider=Divider((5.0, 7.0)))

    grabbed = drag(viewer, (5.0, 9.0), (5.0, 12.0))

    assert not grabbed
    assert comparison.picture.divider.point == (5.0, 7.0)


def test_drawing_goes_before_dragging(viewer, told) -> None:
    comparison = compare(viewer, told, divider=Divider((5.0, 7.0)))
    viewer.layers.selection.active = viewer.layers["regions"]
    viewer.layers["regions"].mode = "add_rectangle"

    assert not comparison._grabbed(event("mouse_press", 5.0, 7.0))

    viewer.layers["regions"].mode = "pan_zoom"
    assert comparison._grabbed(event("mouse_press", 5.0, 7.0))


def test_the_line_stays_on_the_picture(viewer, told) -> None:
    comparison = compare(viewer, told)

    comparison.move(Divider((500.0, -500.0), 30.0))

    assert comparison.picture.divider.point == pytest.approx((19.75, -0.125))
    assert comparison.picture.divider.angle_deg == 30.0


def test_look_of_the_pair_is_linked_and_let_go(viewer, told) -> None:
    comparison = compare(viewer, told)
    before, after = comparison.pair.before, comparison.pair.after

    before.contrast_limits = (-50, -10)
    after.colormap = "magma"
    after.gamma = 0.7
    for layer in (before, after, comparison.layer):
        assert layer.contrast_limits == [-50, -10]
        assert layer.colormap.name == "magma"
        assert layer.gamma == 0.7

    comparison.set_link(False)
    after.contrast_limits = (-40, -5)
    assert before.contrast_limits == [-50, -10]
    assert comparison.picture.own_contrast
    assert comparison.layer.contrast_limits == [0, 1]

    comparison.set_link(True)
    comparison.stop()
    before.contrast_limits = (-30, 0)
    assert after.contrast_limits == [-50, -10]


def test_layers_of_other_values_keep_their_own_contrast(viewer, told) -> None:
    viewer.layers["clip [best]"].metadata = {"usflow": {"values": "envelope"}}

    comparison = compare(viewer, told)

    assert comparison.picture.own_contrast


def test_a_difference_is_shown_around_zero(viewer, told) -> None:
    comparison = compare(viewer, told, mode="difference")
    low, high = comparison.layer.contrast_limits

    assert low == -high
    clip, best = (layer.data[2] for layer in list(viewer.layers)[:2])
    expected = np.percentile(np.abs(clip - best), 99.5)
    assert high == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(
        np.asarray(comparison.layer.data[2]), clip - best, atol=1e-5
    )
    # The colours of the pair are not touched.
    assert viewer.layers["clip"].colormap.name == "gray"
    comparison.set_mode("curtain")
    assert comparison.layer.colormap.name == "gray"
    assert comparison.layer.contrast_limits == [-60, 0]


def test_new_data_are_seen_at_once(viewer, told) -> None:
    comparison = compare(viewer, told, mode="after")
    assert (np.asarray(comparison.layer.data[2]) != -1).all()

    viewer.layers["clip [best]"].data = np.full((FRAMES, *SHAPE), -1, np.float32)

    assert (np.asarray(comparison.layer.data[2]) == -1).all()


def test_a_frame_that_is_written_in_place_is_seen_once_it_is_drawn(
    viewer, told
) -> None:
    comparison = compare(viewer, told, mode="after")
    best = viewer.layers["clip [best]"]

    best.data[2] = -1
    best.refresh(thumbnail=False, extent=False, highlight=False)

    assert (np.asarray(comparison.layer.data[2]) == -1).all()


@pytest.mark.parametrize("name", ["clip", "clip [best]"])
def test_ends_when_a_layer_of_the_pair_is_removed(viewer, told, name: str) -> None:
    compare(viewer, told)

    viewer.layers.remove(viewer.layers[name])

    assert told.gone == [f"Layer {name!r} was removed."]
    assert not any(is_view(layer) for layer in viewer.layers)


@pytest.mark.parametrize("name", ["Compare", "Compare (line)"])
def test_ends_when_its_own_layer_is_removed(viewer, told, name: str) -> None:
    compare(viewer, told)

    viewer.layers.remove(viewer.layers[name])

    assert told.gone == [""]
    assert not any(is_view(layer) for layer in viewer.layers)


def test_ends_in_three_dimensions_and_when_a_layer_moves(viewer, told) -> None:
    compare(viewer, told)
    viewer.dims.ndisplay = 3
    assert "2-D" in told.gone[-1]
    viewer.dims.ndisplay = 2

    compare(viewer, told)
    viewer.layers["clip [best]"].translate = (0, 1, 0)
    assert "moved" in told.gone[-1]

    compare(viewer, told)
    viewer.layers["clip"].data = np.zeros((2, 9, 9), np.float32)
    assert "another shape" in told.gone[-1]
    assert not any(is_view(layer) for layer in viewer.layers)


def test_renaming_and_reordering_change_nothing_but_the_names(viewer, told) -> None:
    comparison = compare(viewer, told)

    viewer.layers["clip [best]"].name = "other"
    viewer.layers.move(0, 2)

    labels = list(comparison.marks.layer.features["label"])
    assert labels == ["", "", "clip", "other"]
    assert told.gone == []
    comparison.stop()
    assert {layer.name for layer in viewer.layers} == {"clip", "other", "regions"}


def test_names_of_results_are_short(viewer, told) -> None:
    assert side_names(compare(viewer, told).pair) == ("clip", "best")
    viewer.layers["clip"].name = "a" * 60
    before, after = side_names(told_pair(viewer))
    assert len(before) == 28 and before.endswith("…")
    assert after == "clip [best]"


def told_pair(viewer: ViewerModel) -> Any:
    from napari_usflow._napari.compare.pair import Pair

    return Pair(viewer.layers[0], viewer.layers[1])


def _connected(viewer: ViewerModel) -> int:
    emitters = [
        viewer.layers.events.removed,
        viewer.layers.events.renamed,
        viewer.dims.events.ndisplay,
        viewer.dims.events.current_step,
    ]
    layers = [viewer.layers["clip"], viewer.layers["clip [best]"]]
    names = ("set_data", "data", "contrast_limits", "gamma", "colormap", "scale")
    emitters += [layer.events[name] for layer in layers for name in names]
    emitters += [viewer.scene.camera.events[name] for name in ("zoom", "center")]
    return sum(len(emitter.callbacks) for emitter in emitters)


def test_nothing_is_left_when_it_stops(viewer, told) -> None:
    layers, drags = list(viewer.layers), list(viewer.mouse_drag_callbacks)
    keys, connected = dict(viewer.keymap), _connected(viewer)

    comparison = compare(viewer, told, keys={"K": lambda: None})
    assert _connected(viewer) > connected
    assert len(viewer.keymap) == len(keys) + 1
    viewer.layers["Compare"].visible = False
    comparison.stop()

    assert list(viewer.layers) == layers
    assert list(viewer.mouse_drag_callbacks) == drags
    assert dict(viewer.keymap) == keys
    assert _connected(viewer) == connected


def test_a_key_that_the_user_bound_stays_theirs(viewer, told) -> None:
    viewer.bind_key("K", theirs := (lambda viewer: None))

    compare(viewer, told, keys={"K": lambda: None}).stop()

    assert theirs in viewer.keymap.values()


def test_a_step_of_the_line_over_a_large_frame_is_quick(told) -> None:
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    for name in ("clip", "clip [best]"):
        viewer.add_image(
            rng.normal(-30, 5, (3, 768, 1024)).astype(np.float32),
            name=name,
            contrast_limits=(-60, 0),
            metadata={"usflow": {"values": "db"}},
        )
    comparison = compare(viewer, told)
    steps = []
    for i in range(20):
        # Processor time of this thread: another program cannot hold that up.
        start = time.thread_time()
        comparison.move(Divider((384.0, 100.0 + 30 * i), 10.0))
        steps.append(time.thread_time() - start)

    assert np.median(steps) < DRAG_STEP_S
