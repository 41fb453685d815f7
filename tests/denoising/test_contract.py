"""What every registered method promises; a new method is tested by being there."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import FrozenInstanceError, fields
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.denoising.algorithms import METHODS, method_class
from napari_usflow.denoising.contract import Denoiser, Run
from napari_usflow.denoising.denoise import create, denoise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, FrameDone, Progress, result_of
from napari_usflow.parameters import check_parameters
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage


@pytest.fixture(params=usf.methods())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def denoiser(name: str, tiny_prior: Path) -> Denoiser:
    """The method with its defaults, on a prior that costs nothing."""
    prior = tiny_prior if method_class(name).uses_prior else None
    return create(name, weights=prior, device="cpu")


@pytest.fixture
def noisy(step_image: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (step_image + rng.normal(0, 0.1, step_image.shape)).astype(np.float32)


def run(denoiser: Denoiser, frame: np.ndarray, seed: int = 0) -> np.ndarray:
    return result_of(denoiser.run(frame, Run(0.1, seed=seed)))


def test_frame_keeps_shape_type_and_range(denoiser: Denoiser, noisy) -> None:
    before = noisy.copy()

    clean = run(denoiser, noisy[:50])

    assert (clean.shape, clean.dtype) == ((50, 64), np.float32)
    assert np.isfinite(clean).all()
    # Four standard deviations about the clean values: nothing is rescaled.
    assert clean.min() > -0.1 and clean.max() < 1.2
    np.testing.assert_array_equal(noisy, before)


def test_same_seed_gives_the_same_frame(denoiser: Denoiser, noisy) -> None:
    first = run(denoiser, noisy, seed=7)
    run(denoiser, noisy[::-1].copy(), seed=3)

    np.testing.assert_array_equal(run(denoiser, noisy, seed=7), first)


def test_stack_does_not_depend_on_the_order_of_frames(
    denoiser: Denoiser, noisy
) -> None:
    data = 60 * np.stack([noisy[:32, :32], noisy[32:, 32:], noisy[:32, 32:]]) - 60
    image = UltrasoundImage(
        data, "db", PixelGrid((32, 32), (0.4375, 0.4375), (0.0, 0.0))
    )

    forwards, backwards = (
        {
            event.index: event.data
            for event in denoise_events(image, denoiser, Settings(), order=order)
            if isinstance(event, FrameDone)
        }
        for order in ([0, 1, 2], [2, 1, 0])
    )

    for index in range(3):
        np.testing.assert_array_equal(forwards[index], backwards[index])


def test_progress_is_reported_and_ends(denoiser: Denoiser, noisy) -> None:
    events = denoiser.run(noisy, Run(0.1))

    progress = [event for event in events if isinstance(event, Progress)]

    assert progress
    assert all(0 <= p.done <= p.total for p in progress)
    assert [p.done for p in progress] == sorted(p.done for p in progress)
    assert progress[-1].done == progress[-1].total


def test_cancel_gives_control_back_within_half_a_second(name: str) -> None:
    """With the shipped prior and the defaults, as a user has them."""
    denoiser = create(name, device="cpu")
    frame = np.random.default_rng(0).random((1500, 1500), dtype=np.float32)
    run(denoiser, frame[:8, :8])  # the prior is loaded once, before
    token, asked = CancelToken(), []

    def cancel() -> None:
        asked.append(time.perf_counter())
        token.cancel()

    timer = threading.Timer(0.2, cancel)
    timer.start()
    with pytest.raises(Cancelled):
        result_of(denoiser.run(frame, Run(0.1, token=token)))

    assert time.perf_counter() - asked[0] < 0.5


def test_token_set_before_the_start_is_obeyed(denoiser: Denoiser, noisy) -> None:
    token = CancelToken()
    token.cancel()

    with pytest.raises(Cancelled):
        result_of(denoiser.run(noisy, Run(0.1, token=token)))


@pytest.mark.parametrize("shape", [(7, 5), (1, 40), (33, 3)])
def test_frame_smaller_than_a_patch_works(denoiser: Denoiser, shape) -> None:
    frame = np.random.default_rng(0).normal(0.5, 0.1, shape).astype(np.float32)

    clean = run(denoiser, frame)

    assert clean.shape == shape and np.isfinite(clean).all()


def test_infinite_frame_is_refused_before_any_method() -> None:
    image = np.full((3, 40, 40), 0.5, np.float32)
    image[2, 3, 4] = np.inf

    with pytest.raises(ValueError, match="frame 2 has 1 infinite"):
        denoise(image, method="tv")


def test_frames_before_a_broken_one_are_given(denoiser: Denoiser, noisy) -> None:
    stack = np.stack([noisy[:32, :32], noisy[32:, 32:], noisy[:32, 32:]])
    stack[2, 0, 0] = np.inf
    grid = PixelGrid((32, 32), (0.4375, 0.4375), (0.0, 0.0))
    image = UltrasoundImage(60 * stack - 60, "db", grid)
    given = []

    with pytest.raises(ValueError, match="frame 2 has 1 infinite"):
        given.extend(
            event.index
            for event in denoise_events(image, denoiser, Settings())
            if isinstance(event, FrameDone)
        )

    assert given == [0, 1]


def test_constant_image_stays_without_any_method() -> None:
    image = np.full((20, 30), 0.4, np.float32)

    np.testing.assert_array_equal(denoise(image, method="tv"), image)


def test_constant_frame_stays_when_the_method_itself_is_asked(
    name: str, denoiser: Denoiser
) -> None:
    if method_class(name).uses_prior:
        pytest.skip("a prior with random weights has its own opinion")
    frame = np.full((20, 30), 0.4, np.float32)

    # What a network learned is exact to a fifth of the noise level, 0.1.
    tolerance = 1e-5 if method_class(name).baseline else 0.02
    np.testing.assert_allclose(run(denoiser, frame), frame, atol=tolerance)


@pytest.mark.parametrize("sigma", [1e-4, 1.0])
def test_absurd_noise_levels_give_finite_frames(
    denoiser: Denoiser, noisy, sigma: float
) -> None:
    frame = noisy[:40, :40]
    events = denoiser.run(frame, Run(sigma))

    clean = result_of(events)

    assert clean.shape == frame.shape and np.isfinite(clean).all()


@pytest.mark.parametrize("sigma", [-0.1, 0.0, float("nan"), 1e9])
def test_noise_levels_that_cannot_be_are_refused_before_any_method(
    noisy, sigma: float
) -> None:
    with pytest.raises(ValueError, match="sigma"):
        denoise(noisy, method="tv", sigma=sigma)


def test_every_parameter_refuses_what_it_cannot_be(name: str) -> None:
    """Below, above and no number; a name that is no choice; a truth that is none."""
    params = method_class(name).Params
    assert fields(params)
    for field in fields(params):
        meta = field.metadata
        if meta["choices"]:
            absurd: list[object] = ["nonsense", 1]
        elif isinstance(field.default, bool):
            absurd = ["yes", 1]
        else:
            absurd = [meta["minimum"] - 1, meta["maximum"] + 1, float("nan"), "1"]
        for value in absurd:
            with pytest.raises(ValueError, match=f"{params.__name__}.{field.name} is"):
                create(name, **{field.name: value})


def test_extremes_of_every_parameter_give_a_finite_frame(
    name: str, tiny_prior: Path, noisy
) -> None:
    """The smallest value that is allowed, and the largest where that is quick."""
    cls = method_class(name)
    slow = {"iterations", "batch_size", "patch_distance", "search_radius"}
    quick = {"iterations": 2} if "iterations" in vars(cls.Params()) else {}
    prior = tiny_prior if cls.uses_prior else None
    for field in fields(cls.Params):
        low, high = field.metadata["minimum"], field.metadata["maximum"]
        if low is None:
            continue
        for value in [low] if field.name in slow else [low, high]:
            kind = float if field.default is None else type(field.default)
            params = {**quick, field.name: kind(value)}

            clean = run(create(name, weights=prior, device="cpu", **params), noisy[:34])

            assert np.isfinite(clean).all(), params


def test_presets_are_parameters_of_the_method(name: str) -> None:
    cls = method_class(name)

    for preset in cls.presets.values():
        assert isinstance(preset, cls.Params)
        assert preset != cls.Params()
        check_parameters(preset)


def test_provenance_says_how_to_do_it_again(name: str, denoiser: Denoiser) -> None:
    made = denoiser.provenance()

    assert made["method"] == name
    assert set(made["parameters"]) == set(vars(denoiser.params))
    if method_class(name).uses_prior:
        assert len(made["prior_sha256"]) == 64


def test_noise_is_removed_and_the_disk_stays(name: str, noisy, step_image) -> None:
    """With the shipped prior: half of the error goes, levels stay."""
    clean = denoise(noisy, method=name, sigma=0.1, device="cpu")

    error = np.sqrt(np.mean((clean - step_image) ** 2))
    assert error < 0.05
    assert clean[:8].mean() == pytest.approx(0.3, abs=0.02)
    assert clean[28:36, 28:36].mean() == pytest.approx(0.8, abs=0.02)


def test_module_of_each_name_holds_the_method_of_that_name(name: str) -> None:
    cls = method_class(name)

    assert (cls.name, cls.__module__) == (name, METHODS[name])
    assert list(signature(cls.run).parameters) == ["self", "frame", "run"]


def test_run_is_what_it_was_made_as() -> None:
    run = Run(0.1)

    assert (run.seed, run.dynamic_range_db, run.token.cancelled) == (0, 60.0, False)
    assert run.token is not Run(0.1).token
    with pytest.raises(FrozenInstanceError):
        run.sigma = 0.2


@pytest.mark.parametrize("first", ["flow.posterior_mean", "tv"])
def test_order_of_methods_does_not_depend_on_what_was_imported_first(
    first: str,
) -> None:
    code = (
        f"import napari_usflow.denoising.algorithms.{first}\n"
        "import napari_usflow as usf\n"
        "print(*usf.methods())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    names = "best realtime flow flow-map flow-speckle nlm obnlm srad tv"
    assert done.stdout.strip() == names, done.stderr
