"""A layer means what an array and a file of the same bytes mean, or asks the same."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_usflow import io
from napari_usflow._napari.layers.content import (
    LayerError,
    image_from_layer,
    inspect_layer,
    layer_data,
)
from napari_usflow.ultrasound.value_rule import UnknownValuesError, value_meaning
from speckle_pictures import DB, ENVELOPE, GREY, RF

ARRAYS = {
    "uint8": GREY,
    "12 bits": GREY.astype(np.uint16) * 16,
    "int16 grey": GREY.astype(np.int16),
    "RF": (RF * 1e4).astype(np.float32),
    "int16 RF": (RF * 1e6).astype(np.int16),
    "envelope": (ENVELOPE * 2e4).astype(np.float32),
    "dB": DB,
    "dB above 0": (DB + 100).astype(np.float32),
    "unit grey": GREY / 255,
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_layer_is_the_same_image_or_question_as_a_file(tmp_path, kind: str) -> None:
    array, layer = ARRAYS[kind], Image(ARRAYS[kind], name="a")
    np.save(tmp_path / "a.npy", array)
    try:
        meaning = value_meaning(array, name="layer 'a'")
    except UnknownValuesError as question:
        with pytest.raises(LayerError) as error:
            inspect_layer(layer)
        assert str(error.value) == str(question)
        return

    content = inspect_layer(layer)
    shown = image_from_layer(layer, needs_millimetres=False)
    (stored,) = io.read(tmp_path / "a.npy")

    assert (content.values, content.value_range) == (
        meaning.values,
        meaning.value_range,
    )
    np.testing.assert_allclose(np.asarray(shown.data), stored.data, atol=1e-3)


def test_a_file_that_asks_opens_as_a_layer_that_asks(tmp_path) -> None:
    np.save(tmp_path / "a.npy", ARRAYS["envelope"])
    opened = io.open_file(tmp_path / "a.npy")

    data, kwargs, _ = layer_data(opened.images[0])

    layer = Image(data, name="a", metadata=kwargs["metadata"])
    with pytest.raises(LayerError, match="in the window Values"):
        inspect_layer(layer)
    assert inspect_layer(layer, values="envelope").values == "envelope"


def test_nan_of_a_layer_is_outside_and_the_floor_is_finite() -> None:
    frame = DB.copy()
    frame[5, 50], frame[:, :10] = -np.inf, np.nan

    image = image_from_layer(Image(frame), needs_millimetres=False)

    assert image.values == "db"
