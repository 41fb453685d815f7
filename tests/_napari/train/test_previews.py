"""The pictures of a training run as layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.train.previews import PreviewLayers, is_preview, side_by_side
from napari_usflow.training.events import Previewed

SAMPLES, DENOISED = "Train: real | generated", "Train: noisy | denoised"


def previewed(step: int, *, value: float = 0.5, conditional: bool = True) -> Previewed:
    full = np.full((4, 8, 8), value, np.float32)
    other = full if conditional else full[:0]
    return Previewed(
        step=step,
        sigma=0.2,
        real=full,
        generated=full / 2,
        noisy=other,
        denoised=other,
    )


def previews(viewer: ViewerModel) -> PreviewLayers:
    return PreviewLayers(viewer, Path("/runs/knees"), 0.4375)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def test_two_sets_are_shown_with_as_many_patches_each():
    sheet = side_by_side(np.ones((9, 4, 4)), np.full((4, 4, 4), 0.5))
    half = (sheet.shape[1] - 8) // 2
    assert (sheet[:, :half] == 1).sum() == 4 * 16
    assert (sheet[:, -half:] == 0.5).sum() == 4 * 16


def test_pictures_are_two_layers_updated_in_place(viewer):
    shown = previews(viewer)
    shown.show(previewed(10))
    assert [layer.name for layer in viewer.layers] == [SAMPLES, DENOISED]
    before = list(viewer.layers)
    shown.show(previewed(20, value=1.0))
    assert list(viewer.layers) == before
    assert viewer.layers[SAMPLES].data.max() == 1.0
    assert viewer.layers[DENOISED].metadata["usflow"]["step"] == 20
    assert viewer.layers[DENOISED].metadata["usflow"]["sigma"] == 0.2
    assert tuple(viewer.layers[SAMPLES].contrast_limits) == (0.0, 1.0)


def test_what_generates_nothing_has_no_layer_of_samples(viewer):
    patches = np.full((4, 8, 8), 0.5, np.float32)

    previews(viewer).show(Previewed(10, 0.2, patches, patches[:0], patches, patches))

    assert [layer.name for layer in viewer.layers] == [DENOISED]


def test_they_lie_beside_what_was_there_and_below_each_other(viewer):
    viewer.add_image(np.zeros((100, 50)), scale=(0.5, 0.5), units="mm", name="knee")
    assert previews(viewer).show(previewed(1)) is True
    samples, denoised = viewer.layers[SAMPLES], viewer.layers[DENOISED]
    assert samples.translate[1] > 0.5 * 50
    bottom = samples.translate[0] + samples.data.shape[0] * 0.4375
    assert denoised.translate[0] > bottom
    np.testing.assert_allclose(samples.scale, 0.4375)
    assert all(str(u) == "millimeter" for u in samples.units)


def test_selection_and_camera_stay_the_users(viewer):
    knee = viewer.add_image(np.zeros((100, 50)), units="mm", name="knee")
    viewer.add_image(np.zeros((100, 50)), units="mm", name="other")
    viewer.layers.selection = {knee}
    camera = getattr(viewer, "scene", viewer).camera
    camera.zoom = 3.21
    previews(viewer).show(previewed(1))
    assert viewer.layers.selection.active is knee
    assert set(viewer.layers.selection) == {knee}
    assert camera.zoom == 3.21


def test_layers_in_pixels_keep_their_units(viewer, caplog):
    viewer.add_image(np.zeros((100, 50)), name="photo")
    previews(viewer).show(previewed(1))
    assert {str(u) for layer in viewer.layers for u in layer.units} == {"pixel"}


def test_layer_the_user_removed_stays_away_until_the_next_run(viewer):
    shown = previews(viewer)
    shown.show(previewed(1))
    viewer.layers.remove(SAMPLES)
    shown.show(previewed(2))
    assert [layer.name for layer in viewer.layers] == [DENOISED]
    kept = viewer.layers[DENOISED]
    previews(viewer).show(previewed(3))
    assert {layer.name for layer in viewer.layers} == {SAMPLES, DENOISED}
    assert viewer.layers[DENOISED] is kept


def test_flow_without_noise_levels_shows_samples_only(viewer):
    previews(viewer).show(previewed(1, conditional=False))
    assert [layer.name for layer in viewer.layers] == [SAMPLES]


def test_preview_is_told_from_other_layers(viewer):
    previews(viewer).show(previewed(1))
    other = viewer.add_image(np.zeros((4, 4)), name=SAMPLES)
    assert is_preview(viewer.layers[0])
    assert not is_preview(other)
