"""Image layers as volumes to train on."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Points

from napari_usflow._napari.layers.content import LayerError
from napari_usflow._napari.train.mri_layers import volume_of_layer


def test_stack_is_scaled_by_its_upper_percentile_and_keeps_its_pixel():
    rng = np.random.default_rng(0)
    data = rng.random((3, 20, 30)).astype(np.float32) * 1234
    layer = Image(data, name="knee", scale=(4, 0.5, 0.3), units=("mm", "mm", "mm"))
    stack = volume_of_layer(layer).read()
    np.testing.assert_allclose(np.percentile(stack.slices, 99.9), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        stack.slices * np.percentile(data, 99.9), data, rtol=1e-5
    )
    assert stack.slices.dtype == np.float32
    assert stack.pixel_size_mm == pytest.approx((0.5, 0.3))
    assert stack.name == "knee"


def test_single_image_in_other_units_is_a_stack_of_one():
    layer = Image(np.full((20, 30), 7, np.uint16), scale=(500, 300), units="um")
    stack = volume_of_layer(layer).read()
    assert stack.slices.shape == (1, 20, 30)
    assert stack.pixel_size_mm == pytest.approx((0.5, 0.3))
    np.testing.assert_allclose(stack.slices, 1.0)


def test_lazy_data_is_read_in_the_thread_only():
    import dask.array

    read: list[int] = []

    def block(block_info=None):
        read.append(1)
        return np.ones((1, 8, 8), np.float32)

    data = dask.array.map_blocks(
        block, chunks=((1, 1), (8,), (8,)), dtype=np.float32, meta=np.ones((0, 0, 0))
    )
    layer = Image(data, units="mm", contrast_limits=(0, 1))
    read.clear()
    volume = volume_of_layer(layer)
    assert not read
    assert volume.read().slices.shape == (2, 8, 8)


def test_layer_without_lengths_needs_a_pixel_size():
    layer = Image(np.ones((8, 8)), name="photo")
    with pytest.raises(LayerError, match=r"'photo' has no pixel size .*type the pixel"):
        volume_of_layer(layer)
    assert volume_of_layer(layer, pixel_size_mm=(0.7, 0.6)).pixel_size_mm == (0.7, 0.6)


def test_own_pixel_size_goes_before_the_typed_one():
    layer = Image(np.ones((8, 8)), units="mm")
    assert volume_of_layer(layer, pixel_size_mm=(9.0, 9.0)).pixel_size_mm == (1.0, 1.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "NaN or infinite"), (-60.0, "down to -60"), (0.0, "all values are 0")],
)
def test_values_that_are_no_magnitudes_are_refused(value, message):
    data = np.zeros((8, 8), np.float32)
    data[3, 3] = value
    volume = volume_of_layer(Image(data, name="bad", units="mm"))
    with pytest.raises(LayerError, match=f"'bad' .*{message}"):
        volume.read()


def test_stack_that_would_not_fit_is_refused_before_it_is_read():
    import dask.array

    huge = dask.array.zeros((2000, 1024, 1024), chunks=(1, 1024, 1024), dtype="u1")
    layer = Image(huge, name="huge", units="mm", contrast_limits=(0, 1))
    with pytest.raises(LayerError, match=r"'huge' of shape .* crop it"):
        volume_of_layer(layer)


def test_other_layers_are_refused():
    with pytest.raises(LayerError, match="Points layer"):
        volume_of_layer(Points(np.zeros((1, 2)), name="targets"))
