"""The grid search: every setting, the best of them, and what is kept on a cancel."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.denoise import create, denoise
from napari_usflow.denoising.settings import Settings
from napari_usflow.errors import Cancelled
from napari_usflow.evaluate.criteria import ReferencePsnr, ResidualWhiteness
from napari_usflow.evaluate.metrics import psnr
from napari_usflow.evaluate.tune import (
    Cell,
    Tuning,
    setting_text,
    tune_events,
)
from napari_usflow.jobs import CancelToken, Note, Progress, result_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.simulate.speckle import simulate_speckle

KNOWN = Settings(sigma_db=5.57)
GRID = {"patch_size": (3, 5), "h": (0.05, 0.6, 3.0)}


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """Discs and a ramp in [0, 1], with edges of 12 to 30 dB, 72 by 72 pixels."""
    z, x = np.mgrid[:72, :72]
    image = 0.35 + 0.002 * x
    image[np.hypot(z - 20, x - 22) < 12] = 0.85
    image[np.hypot(z - 50, x - 48) < 14] = 0.6
    image[np.hypot(z - 52, x - 12) < 8] = 0.1
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def image(clean: np.ndarray) -> UltrasoundImage:
    """Its B-mode image: two frames of speckle of their own."""
    frames = [simulate_speckle(clean, seed=seed) for seed in (0, 1)]
    grid = PixelGrid((72, 72), (0.4375, 0.4375), (0.0, 0.0))
    return UltrasoundImage(np.stack(frames), "db", grid)


def test_every_setting_is_tried_and_scored_as_denoise_gives_it(image, clean) -> None:
    run = tune_events(
        image, "nlm", ReferencePsnr(clean), settings=KNOWN, grid=GRID, frames=[1]
    )
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as stop:
            tuning = stop.value
            break

    cells = [event for event in events if isinstance(event, Cell)]
    assert tuning.cells == tuple(cells) and tuning.complete
    assert [tuple(c.setting.values()) for c in cells] == [
        (p, h) for p in (3, 5) for h in (0.05, 0.6, 3.0)
    ]
    progress = [event for event in events if isinstance(event, Progress)]
    assert [(p.done, p.total) for p in progress] == [(n, 6) for n in range(7)]
    result = denoise(image.data[1], method="nlm", sigma=5.57 / 60, patch_size=5, h=0.6)
    unit = result / 60 + 1
    unit += (clean - unit).mean()
    expected = psnr(np.clip(unit, 0, 1), clean, data_range=1.0)
    assert cells[4].score == pytest.approx(expected, abs=1e-3)
    assert tuning.best is max(cells, key=lambda cell: cell.score)


def test_score_is_the_mean_of_the_frames(image, clean) -> None:
    def score(frames):
        run = tune_events(
            image,
            "tv",
            ReferencePsnr(clean),
            settings=KNOWN,
            grid={"weight": (1.0,)},
            frames=frames,
        )
        return result_of(run).best.score

    assert score(None) == pytest.approx((score([0]) + score([1])) / 2)


@pytest.mark.parametrize(
    ("method", "grid"),
    [
        ("nlm", {"h": (0.3, 0.5, 0.7, 1.0, 1.5, 2.5)}),
        ("obnlm", {"h": (0.3, 0.5, 0.7, 1.0, 1.5, 2.5)}),
        ("srad", {"variation": (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)}),
        ("tv", {"weight": (0.2, 0.4, 0.7, 1.0, 1.5, 3.0)}),
    ],
)
def test_setting_chosen_without_a_reference_is_near_the_best(
    image, clean, method: str, grid
) -> None:
    """Within half a decibel of the oracle's, and not by the grid being flat."""
    by_reference, by_residual = (
        result_of(
            tune_events(image, method, criterion, settings=KNOWN, grid=grid, frames=[0])
        )
        for criterion in (ReferencePsnr(clean), ResidualWhiteness())
    )

    psnr_db = [cell.score for cell in by_reference.cells]
    chosen = psnr_db[by_residual.best.number]
    assert max(psnr_db) - chosen < 0.5
    assert max(psnr_db) - min(psnr_db) > 1.5


@pytest.mark.parametrize(
    ("method", "grid"),
    [
        ("nlm", {"h": (0.3, 0.5, 0.7, 1.0, 1.5, 2.5)}),
        ("srad", {"variation": (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)}),
        ("tv", {"weight": (0.2, 0.4, 0.7, 1.0, 1.5, 3.0)}),
    ],
)
def test_blocks_are_chosen_without_a_reference_where_the_grain_is_wide(
    clean, method: str, grid
) -> None:
    """At a third of the pixel speckle is three times as wide."""
    fine = clean.repeat(3, axis=0).repeat(3, axis=1)
    pixel = 0.4375 / 3
    speckled = simulate_speckle(fine, seed=0, pixel_size_mm=pixel)
    image = UltrasoundImage(
        speckled[np.newaxis], "db", PixelGrid(fine.shape, (pixel, pixel), (0.0, 0.0))
    )
    grid = {"block": (None, 1), **grid}

    by_reference, by_residual = (
        result_of(tune_events(image, method, criterion, settings=KNOWN, grid=grid))
        for criterion in (ReferencePsnr(fine), ResidualWhiteness())
    )

    psnr_db = [cell.score for cell in by_reference.cells]
    assert by_reference.best.setting["block"] is None
    assert by_residual.best.setting["block"] is None
    assert max(psnr_db) - psnr_db[by_residual.best.number] < 1
    assert max(psnr_db) - min(psnr_db) > 2


def test_noise_level_that_is_not_given_is_estimated_once(image, clean) -> None:
    run = tune_events(
        image,
        "tv",
        ReferencePsnr(clean),
        grid={"weight": (0.5, 1.0)},
    )

    notes = [event.text for event in run if isinstance(event, Note)]

    assert len(notes) == 1 and notes[0].startswith("noise level estimated: ")


def test_settings_at_the_same_time_give_the_same_cells(image, clean) -> None:
    one, three = (
        result_of(
            tune_events(
                image,
                "nlm",
                ReferencePsnr(clean),
                settings=KNOWN,
                grid=GRID,
                workers=workers,
            )
        )
        for workers in (1, 3)
    )

    assert [(c.setting, c.score) for c in one.cells] == [
        (c.setting, c.score) for c in three.cells
    ]


def test_cancel_keeps_what_was_tried(image, clean) -> None:
    token = CancelToken()
    run = tune_events(image, "nlm", ReferencePsnr(clean), settings=KNOWN, token=token)
    cells = []
    while True:
        try:
            event = next(run)
        except StopIteration as stop:
            tuning = stop.value
            break
        if isinstance(event, Cell):
            cells.append(event)
        if len(cells) == 2:
            token.cancel()

    assert not tuning.complete
    assert tuning.cells[:2] == tuple(cells[:2]) and len(tuning.cells) < tuning.size
    assert tuning.best in tuning.cells


def test_cancel_before_the_first_setting_is_told(image, clean) -> None:
    token = CancelToken()
    token.cancel()

    with pytest.raises(Cancelled):
        result_of(tune_events(image, "tv", ReferencePsnr(clean), token=token))


def test_control_is_back_half_a_second_after_a_cancel() -> None:
    frame = np.random.default_rng(0).normal(-30, 5.6, (1, 900, 900))
    grid = PixelGrid((900, 900), (0.4375, 0.4375), (0.0, 0.0))
    large = UltrasoundImage(frame.astype(np.float32), "db", grid)
    token, asked = CancelToken(), 0.0
    run = tune_events(large, "obnlm", ResidualWhiteness(), settings=KNOWN, token=token)
    next(run)
    time.sleep(0.3)
    asked = time.perf_counter()
    token.cancel()

    with pytest.raises(Cancelled):
        result_of(run)

    assert time.perf_counter() - asked < 0.5


def test_surface_is_the_best_over_what_is_not_shown() -> None:
    grid = {"a": (1, 2), "b": (1, 2, 3), "c": (1, 2)}
    scores = np.arange(12.0).reshape(2, 3, 2)
    scores[0, 1] = (9, 3)
    cells = tuple(Cell(n, {}, float(s), 0.1) for n, s in enumerate(scores.flat))
    tuning = Tuning("nlm", grid, cells[:9])

    surface = tuning.surface("b", "a")

    assert surface.shape == (3, 2)
    np.testing.assert_array_equal(surface[:, 0], [1, 9, 5])
    np.testing.assert_array_equal(surface[:, 1], [7, 8, np.nan])
    np.testing.assert_array_equal(tuning.surface("c"), [9, 7])


def test_settings_without_a_score_are_never_the_best() -> None:
    cells = (Cell(0, {"h": 1}, float("nan"), 0.1), Cell(1, {"h": 2}, -3.0, 0.1))

    assert Tuning("nlm", {"h": (1, 2)}, cells).best is cells[1]
    with pytest.raises(ValueError, match="no setting of 'nlm' has been scored"):
        _ = Tuning("nlm", {"h": (1, 2)}, cells[:1]).best


def test_values_that_cannot_be_are_told_before_any_work(image) -> None:
    run = tune_events(image, "nlm", ResidualWhiteness(), grid={"h": (0.5, -1.0)})

    with pytest.raises(ValueError, match=r"NonLocalMeansParams\.h is -1\.0"):
        next(run)


def test_method_without_a_grid_is_told(image) -> None:
    with pytest.raises(ValueError, match=r"'flow' has no grid.*nlm, obnlm, srad, tv"):
        next(tune_events(image, "flow", ResidualWhiteness()))


@pytest.mark.parametrize("method", ["nlm", "obnlm", "srad", "tv"])
def test_default_grids_are_rising_values_of_the_methods_parameters(method) -> None:
    assert method in methods()
    for name, values in method_class(method).grid.items():
        numbers = [value for value in values if value is not None]
        assert numbers == sorted(set(numbers)) and len(values) > 1
        for value in values:
            create(method, **{name: value})
    # The defaults of the strength lie inside its range.
    grid = method_class(method).grid
    strength = list(grid)[-1]
    default = getattr(method_class(method).Params(), strength)
    assert grid[strength][0] < default < grid[strength][-1]


def test_setting_reads_as_words() -> None:
    assert setting_text({"patch_size": 5, "h": 0.8}) == "patch size 5, h 0.8"
    assert setting_text({"block": None, "h": 0.8}) == "block auto, h 0.8"
