"""The standard deviation of a layer as a layer of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from napari.components import ViewerModel

from napari_usflow._napari.denoise.run import Request
from napari_usflow._napari.denoise.uncertainty_run import UncertaintyRun
from napari_usflow.denoising.settings import Settings
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.store import save_network
from napari_usflow.networks.unet import UNet

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(grey_stack, layer_kwargs) -> ViewerModel:
    model = ViewerModel()
    model.add_image(grey_stack[:3], **layer_kwargs)
    model.dims.set_current_step(0, 1)
    return model


def begin(viewer, prior, method="flow", kind="std") -> tuple[UncertaintyRun, list[Any]]:
    ends: list[Any] = []
    request = Request(
        method,
        weights=str(prior),
        device="cpu",
        settings=Settings(sigma_db=5.0),
    )
    run = UncertaintyRun(
        viewer,
        viewer.layers[0],
        request,
        kind,
        on_progress=lambda share, text: None,
        on_note=lambda text: None,
        on_end=lambda *end: ends.append(end),
    )
    run.start()
    return run, ends


def test_layer_is_in_decibels_where_the_input_is(qtbot, viewer, tiny_prior):
    source = viewer.layers[0]

    _, ends = begin(viewer, tiny_prior)
    qtbot.waitUntil(lambda: bool(ends), timeout=20_000)

    assert ends[0][0].startswith("Done: 3/3 frames") and ends[0][1] is None
    result = viewer.layers["clip [flow standard deviation, dB]"]
    assert result.data.shape == source.data.shape
    # The posterior is no wider than the noise, give or take the probes' scatter.
    assert result.data.min() > 0 and result.data.max() < 2 * 5.0
    np.testing.assert_allclose(result.scale, source.scale)
    assert result.units == source.units
    assert result.contrast_limits == pytest.approx([0, result.data.max()], rel=0.5)
    assert result.colormap.name == "inferno"
    note = result.metadata["usflow"]
    assert note["values"] == "standard deviation of each pixel, dB"
    assert note["source_layer"] == "clip" and len(note["prior_sha256"]) == 64
    assert note["frames"][0]["sigma_db"] == pytest.approx(5.0)


def test_cancel_leaves_the_other_frames_empty(qtbot, viewer, tiny_prior):
    run, ends = begin(viewer, tiny_prior)
    qtbot.waitUntil(lambda: run.finished_frames == 1, timeout=20_000)
    run.cancel()
    qtbot.waitUntil(lambda: bool(ends), timeout=20_000)

    sentence, error = ends[0]
    assert error is None
    assert sentence == "Cancelled after 1/3 frames, the other frames are empty."
    assert np.asarray(run.result.data[1]).min() > 0
    assert not np.asarray(run.result.data[0]).any()


def test_network_is_compared_with_itself_in_a_layer_of_another_name(
    qtbot, viewer, tmp_path
):
    torch.manual_seed(0)
    network = UNet(UNetConfig(channels=(6, 8), blocks=(1, 1)))
    path = tmp_path / "toy.safetensors"
    save_network(network, path, {"pixel_mm": 0.4375})

    _, ends = begin(viewer, path, "realtime", "spread")
    qtbot.waitUntil(lambda: bool(ends), timeout=20_000)

    assert "of pixels above 1.1 dB (usual: 1 %)" in ends[0][0]
    result = viewer.layers["clip [realtime spread over mirrored images, dB]"]
    # Half-way up is 7.6 % of the 60 dB, and a quarter of that.
    assert result.contrast_limits == pytest.approx([0, 2 * 0.076 * 60 / 4])
    note = result.metadata["usflow"]
    assert note["values"] == "standard deviation over eight turns of the image, dB"
    assert note["network"] == "toy"


def test_one_map_is_seen_at_a_time(qtbot, viewer, tiny_prior):
    for _ in range(2):
        _, ends = begin(viewer, tiny_prior)
        qtbot.waitUntil(lambda ends=ends: bool(ends), timeout=20_000)

    source, *maps = viewer.layers
    assert [layer.visible for layer in maps] == [False, True]
    assert source.visible
