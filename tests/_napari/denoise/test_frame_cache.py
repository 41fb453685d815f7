"""A stack of which only the frames made last are kept."""

import numpy as np
import pytest

from napari_usflow._napari.denoise.frame_cache import RecentFrames


def test_memory_is_bounded():
    source = np.zeros((1000, 64, 64), np.float32)
    frames = RecentFrames(source, kept_bytes=10 * 64 * 64 * 4)

    for index in range(1000):
        frames.write(index, source[index] + 1)

    kept = [index for index in range(1000) if index in frames]
    assert kept == list(range(990, 1000))
    assert frames[995].max() == 1
    assert frames[0].max() == 0


@pytest.mark.parametrize(
    "key",
    [1, -1, (2, slice(1, 3)), slice(None, None, 2), (..., 0), (slice(3, 3),), ...],
)
def test_it_is_indexed_as_an_array_is(key):
    source = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    frames = RecentFrames(source)
    frames.write(2, source[2] + 100)
    whole = source.copy()
    whole[2] += 100

    np.testing.assert_array_equal(frames[key], whole[key])


def test_a_single_picture_is_its_own_frame():
    source = np.arange(30, dtype=np.float32).reshape(5, 6)
    frames = RecentFrames(source)
    frames.write(0, source + 100)

    np.testing.assert_array_equal(frames[2:4, 1], source[2:4, 1] + 100)
    np.testing.assert_array_equal(np.asarray(frames), source + 100)


def test_a_frame_that_was_looked_at_outlives_one_that_was_not():
    source = np.zeros((9, 4, 4), np.float32)
    frames = RecentFrames(source, kept_bytes=2 * 4 * 4 * 4)
    for index in (0, 1):
        frames.write(index, source[index] + 1)

    frames[0]
    frames.write(2, source[2] + 1)

    assert [index for index in range(9) if index in frames] == [0, 2]
