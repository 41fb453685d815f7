"""The public functions ``denoise`` and ``create``."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import dask.array as da
import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.denoising.denoise import create, denoise
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage


@pytest.fixture
def noisy(step_image: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (step_image + rng.normal(0, 0.1, step_image.shape)).astype(np.float32)


def test_best_network_is_the_default_and_first(noisy: np.ndarray) -> None:
    assert usf.methods()[0] == create().name == "best"

    np.testing.assert_array_equal(
        denoise(noisy, device="cpu"), denoise(noisy, method="best", device="cpu")
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_array_keeps_type_shape_and_values(noisy: np.ndarray, dtype: type) -> None:
    image = noisy.astype(dtype)
    if dtype is np.uint8:
        image = np.clip(255 * noisy, 0, 255).astype(np.uint8)

    clean = denoise(image, method="nlm", sigma=0.1)

    assert type(clean) is np.ndarray
    assert (clean.dtype, clean.shape) == (image.dtype, image.shape)
    white = 255 if dtype is np.uint8 else 1
    assert clean[:10].mean() / white == pytest.approx(0.3, abs=0.02)
    assert clean[28:36, 28:36].mean() / white == pytest.approx(0.8, abs=0.02)


def test_decibels_are_recognised(noisy: np.ndarray) -> None:
    clean_db = denoise(60 * noisy - 60, method="nlm", sigma=0.1)

    np.testing.assert_allclose(
        clean_db, 60 * denoise(noisy, method="nlm", sigma=0.1) - 60, atol=1e-3
    )


def test_sixteen_bit_needs_and_takes_a_value_range(noisy: np.ndarray) -> None:
    image = np.clip(4095 * noisy, 0, 4095).astype(np.uint16)

    with pytest.raises(ValueError, match="cannot tell what uint16 values from 0 to"):
        denoise(image, method="nlm")
    clean = denoise(image, method="nlm", sigma=0.1, value_range=(0, 4095))

    assert clean.dtype == np.uint16
    assert clean[28:36, 28:36].mean() == pytest.approx(0.8 * 4095, rel=0.02)


def test_frame_of_a_stack_is_denoised_as_if_alone(noisy: np.ndarray) -> None:
    stack = np.stack([noisy, noisy[::-1], noisy.T])

    clean = denoise(stack, method="nlm", sigma=0.1)

    assert clean.shape == stack.shape
    np.testing.assert_array_equal(clean[1], denoise(stack[1], method="nlm", sigma=0.1))


def test_image_keeps_grid_values_and_metadata(noisy: np.ndarray) -> None:
    grid = PixelGrid((64, 64), (0.15, 0.2), (5.0, -6.4))
    image = UltrasoundImage(
        60 * noisy[None] - 60, "db", grid, frame_axis="plane_waves", metadata={"a": 1}
    )

    clean = denoise(image, method="nlm", sigma=0.1)

    assert isinstance(clean, UltrasoundImage)
    assert (clean.grid, clean.values, clean.frame_axis) == (grid, "db", "plane_waves")
    assert clean.metadata == {"a": 1} and clean.data.shape == (1, 64, 64)


@pytest.mark.parametrize("method", ["realtime", "flow", "nlm"])
def test_pixel_size_need_not_be_known(noisy: np.ndarray, method: str) -> None:
    as_it_is = denoise(noisy, method=method, sigma=0.1, device="cpu")

    fine = denoise(noisy, method=method, sigma=0.1, pixel_size_mm=0.1, device="cpu")

    np.testing.assert_array_equal(as_it_is, fine)


def test_parameters_reach_method_and_settings(noisy: np.ndarray) -> None:
    plain = denoise(noisy, method="nlm", sigma=0.1, h=0.3)

    mixed = denoise(noisy, method="nlm", sigma=0.1, h=0.3, mix_back=0.25)
    stronger = denoise(noisy, method="nlm", sigma=0.05, h=0.3, strength=2.0)

    np.testing.assert_allclose(mixed, plain + 0.25 * (noisy - plain), atol=1e-5)
    np.testing.assert_allclose(stronger, plain, atol=1e-6)
    assert np.abs(plain - denoise(noisy, method="nlm", sigma=0.1)).max() > 0.01


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (da.zeros((20, 20, 3)), "looks like a colour image"),
        (np.zeros(20), r"must have shape \(Z, X\) or \(T, Z, X\), got \(20,\)"),
        (np.zeros((1, 2, 20, 20)), "got"),
        (np.zeros((0, 20)), "got"),
        (np.zeros((20, 20), bool), "holds bool values"),
        (np.full((20, 20), 1e4), "what float64 values from 10000 to 10000 are"),
        (np.full((20, 20), np.nan), "400 NaN or infinite pixels of 400"),
        (np.where(np.eye(20), np.inf, 0.5), "20 infinite pixels of 400"),
    ],
)
def test_what_is_no_image_is_refused(image: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        denoise(image, method="nlm")


def test_unknown_method_and_parameter_are_named() -> None:
    with pytest.raises(ValueError, match="no method 'magic'; choose one of best,"):
        create("magic")
    with pytest.raises(TypeError, match="'nlm' has no parameter variation; it has"):
        create("nlm", variation=3)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"sigma": -1}, "sigma is -1; as a fraction of the dynamic range of 60 dB it"),
        ({"sigma": float("nan")}, "sigma is nan; as a fraction"),
        ({"sigma": "x"}, "sigma is 'x'; it must be a number"),
        ({"h": "strong"}, "NonLocalMeansParams.h is 'strong'; it must be a number"),
        ({"patch_size": 5.5}, "patch_size is 5.5; it must be a whole number"),
        ({"seed": 1.5}, "Settings.seed is 1.5; it must be a whole number"),
        ({"bias_correction": 1}, "bias_correction is 1; it must be True or False"),
        ({"strength": "x"}, "Settings.strength is 'x'; it must be a number"),
        ({"strength": 3}, "Settings.strength is 3"),
        ({"dynamic_range_db": "x"}, "dynamic_range_db is 'x'; it must be a number"),
        ({"value_range": np.zeros(3)}, r"two numbers \(low, high\), got array"),
        ({"value_range": 5}, r"two numbers \(low, high\), got 5"),
        ({"value_range": (1, 0)}, "low < high"),
        ({"pixel_size_mm": (1, 2, 3)}, r"two \(axial, lateral\), got \(1, 2, 3\)"),
        ({"pixel_size_mm": "x"}, r"two \(axial, lateral\), got 'x'"),
        ({"pixel_size_mm": (0.1, -1)}, "one positive size in mm .* or two"),
    ],
)
def test_wrong_argument_is_named(noisy, arguments, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        denoise(noisy, method="nlm", **arguments)


def test_stride_of_the_flow_is_a_whole_number() -> None:
    for stride in ("a", 11.5, True, None):
        with pytest.raises(ValueError, match=r"FlowParams\.stride is .* whole number"):
            create("flow", stride=stride)
    assert create("flow", stride=np.int64(12)).params.stride == 12


def test_value_range_may_be_an_array(noisy: np.ndarray) -> None:
    image = 100 * noisy

    np.testing.assert_array_equal(
        denoise(image, method="nlm", sigma=0.1, value_range=np.array([0, 100])),
        denoise(image, method="nlm", sigma=0.1, value_range=(0.0, 100.0)),
    )


def test_known_pixel_size_is_not_replaced(noisy: np.ndarray) -> None:
    grid = PixelGrid((64, 64), (0.2, 0.25), (0.0, 0.0))
    image = UltrasoundImage(60 * noisy[None] - 60, "db", grid, metadata={"name": "a"})
    unknown = image.with_data(image.data, metadata={"pixel_size_known": False})

    with pytest.raises(ValueError, match=r"a states its pixel size, 0\.2 x 0\.25 mm"):
        denoise(image, method="nlm", pixel_size_mm=0.1)
    clean = denoise(unknown, method="nlm", pixel_size_mm=(0.2, 0.25))

    np.testing.assert_array_equal(clean.data, denoise(image, method="nlm").data)


@pytest.mark.parametrize(
    "first",
    [
        "import napari_usflow.denoising.pipeline",
        "from napari_usflow import denoise",
        "usf.methods",
        "pass",
    ],
)
def test_public_name_is_a_function_whatever_was_imported_first(first: str) -> None:
    code = (
        f"import types, numpy as np, napari_usflow as usf\n{first}\n"
        "from napari_usflow.denoising.denoise import denoise\n"
        "print(isinstance(usf.denoise, types.FunctionType),"
        " denoise is usf.denoise,"
        " usf.denoise(np.full((8, 8), 0.5), method='nlm').mean())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == ["True", "True", "0.5"], done.stderr


def test_pickled_function_is_the_function() -> None:
    assert pickle.loads(pickle.dumps(usf.denoise)) is usf.denoise


def test_signature_shows_the_image_and_the_method() -> None:
    parameters = list(inspect.signature(usf.denoise).parameters.values())

    assert (parameters[0].name, parameters[0].default) == ("image", inspect._empty)
    assert (parameters[1].name, parameters[1].default) == ("method", "best")


@pytest.mark.parametrize("call", [usf.denoise, usf.uncertainty])
def test_events_are_reported_as_the_generator_yields_them(call, tiny_prior) -> None:
    frames = np.random.default_rng(0).random((2, 32, 32))
    events: list[usf.Event] = []

    result = call(
        frames, method="flow", sigma=0.1, weights=tiny_prior, on_event=events.append
    )

    finished = [event for event in events if isinstance(event, usf.FrameDone)]
    assert [event.index for event in finished] == [0, 1]
    for event in finished:
        np.testing.assert_allclose(result[event.index], event.data, rtol=1e-5)
    assert any(isinstance(event, usf.Progress) for event in events)


@pytest.mark.parametrize("call", [usf.denoise, usf.uncertainty])
def test_token_stops_after_the_frame_at_work(call, tiny_prior) -> None:
    frames = np.random.default_rng(0).random((3, 32, 32))
    token, finished = usf.CancelToken(), []

    def stop(event: usf.Event) -> None:
        if isinstance(event, usf.FrameDone):
            finished.append(event.index)
            token.cancel()

    with pytest.raises(usf.Cancelled):
        call(
            frames,
            method="flow",
            sigma=0.1,
            weights=tiny_prior,
            on_event=stop,
            token=token,
        )
    assert finished == [0]


@pytest.mark.parametrize("option", [{"on_event": print}, {"token": usf.CancelToken()}])
def test_lazy_image_takes_no_callback_and_no_token(option) -> None:
    lazy = da.zeros((2, 32, 32), chunks=(1, 32, 32))

    with pytest.raises(ValueError, match="on_event and token do not reach it"):
        usf.denoise(lazy, method="tv", **option)
