"""A sector in napari: two linked layers, denoised on its lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari import readers
from napari_usflow._napari.denoise.run import LayerRun, Request
from napari_usflow._napari.layers.content import inspect_layer
from napari_usflow._napari.layers.sectors import sector_layers, sector_of
from napari_usflow.denoising.settings import Settings
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import scan_convert

GRID = PolarGrid((40, 16), (20.0, 0.5), (-0.3, 0.04), (2.0, 1.0))


def sector(frames: int = 1) -> UltrasoundImage:
    rng = np.random.default_rng(3)
    data = rng.uniform(-50, 0, (frames, *GRID.shape)).astype(np.float32)
    return UltrasoundImage(
        data, "db", GRID, frame_interval_s=0.02, metadata={"name": "heart"}
    )


def add_layers(image: UltrasoundImage) -> ViewerModel:
    viewer = ViewerModel()
    for data, kwargs, _ in sector_layers(image):
        viewer.add_image(data, **kwargs)
    return viewer


@pytest.mark.parametrize("frames", [1, 3])
def test_a_sector_is_a_picture_in_place_and_lines_beside_it(frames: int) -> None:
    image = sector(frames)

    lines, picture = add_layers(image).layers

    shown = scan_convert(image)
    place = slice(1 if frames == 1 else 0, None)
    np.testing.assert_array_equal(picture.data, np.squeeze(shown.data))
    np.testing.assert_allclose(picture.scale, (0.02, 0.5, 0.5)[place])
    np.testing.assert_allclose(picture.translate, (0, *shown.origin_mm)[place])
    np.testing.assert_array_equal(lines.data, np.squeeze(image.data))
    # 0.04 rad at the mean radius of 29.75 mm; depths agree on the axis.
    np.testing.assert_allclose(lines.scale, (0.02, 0.5, 1.19)[place])
    assert lines.translate[-2] == 22
    assert lines.translate[-1] > picture.extent.world[1][-1]
    assert lines.axis_labels == ("t", "r", "angle")[place]
    assert [layer.name for layer in (picture, lines)] == ["heart", "heart lines"]
    assert {str(u) for layer in (picture, lines) for u in layer.units[-2:]} == {
        "millimeter"
    }


def test_both_layers_tell_the_sector_they_show() -> None:
    image = sector()

    for layer in add_layers(image).layers:
        found = sector_of(layer, inspect_layer(layer))

        assert found is not None and found.image.grid == GRID
        np.testing.assert_array_equal(found.image.data, image.data)
        np.testing.assert_array_equal(found.shown().data, scan_convert(image).data)


def test_other_layers_show_no_sector() -> None:
    viewer = add_layers(sector())
    flat = viewer.add_image(np.zeros((8, 8), np.uint8))
    picture = viewer.layers["heart"]
    picture.data = picture.data[:-2]

    assert sector_of(flat, inspect_layer(flat)) is None
    # Cropped, it is an image like any other.
    assert sector_of(picture, inspect_layer(picture)) is None


@pytest.mark.gui
@pytest.mark.usefixtures("halving")
@pytest.mark.parametrize("chosen", ["heart", "heart lines"])
@pytest.mark.parametrize("frames", [1, 2])
def test_either_layer_is_denoised_on_the_lines_and_shown_as_a_picture(
    qtbot, chosen: str, frames: int
) -> None:
    image, ends = sector(frames), []
    viewer = add_layers(image)
    request = Request(
        method="halving",
        settings=Settings(sigma_db=5),
    )

    run = LayerRun(
        viewer,
        viewer.layers[chosen],
        request,
        on_progress=lambda *_: None,
        on_note=lambda *_: None,
        on_end=lambda *end: ends.append(end),
    )
    run.start()
    qtbot.waitUntil(lambda: bool(ends), timeout=60_000)

    assert ends[0][1] is None
    result = viewer.layers[f"{chosen} [halving σ=5 dB]"]
    picture = viewer.layers["heart"]
    # Half of what is above black at -60 dB, on the lines; then the picture of it.
    halved = scan_convert(image.with_data(image.data / 2 - 30))
    np.testing.assert_allclose(result.data, np.squeeze(halved.data), atol=1e-3)
    np.testing.assert_allclose(result.scale, picture.scale)
    np.testing.assert_allclose(result.translate, picture.translate)
    assert result.axis_labels == picture.axis_labels
    assert result.metadata["usflow"]["source"]["name"] == "heart"


def test_a_file_of_a_sector_opens_as_both_linked_layers(tmp_path, monkeypatch) -> None:
    path = tmp_path / "OSL012.hdf5"
    path.touch()
    viewer = ViewerModel()
    monkeypatch.setattr(readers, "wait_for", lambda *_: (Opened(), [sector()]))
    monkeypatch.setattr("napari.viewer.current_viewer", lambda: viewer)

    for data, kwargs, _ in readers.read_layers(Path(path)):
        viewer.add_image(data, **kwargs)
    lines, picture = viewer.layers
    picture.contrast_limits = (-40, -10)

    assert lines.contrast_limits == [-40, -10]
    # Layers that come later are left alone.
    other = viewer.add_image(np.zeros((4, 4)), contrast_limits=(0, 1))
    picture.gamma = 0.5
    assert (lines.gamma, other.gamma) == (0.5, 1.0)
