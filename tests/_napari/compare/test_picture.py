"""A pair of layers, and the frames that are made of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from napari_usflow._napari.compare.pair import Pair
from napari_usflow._napari.compare.picture import Divider, Mode, Picture
from napari_usflow._napari.layers.content import LayerError
from napari_usflow._napari.layers.frame_array import FrameArray
from napari_usflow._napari.layers.placement import Placement, placement_of

SHAPE = (20, 30)
DB = {"metadata": {"usflow": {"values": "db"}}, "contrast_limits": (-60, 0)}


def layer(data: Any, name: str = "a", **kwargs: Any) -> Image:
    data = np.asarray(data, np.float32)
    units = ("s", "mm", "mm")[-data.ndim :]
    return Image(data, name=name, **{"units": units, **DB, **kwargs})


def pair(before: Any = -20.0, after: Any = -40.0, **kwargs: Any) -> Pair:
    filled = [np.broadcast_to(v, SHAPE) for v in (before, after)]
    return Pair(layer(filled[0], **kwargs), layer(filled[1], "b", **kwargs))


def picture(of: Pair, mode: Mode = "curtain", **divider: Any) -> Picture:
    return Picture(of, mode, Divider(divider.pop("point", (10.0, 15.0)), **divider))


def test_upright_line_has_before_on_its_left() -> None:
    shown = picture(pair(), point=(0.0, 12.0))[...]

    assert shown.shape == SHAPE and shown.dtype == np.float32
    assert (shown[:, :12] == -20).all()
    assert (shown[:, 12:] == -40).all()


def test_level_line_has_before_above_it() -> None:
    shown = picture(pair(), point=(7.0, 0.0), angle_deg=90)[...]

    assert (shown[:7] == -20).all()
    assert (shown[7:] == -40).all()


def test_tilted_line_goes_through_its_point_in_millimetres() -> None:
    # Pixels of 0.5 by 0.25 mm; at 45 degrees the line rises a millimetre a millimetre.
    both = pair(scale=(0.5, 0.25), translate=(10.0, -2.0))
    shown = picture(both, point=(14.0, 1.0), angle_deg=45)[...]

    z, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    across = (10 + 0.5 * z - 14) + (-2 + 0.25 * x - 1)
    sure = np.abs(across) > 1e-6
    np.testing.assert_array_equal((shown == -40)[sure], (across > 0)[sure])


def test_line_ends_at_the_edge_of_the_frame() -> None:
    place = placement_of(pair(scale=(0.5, 0.25)).before)

    ends = Divider((2.0, 3.0)).ends(place)

    assert ends is not None
    np.testing.assert_allclose(np.sort(ends[:, 0]), [-0.25, 9.75])
    np.testing.assert_allclose(ends[:, 1], 3.0)
    assert Divider((2.0, 300.0)).ends(place) is None


def test_distance_is_positive_on_the_side_after() -> None:
    assert Divider((0.0, 1.0)).distance((5.0, 3.0)) == pytest.approx(2.0)
    assert Divider((1.0, 0.0), 90).distance((3.0, 5.0)) == pytest.approx(2.0)


@pytest.mark.parametrize(("mode", "value"), [("before", -20), ("after", -40)])
def test_one_side_alone_is_that_side(mode: Mode, value: float) -> None:
    assert (picture(pair(), mode)[...] == value).all()


def test_difference_and_ratio_of_decibels_are_the_same() -> None:
    for mode in ("difference", "ratio"):
        np.testing.assert_allclose(picture(pair(), mode)[...], 20.0)


def test_ratio_of_envelopes_is_in_decibels() -> None:
    envelopes = {"metadata": {"usflow": {"values": "envelope"}}}

    np.testing.assert_allclose(
        picture(pair(10.0, 1.0, **envelopes), "ratio")[...], 20.0, atol=1e-4
    )
    np.testing.assert_allclose(
        picture(pair(10.0, 1.0, **envelopes), "difference")[...], 9.0
    )


def test_ratio_of_display_grey_takes_its_dynamic_range() -> None:
    grey = {"metadata": {"usflow": {"values": "display"}}}
    shown = picture(pair(151.0, 100.0, **grey), "ratio")
    shown.decibels_of_range = 50.0

    np.testing.assert_allclose(shown[...], 51 / 255 * 50, rtol=1e-6)


class Recorded(FrameArray):
    """A stack whose frame i is -i throughout, and which notes what is read."""

    def __init__(self) -> None:
        super().__init__((50, *SHAPE))
        self.read: list[int] = []

    def _shown(self, index: int) -> np.ndarray:
        self.read.append(index)
        return np.full(SHAPE, -float(index), np.float32)


def test_frames_of_a_stack_are_read_one_at_a_time_and_kept() -> None:
    stack = Recorded()
    lazy = Image(stack, name="lazy", units=("s", "mm", "mm"), **DB)
    shown = picture(Pair(lazy, layer(np.zeros((50, *SHAPE)), "b")))
    stack.read.clear()

    frame = shown[7]
    shown.divider = Divider((10.0, 20.0))
    again = shown[7]

    assert stack.read == [7]
    assert (frame[:, :15] == -7).all() and (again[:, :20] == -7).all()


def test_another_grid_is_resampled_to_that_of_the_layer_before() -> None:
    z, x = np.mgrid[:20, :30]
    before = layer(np.zeros(SHAPE), scale=(0.5, 0.5))
    fz, fx = np.mgrid[:100, :150]
    after = layer(0.1 * fz - 0.2 * fx, "b", scale=(0.1, 0.1))

    frame = Pair(before, after).frame("after", 0)

    np.testing.assert_allclose(frame, 0.5 * z - 1.0 * x, atol=1e-4)


def test_where_the_layer_after_ends_the_picture_is_black() -> None:
    both = Pair(layer(np.full(SHAPE, -20.0)), layer(np.full((20, 15), -40.0), "b"))

    shown = picture(both, "after")[...]

    assert (shown[:, :15] == -40).all()
    assert (shown[:, 15:] == -60).all()
    assert (picture(both, "difference")[...][:, 15:] == 0).all()


def test_a_turned_layer_is_turned_back() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(30, 30))
    before = layer(data)
    # A quarter turn takes pixel (r, c) to (29 - c, r).
    after = layer(np.rot90(data, -1), "b", rotate=90, translate=(29, 0))

    frame = Pair(before, after).frame("after", 0)

    np.testing.assert_allclose(frame, data, atol=1e-5)


def test_a_single_frame_is_compared_with_each_frame_of_a_stack() -> None:
    stack = layer(np.arange(4.0)[:, None, None] * np.ones(SHAPE), "b", scale=(2, 1, 1))
    single = layer(np.full(SHAPE, -20.0), scale=(1, 1), translate=(0, 0))
    for before, after in ((single, stack), (stack, single)):
        both = Pair(before, after)
        assert both.shape == (4, *SHAPE)
        side = "after" if after is stack else "before"
        assert (both.frame(side, 3) == 3).all()
        shown = Image(picture(both), **both.kwargs())
        np.testing.assert_allclose(shown.data_to_world((3, 1, 2)), (6, 1, 2))
        assert [str(unit) for unit in shown.units] == ["second", *["millimeter"] * 2]


def test_frames_meet_at_the_same_time() -> None:
    slow = layer(np.zeros((3, *SHAPE)), scale=(2.0, 1, 1))
    quick = layer(
        np.arange(5.0)[:, None, None] * np.ones(SHAPE), "b", scale=(1.0, 1, 1)
    )
    both = Pair(slow, quick)

    assert (both.frame("after", 1) == 2).all()
    assert (both.frame("after", 2) == 4).all()
    late = layer(np.zeros((3, *SHAPE)), "c", scale=(2.0, 1, 1), translate=(50, 0, 0))
    missing = Pair(slow, late)
    assert missing.frame("after", 0) is None
    assert (picture(missing, "after")[0] == -60).all()
    assert (picture(missing, "difference")[0] == 0).all()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            Image(np.eye(3, dtype=np.uint8)[np.zeros((20, 30), int)] * 200, rgb=True),
            "colour image",
        ),
        (Image(np.zeros((2, 2, 20, 30))), "4 axes"),
        (layer(np.zeros(SHAPE), "far", translate=(500, 0)), "do not lie over"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(other: Image, said: str) -> None:
    with pytest.raises(LayerError, match=said):
        Pair(layer(np.zeros(SHAPE)), other)


def test_a_layer_is_not_compared_with_itself() -> None:
    one = layer(np.zeros(SHAPE))

    with pytest.raises(LayerError, match="with itself"):
        Pair(one, one)


def test_layers_in_pixels_are_laid_over_each_other_by_their_numbers() -> None:
    before = layer(np.zeros(SHAPE), scale=(0.5, 0.5))
    after = layer(np.ones(SHAPE), "b", units=("pixel", "pixel"), scale=(0.5, 0.5))
    both = Pair(before, after)

    assert not both.lengths
    assert (both.frame("after", 0) == 1).all()


def test_own_contrast_maps_each_side_by_its_own_limits() -> None:
    both = pair()
    both.after.contrast_limits = (-40, -30)
    shown = picture(both, point=(0.0, 10.0))
    shown.own_contrast = True

    frame = shown[...]

    np.testing.assert_allclose(frame[:, :10], 40 / 60, rtol=1e-6)
    np.testing.assert_allclose(frame[:, 10:], 0.0)


def test_placement_of_the_picture_is_that_of_the_layer_before() -> None:
    both = pair(scale=(0.5, 0.25), translate=(10, -2))

    assert isinstance(both.placement, Placement)
    np.testing.assert_allclose(both.placement.offset, [10, -2])
