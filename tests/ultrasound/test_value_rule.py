"""What numbers mean: certain cases are taken, the rest is a question."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_usflow.ultrasound.value_rule import (
    UnknownValuesError,
    shown_frame,
    value_meaning,
)
from speckle_pictures import DB, ENVELOPE, GREY, IQ, RF

CERTAIN = {
    "uint8": (GREY, "display", None, ""),
    "8 bits in floats": (GREY.astype(np.float32), "display", None, ""),
    "smoothed 8 bits": (gaussian_filter(GREY.astype(float), 0.7), "display", None, ""),
    "grey in [0, 1]": (GREY / 255, "display", (0, 1), ""),
    "grey in [0, 1] with noise": (
        GREY / 255 + np.random.default_rng(0).normal(0, 0.1, GREY.shape),
        "display",
        (0, 1),
        "",
    ),
    "decibels": (DB, "db", None, ""),
    "decibels in int16": (DB.astype(np.int16), "db", None, ""),
    "decibels in int8": (np.clip(DB, -128, 0).astype(np.int8), "db", None, ""),
    "RF": (RF * 1e4, "db", None, "rf"),
    "RF in int16": ((RF * 1e6).astype(np.int16), "db", None, "rf"),
    "RF of at most 1": (RF / np.abs(RF).max(), "db", None, "rf"),
    "RF of a high rate": (
        (IQ * np.exp(0.1j * np.pi * np.arange(96)[:, None])).real,
        "db",
        None,
        "rf",
    ),
    "IQ": (IQ.astype(np.complex64), "db", None, "iq"),
}
QUESTIONS = {
    "12 bits in uint16": GREY.astype(np.uint16) * 16,
    "16 bits in uint16": GREY.astype(np.uint16) * 257,
    "grey in int16": GREY.astype(np.int16),
    "grey in int32": GREY.astype(np.int32),
    "grey in signed int8": (GREY.astype(np.int16) - 128).astype(np.int8),
    "grey about zero in int16": ((GREY.astype(int) - 128) * 200).astype(np.int16),
    "envelope": ENVELOPE * 2e4,
    "envelope in uint16": (ENVELOPE * 2e5).astype(np.uint16),
    "envelope of at most 1": ENVELOPE / ENVELOPE.max(),
    "envelope of at most 255": ENVELOPE / ENVELOPE.max() * 255,
    "small envelope": ENVELOPE * 1e-9,
    "power": ENVELOPE**2 * 1e6,
    "power of at most 1": (ENVELOPE / ENVELOPE.max()) ** 2,
    "decibels above 0": DB + 100,
    "decibels from 0 to 60": np.clip(DB + 60, 0, 60),
    "decibels about their mean": DB - DB.mean(),
    "standardised grey": (GREY - GREY.mean()) / GREY.std(),
    "standardised envelope": (ENVELOPE - ENVELOPE.mean()) / ENVELOPE.std(),
}


@pytest.mark.parametrize("kind", CERTAIN)
def test_what_is_certain_is_taken(kind: str) -> None:
    frame, values, value_range, signal = CERTAIN[kind]

    meaning = value_meaning(frame)

    assert (meaning.values, meaning.value_range) == (values, value_range)
    assert meaning.signal == signal


@pytest.mark.parametrize("kind", QUESTIONS)
def test_the_rest_is_a_question_in_one_line_that_names_the_options(kind: str) -> None:
    with pytest.raises(UnknownValuesError) as error:
        value_meaning(QUESTIONS[kind], name="scan.tif")

    text = str(error.value)
    assert text.startswith("scan.tif: cannot tell what ") and "\n" not in text
    assert "--values db|envelope|display|rf" in text and "--value-range" in text


@pytest.mark.parametrize("kind", QUESTIONS)
@pytest.mark.parametrize("values", ["db", "envelope", "display", "rf"])
def test_the_question_is_answered_by_the_user(kind: str, values: str) -> None:
    meaning = value_meaning(QUESTIONS[kind], values=values)

    assert meaning.values == ("db" if values == "rf" else values)
    assert meaning.signal == ("rf" if values == "rf" else "")


@pytest.mark.parametrize(
    ("frame", "white"),
    [
        (GREY.astype(np.uint16) * 16, 4095),
        (GREY.astype(np.uint16) * 257, 65535),
        (GREY.astype(np.int16), 255),
    ],
)
def test_white_of_stated_grey_is_that_of_the_bits_in_use(frame, white: int) -> None:
    low, high = value_meaning(frame, values="display").value_range or (0, 255)

    assert (low, high) == (0, white)


def test_decibels_above_zero_are_shown_below_their_maximum() -> None:
    meaning = value_meaning(DB + 100, values="db")

    assert meaning.value_range == pytest.approx((40, 100))


@pytest.mark.parametrize(
    ("value_range", "values"), [((0, 4095), "display"), ((-60, 0), "db")]
)
def test_black_and_white_answer_too(value_range, values: str) -> None:
    meaning = value_meaning(QUESTIONS["12 bits in uint16"], value_range=value_range)

    assert (meaning.values, meaning.value_range) == (values, value_range)


@pytest.mark.parametrize("dtype", [bool, object, "U3"])
def test_what_is_no_number_is_refused(dtype) -> None:
    with pytest.raises(ValueError, match="values, which have no speckle"):
        value_meaning(np.zeros((8, 8), dtype))


def test_envelope_of_rf_is_taken_along_depth_and_outside_stays_outside() -> None:
    outside = np.zeros(RF.shape, bool)
    outside[:, :20] = True

    shown = shown_frame(np.where(outside, np.nan, RF), "rf")

    assert np.array_equal(np.isnan(shown), outside) and np.nanmax(shown) == 0
    expected = 20 * np.log10(ENVELOPE)
    inner = np.s_[10:-10, 25:]
    both = np.corrcoef(shown[inner].ravel(), expected[inner].ravel())
    assert both[0, 1] > 0.9


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-6, 1e6),
    grain=st.floats(0.5, 3.0),
    power=st.sampled_from([1, 2]),
    seed=st.integers(0, 1000),
)
def test_no_envelope_and_no_power_is_ever_taken_as_grey_or_decibels(
    scale: float, grain: float, power: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = [gaussian_filter(rng.standard_normal((96, 96)), grain) for _ in "ri"]
    amplitude = np.hypot(*parts) ** power

    with pytest.raises(UnknownValuesError):
        value_meaning(scale * amplitude / amplitude.max())


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-6, 1e6),
    turn=st.floats(0.15, 0.85),
    seed=st.integers(0, 1000),
)
def test_rf_of_any_scale_and_carrier_is_rf(
    scale: float, turn: float, seed: int
) -> None:
    rng, pulse = np.random.default_rng(seed), max(1.5, 1 / turn)  # two periods
    parts = [
        gaussian_filter(rng.standard_normal((128, 64)), (pulse, 1.5)) for _ in "ri"
    ]
    carrier = np.exp(1j * np.pi * turn * np.arange(128)[:, None])

    meaning = value_meaning(scale * ((parts[0] + 1j * parts[1]) * carrier).real)

    assert meaning.signal == "rf"
