"""What is read out of a layer, and how an image becomes one."""

from __future__ import annotations

from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_usflow._napari.layers.content import (
    LayerError,
    image_from_layer,
    inspect_layer,
    layer_data,
)
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

MM = {"scale": (0.5, 0.25), "units": ("mm", "mm")}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("data", "values", "value_range"),
    [
        ((255 * noise(8, 9)).astype(np.uint8), "display", None),
        (noise(8, 9), "display", (0.0, 1.0)),
        (-60 * noise(8, 9), "db", None),
    ],
)
def test_values_are_told_from_type_and_range(data, values, value_range):
    content = inspect_layer(Image(data, **MM))
    assert (content.values, content.value_range) == (values, value_range)


def test_values_noted_on_the_layer_are_believed():
    note = {"usflow": {"values": "envelope"}}
    assert inspect_layer(Image(noise(8, 9), metadata=note)).values == "envelope"


def test_what_the_user_says_comes_before_what_the_layer_says():
    layer = Image(noise(8, 9), metadata={"usflow": {"values": "envelope"}})
    assert inspect_layer(layer, values="db").values == "db"


def test_ambiguous_values_are_asked_for_and_can_be_given():
    layer = Image(noise(8, 9) * 4000, name="raw", contrast_limits=(100, 3000), **MM)
    with pytest.raises(LayerError, match=r"'raw': cannot tell.*in the window Values"):
        inspect_layer(layer)
    assert inspect_layer(layer, values="envelope").values == "envelope"
    assert inspect_layer(layer, values="display").value_range == (100.0, 3000.0)


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (Image(noise(8, 9, 3), rgb=True, name="photo"), "'photo' is a colour image"),
        (Labels(np.zeros((8, 9), int), name="rois"), "'rois' is a Labels layer"),
        (Image(np.zeros((8, 9), bool), name="mask"), "'mask' holds bool"),
        (Image(noise(2, 2, 8, 9), name="vol"), "'vol' has 4 axes"),
        (Image(np.full((8, 9), np.nan), name="hole"), "'hole' has 72 NaN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_layers_that_cannot_be_denoised_are_refused_by_name(layer, says):
    with pytest.raises(LayerError, match=says):
        image_from_layer(layer, pixel_size_mm=0.1)


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm", 1.0), ("cm", 10.0), ("um", 1e-3), ("m", 1e3)]
)
def test_pixel_size_comes_from_scale_and_units(unit, factor):
    layer = Image(noise(8, 9), scale=(0.5, 0.25), units=(unit, unit))
    spacing = image_from_layer(layer).spacing_mm
    assert spacing == pytest.approx((0.5 * factor, 0.25 * factor))


def test_pixel_size_survives_rotation_and_counts_the_affine():
    layer = Image(
        noise(8, 9),
        scale=(0.5, 0.25),
        rotate=30,
        affine=np.diag([2.0, 2.0, 1.0]),
        units="mm",
    )
    assert image_from_layer(layer).spacing_mm == pytest.approx((1.0, 0.5))


def test_layer_in_pixels_needs_a_pixel_size():
    layer = Image(noise(8, 9), name="frame")
    with pytest.raises(LayerError, match="'frame' has no pixel size in mm"):
        image_from_layer(layer)
    assert image_from_layer(layer, pixel_size_mm=(0.2, 0.3)).spacing_mm == (0.2, 0.3)
    assert image_from_layer(layer, pixel_size_mm=0.2).spacing_mm == (0.2, 0.2)


def test_layer_in_pixels_will_do_where_no_length_counts():
    image = image_from_layer(Image(noise(8, 9)), needs_millimetres=False)
    assert image.metadata["pixel_size_known"] is False
    assert image.metadata["value_range"] == (0.0, 1.0)


def test_single_frame_becomes_a_stack_of_one():
    data = noise(8, 9)
    image = image_from_layer(Image(data, **MM))
    np.testing.assert_array_equal(np.asarray(image.data), data[np.newaxis])


def test_lazy_stacks_are_read_one_frame_at_a_time():
    read: list[int] = []

    def load(block_info: Any = None) -> np.ndarray:
        read.append(block_info[None]["chunk-location"][0])
        return noise(1, 8, 9)

    stack = da.map_blocks(load, chunks=((1,) * 6, 8, 9), dtype=np.float32)
    layer = Image(stack, contrast_limits=(0, 1), scale=(1, 0.5, 0.5), units="mm")
    read.clear()
    image = image_from_layer(layer)
    assert set(read) <= {3}
    np.asarray(image.data[5])
    assert set(read) <= {3, 5}


def test_open_hdf5_dataset_stays_on_disk(tmp_path):
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        stored = file.create_dataset("stack", data=noise(4, 8, 9))
        layer = Image(stored, contrast_limits=(0, 1), units="mm")
        assert image_from_layer(layer).data is layer.data


def test_finest_level_of_a_pyramid_is_taken():
    data = noise(16, 18)
    layer = Image([data, data[::2, ::2]], multiscale=True, units="mm")
    assert image_from_layer(layer).data.shape == (1, 16, 18)


def plane_wave_image(frames: int) -> UltrasoundImage:
    return UltrasoundImage(
        -60 * noise(frames, 8, 9),
        "db",
        PixelGrid((8, 9), (0.2, 0.4), (5.0, -1.6)),
        frame_axis="plane_waves",
        metadata={"name": "cysts", "source": "a.hdf5"},
    )


def test_image_lies_in_millimetres_where_it_was_taken():
    data, kwargs, kind = layer_data(plane_wave_image(3))
    layer = Image(data, **kwargs)
    assert kind == "image"
    assert layer.name == "cysts"
    assert layer.axis_labels == ("plane_waves", "z", "x")
    assert [str(u) for u in layer.units] == [
        "dimensionless",
        "millimeter",
        "millimeter",
    ]
    np.testing.assert_allclose(layer.scale, (1, 0.2, 0.4))
    np.testing.assert_allclose(layer.translate, (0, 5.0, -1.6))
    assert layer.contrast_limits == [-60, 0]
    assert layer.colormap.name == "gray"
    assert layer.metadata["usflow"]["source"] == "a.hdf5"


def test_one_frame_gives_a_flat_layer():
    data, kwargs, _ = layer_data(plane_wave_image(1), name="compound")
    layer = Image(data, **kwargs)
    assert (layer.ndim, layer.axis_labels, layer.name) == (2, ("z", "x"), "compound")


def test_clip_has_seconds_on_its_first_axis():
    image = UltrasoundImage(
        (255 * noise(3, 8, 9)).astype(np.uint8),
        "display",
        PixelGrid((8, 9), (0.2, 0.4), (0.0, 0.0)),
        frame_interval_s=0.05,
    )
    layer = Image(*layer_data(image)[:1], **layer_data(image)[1])
    assert str(layer.units[0]) == "second"
    assert layer.scale[0] == pytest.approx(0.05)
    assert layer.contrast_limits == [0, 255]


def test_there_and_back_gives_the_same_grid_and_values():
    before = plane_wave_image(3)
    data, kwargs, _ = layer_data(before)
    after = image_from_layer(Image(data, **kwargs))
    assert after.values == before.values
    assert after.frame_axis == before.frame_axis
    assert after.spacing_mm == pytest.approx(before.spacing_mm)
    assert after.origin_mm == pytest.approx(before.origin_mm)
    np.testing.assert_array_equal(after.data, before.data)
