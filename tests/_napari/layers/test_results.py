"""The result layer, on a viewer without a window."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_usflow._napari.layers import results


@pytest.fixture
def viewer(grey_stack, layer_kwargs) -> ViewerModel:
    model = ViewerModel()
    model.add_image(grey_stack, **layer_kwargs)
    return model


def test_result_lies_and_looks_like_its_input(viewer):
    source = viewer.layers[0]
    source.rotate = 10
    result = results.add_result_layer(
        viewer, source, source.data / 2, name="clean", note={"method": "nlm"}
    )
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(result, name), getattr(source, name))
    np.testing.assert_allclose(result.affine.affine_matrix, source.affine.affine_matrix)
    assert result.units == source.units
    assert result.axis_labels == source.axis_labels
    assert result.contrast_limits == source.contrast_limits
    assert result.colormap.name == "magma"
    assert result.gamma == 0.8
    assert result.metadata["usflow"] == {"method": "nlm"}


def test_result_lies_above_input_and_earlier_results_and_hides_these(viewer):
    source = viewer.layers[0]
    viewer.add_image(np.zeros((24, 20)), units="mm", name="top")

    made = [
        results.add_result_layer(viewer, source, source.data, name=name, note={})
        for name in ("first", "second", "third")
    ]

    names = [layer.name for layer in viewer.layers]
    assert names == ["clip", "first", "second", "third", "top"]
    assert [layer.visible for layer in made] == [False, False, True]
    assert source.visible
    assert all(results.source_of(layer) is source for layer in made)


def test_result_stays_below_regions(viewer):
    source = viewer.layers[0]
    viewer.add_shapes(name="regions")

    for name in ("first", "second"):
        results.add_result_layer(viewer, source, source.data, name=name, note={})

    names = [layer.name for layer in viewer.layers]
    assert names == ["clip", "first", "second", "regions"]


def test_map_beside_a_result_does_not_hide_it(viewer):
    source = viewer.layers[0]
    clean = results.add_result_layer(viewer, source, source.data, name="a", note={})

    results.add_result_layer(
        viewer, source, source.data, name="spread", note={}, covers=False
    )

    assert clean.visible
    assert [layer.name for layer in viewer.layers] == ["clip", "a", "spread"]


def test_whole_run_replaces_its_trial_and_no_other(viewer):
    source = viewer.layers[0]
    for name, trial in (("a", True), ("b", True), ("b", False)):
        results.add_result_layer(
            viewer, source, source.data, name=name, note={}, trial=trial
        )

    # The trial of "a" was hidden by that of "b", and hidden layers are kept.
    assert [layer.name for layer in viewer.layers] == ["clip", "a", "b"]
    assert not viewer.layers["a"].visible


def test_units_of_input_and_result_agree(viewer):
    source = viewer.layers[0]
    results.add_result_layer(viewer, source, source.data, name="clean", note={})
    # napari warns of inconsistent units when the list has none in common.
    assert viewer.layers.extent.units is not None


def test_plane_wave_stack_flat_image_and_regions_have_units_in_common():
    model = ViewerModel()
    model.add_image(np.zeros((3, 8, 9)), units=("dimensionless", "mm", "mm"))
    model.add_image(np.zeros((8, 9)), units=("mm", "mm"))
    model.add_points(np.zeros((1, 2)), units=("mm", "mm"))
    assert model.layers.extent.units is not None


def test_linked_layers_share_their_contrast(viewer):
    source = viewer.layers[0]
    result = results.add_result_layer(viewer, source, source.data, name="c", note={})
    results.link_contrast(viewer, source, result)
    source.contrast_limits = (20, 30)
    assert result.contrast_limits == [20, 30]


def test_name_says_the_method_and_a_given_noise_level(viewer):
    source = viewer.layers[0]
    assert results.denoised_name(source, "flow") == "clip [flow]"
    assert results.denoised_name(source, "nlm", sigma_db=5.5) == "clip [nlm σ=5.5 dB]"


def test_provenance_leads_back_to_the_file(viewer):
    source = viewer.layers[0]
    source.metadata["usflow"] = {"source": "a.hdf5"}
    note = results.provenance(source, {"method": "flow"}, {"seed": 3})
    assert note["method"] == "flow"
    assert note["settings"] == {"seed": 3}
    assert note["source_layer"] == "clip"
    assert note["source"] == {"source": "a.hdf5"}
    assert note["versions"]["napari-usflow"]


def test_current_frame_counts_scale_and_translation():
    model = ViewerModel()
    layer = model.add_image(np.zeros((7, 8, 9)), scale=(0.5, 1, 1), translate=(3, 0, 0))
    model.dims.set_current_step(0, 4)
    assert results.current_frame(model, layer) == 4
    assert results.shows_frame(model, layer, 4)
    assert not results.shows_frame(model, layer, 3)


def test_current_frame_of_a_layer_with_fewer_axes_than_the_viewer():
    model = ViewerModel()
    model.add_image(np.zeros((2, 7, 8, 9)))
    layer = model.add_image(np.zeros((7, 8, 9)))
    flat = model.add_image(np.zeros((8, 9)))
    model.dims.set_current_step(1, 6)
    assert results.current_frame(model, layer) == 6
    assert results.current_frame(model, flat) == 0


def test_hidden_layer_shows_no_frame():
    model = ViewerModel()
    layer = model.add_image(np.zeros((7, 8, 9)), visible=False)
    assert not results.shows_frame(model, layer, results.current_frame(model, layer))


def test_every_frame_is_on_screen_in_3d():
    model = ViewerModel(ndisplay=3)
    layer = model.add_image(np.zeros((7, 8, 9)))
    assert all(results.shows_frame(model, layer, i) for i in range(7))


def test_unfinished_frames_show_the_input(grey_stack):
    stack = results.PartialStack(grey_stack)
    stack.write(2, np.ones(grey_stack.shape[1:], np.float32))
    assert stack.shape == grey_stack.shape
    np.testing.assert_array_equal(stack[2], 1)
    np.testing.assert_array_equal(stack[1], grey_stack[1])
    np.testing.assert_array_equal(stack[1, :, 3], grey_stack[1, :, 3])
    expected = grey_stack.astype(np.float32)
    expected[2] = 1
    np.testing.assert_array_equal(np.asarray(stack), expected)
    np.testing.assert_array_equal(stack[1:4, ::2], expected[1:4, ::2])
    np.testing.assert_array_equal(stack[..., 5], expected[..., 5])


def test_unfinished_stack_cannot_be_settled(grey_stack):
    stack = results.PartialStack(grey_stack)
    with pytest.raises(ValueError, match="not finished"):
        stack.settled()
    for i in range(len(stack)):
        stack.write(i, np.zeros(grey_stack.shape[1:], np.float32))
    assert isinstance(stack.settled(), np.ndarray)


def test_flat_image_is_a_stack_of_one(grey_stack):
    stack = results.PartialStack(grey_stack[0])
    np.testing.assert_array_equal(stack[3:5, 2], grey_stack[0][3:5, 2])
    stack.write(0, np.full((24, 20), 7, np.float32))
    np.testing.assert_array_equal(np.asarray(stack), 7)


def test_napari_draws_an_unfinished_stack_without_reading_all_of_it(grey_stack):
    class Counting:
        shape, dtype, ndim = grey_stack.shape, grey_stack.dtype, 3

        def __getitem__(self, key):
            read.append(key)
            return grey_stack[key]

    read: list[int] = []
    stack = results.PartialStack(Counting())
    model = ViewerModel()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = model.add_layer(Image(stack, contrast_limits=(0, 255)))
    model.dims.set_current_step(0, 3)
    np.testing.assert_array_equal(layer._slice.image.raw, grey_stack[3])
    assert set(read) <= {0, 2, 3}
