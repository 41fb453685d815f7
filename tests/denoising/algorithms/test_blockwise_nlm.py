"""Blockwise non-local means: the fast form is the published one, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_usflow.denoising.algorithms import blockwise_layout as block_layout
from napari_usflow.denoising.algorithms.blockwise_nlm import BlockMeans
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Progress, result_of


def run(values: np.ndarray, u: np.ndarray | None = None, **kind) -> np.ndarray:
    filter_ = BlockMeans(**{"search": 3, "block": 2, "step": 2, "h": 1.5, **kind})
    return result_of(filter_.run(values, values if u is None else u, CancelToken()))


def block_by_block(
    values: np.ndarray,
    u: np.ndarray,
    *,
    search: int,
    block: int,
    step: int,
    h: float,
    mean_test: float = 0.0,
    center_is_max: bool = False,
) -> np.ndarray:
    """The equations as they are written, one pair of blocks after the other."""
    margin = 2 * block + search + step
    v, u = (np.pad(image, margin, mode="symmetric") for image in (values, u))
    total, covered = np.zeros_like(v), np.zeros_like(v)
    centers = []
    for size in values.shape:
        along = list(range(0, size, step))
        while along[-1] + block < size - 1:  # the last pixels must be covered too
            along.append(along[-1] + step)
        centers.append(along)
    for z in centers[0]:
        for x in centers[1]:
            weights, blocks = {}, {}
            here = _block(z, x, block, margin)
            for dz in range(-search, search + 1):
                for dx in range(-search, search + 1):
                    there = _block(z + dz, x + dx, block, margin)
                    distance = np.mean((u[here] - u[there]) ** 2 / u[there])
                    weight = np.exp(-distance / h**2)
                    if mean_test:
                        ratio = u[here].mean() / u[there].mean()
                        weight *= mean_test < ratio < 1 / mean_test
                    weights[dz, dx], blocks[dz, dx] = weight, v[there]
            if center_is_max:
                del weights[0, 0]
                weights[0, 0] = max(weights.values()) or 1.0
            mean = sum(weights[o] * blocks[o] for o in weights) / sum(weights.values())
            total[here] += mean
            covered[here] += 1
    inside = (slice(margin, margin + values.shape[0]),)
    inside += (slice(margin, margin + values.shape[1]),)
    return total[inside] / covered[inside]


def _block(z: int, x: int, block: int, margin: int) -> tuple[slice, slice]:
    top, left, side = z + margin - block, x + margin - block, 2 * block + 1
    return slice(top, top + side), slice(left, left + side)


@pytest.mark.parametrize(
    ("search", "block", "step"),
    [(3, 2, 2), (2, 1, 1), (2, 1, 3), (2, 2, 3), (1, 3, 2), (1, 2, 5), (2, 2, 4)],
)
def test_equals_the_equations_written_block_by_block(
    search: int, block: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_layout, "_BAND_PIXELS", 150)  # several bands
    rng = np.random.default_rng(0)
    values, u = rng.random((14, 17)), 100 + 255 * rng.random((14, 17))
    kind = {"search": search, "block": block, "step": step, "h": 4.0}

    np.testing.assert_allclose(
        run(values, u, **kind), block_by_block(values, u, **kind), atol=1e-10
    )


@pytest.mark.parametrize("option", [{"mean_test": 0.9}, {"center_is_max": True}])
def test_options_equal_the_equations_too(option) -> None:
    rng = np.random.default_rng(1)
    values, u = rng.random((12, 11)), 100 + 255 * rng.random((12, 11))
    kind = {"search": 2, "block": 1, "step": 2, "h": 4.0, **option}

    filtered = run(values, u, **kind)

    np.testing.assert_allclose(filtered, block_by_block(values, u, **kind), atol=1e-10)
    plain = run(values, u, search=2, block=1, step=2, h=4.0)
    assert np.abs(filtered - plain).max() > 0.01


def test_float32_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    u = 100 + 255 * np.random.default_rng(2).random((40, 50))

    single = run(u.astype(np.float32))

    assert single.dtype == np.float32
    np.testing.assert_allclose(single, run(u), rtol=1e-5)


def test_distance_is_divided_by_the_candidate() -> None:
    """Seen from a dark block a bright one is nearer than the other way round."""
    u = np.full((5, 10), 100.0)
    u[:, 5:] = 120.0
    # One pixel is a block, and its two neighbours along x are the candidates.
    kind = {"search": 1, "block": 0, "step": 1, "h": 1.0}

    filtered = run(u, **kind)

    # Three of nine candidates lie across the edge, at 400 / 120 or 400 / 100.
    to_bright, to_dark = (np.exp(-400 / grey) for grey in (120, 100))
    assert filtered[2, 4] == pytest.approx(
        100 + 20 * 3 * to_bright / (6 + 3 * to_bright)
    )
    assert filtered[2, 5] == pytest.approx(120 - 20 * 3 * to_dark / (6 + 3 * to_dark))


def test_constant_image_stays() -> None:
    np.testing.assert_allclose(run(np.full((20, 13), 137.0)), 137.0, rtol=1e-14)


def test_no_strength_changes_nothing() -> None:
    u = 100 + 255 * np.random.default_rng(3).random((15, 15))

    np.testing.assert_allclose(run(u, h=1e-6), u, rtol=1e-14)
    np.testing.assert_allclose(run(u, h=0.0), u, rtol=1e-14)


@pytest.mark.parametrize("step", [1, 2])
def test_endless_strength_gives_the_mean_of_means(step: int) -> None:
    """Each pixel: the mean over its blocks of the plain mean over the search window."""
    from scipy.ndimage import uniform_filter

    u = 100 + 255 * np.random.default_rng(4).random((30, 30))

    filtered = run(u, h=1e9, step=step)

    # In a block, pixel x is given the window mean about x, whichever the block.
    expected = uniform_filter(u, 7, mode="reflect")
    np.testing.assert_allclose(filtered, expected, rtol=1e-10)


def test_steps_that_leave_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"every 6 pixels leave gaps.* \[1, 5\]"):
        BlockMeans(search=3, block=2, step=6, h=1.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (2, 40)])
def test_images_smaller_than_a_block_work(shape: tuple[int, int]) -> None:
    u = 100 + 255 * np.random.default_rng(5).random(shape)

    filtered = run(u, block=3)

    assert filtered.shape == shape
    assert u.min() <= filtered.min() and filtered.max() <= u.max()


def test_progress_rises_to_the_end_and_a_token_stops_it() -> None:
    u = np.full((40, 40), 100.0)
    token = CancelToken()
    events = BlockMeans(search=3, block=2, step=2, h=1.0).run(u, u, token)

    progress = [e for e in events if isinstance(e, Progress)]
    token.cancel()

    assert [p.done for p in progress] == sorted({p.done for p in progress})
    assert progress[-1].done == progress[-1].total
    with pytest.raises(Cancelled):
        result_of(BlockMeans(search=3, block=2, step=2, h=1.0).run(u, u, token))
