"""Sizes, and how times are said."""

from __future__ import annotations

import pytest

from napari_usflow.lab.bench.scores import Size, duration, largest_clip


def test_sizes_are_read_and_ordered_by_their_pixels() -> None:
    names = ["200x96x96", "384x128", "96x96"]

    sizes = sorted(map(Size.parse, names))

    assert [s.shape for s in sizes] == [(1, 96, 96), (1, 384, 128), (200, 96, 96)]
    assert [s.label for s in sizes] == [
        "96 × 96",
        "384 × 128",
        "200 frames of 96 × 96",
    ]
    assert sizes[-1].pixels == 200 * 96 * 96


@pytest.mark.parametrize("text", ["96", "96x", "-1x96", "4x4x4x4", "9.6x9", "", "axb"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size; write ROWSxCOLUMNS"):
        Size.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("0x96", "between 1 and"), ("99999x96", "out of the limits"), ("8x96", "16x16")],
)
def test_a_size_out_of_its_limits_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Size.parse(text)


def test_the_longest_clip_has_most_frames() -> None:
    names = ["768x768", "20x384x384", "200x96x96"]
    sizes = [Size.parse(name) for name in names]

    assert largest_clip(sizes) == Size.parse("200x96x96")
    assert largest_clip(sizes[:1]) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.00123, "1.2 ms"), (0.016, "16 ms"), (0.106, "0.11 s"), (240.4, "240 s")],
)
def test_times_are_said_in_two_digits(seconds: float, said: str) -> None:
    assert duration(seconds) == said
