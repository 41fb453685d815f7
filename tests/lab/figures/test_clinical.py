"""Clinical pictures: what is shown of them, what is asked, what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty.network_disagreement import Spread
from napari_usflow.io.outputs.writing import write
from napari_usflow.jobs import result_of
from napari_usflow.lab.figures import clinical
from napari_usflow.lab.figures.clinical import Clip, clinical_events
from napari_usflow.lab.figures.clinical_figures import write_clinical
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

CLIP = Clip("frame.tif", "a frame", (4, 44), (10, 60))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    grey = np.random.default_rng(0).integers(60, 90, (1, 50, 64)).astype(np.float32)
    grid = PixelGrid((50, 64), (0.4375, 0.4375), (0.0, 0.0))
    write(
        tmp_path / "frame.tif",
        UltrasoundImage(grey, "display", grid),
        dynamic_range_db=60.0,
        provenance={},
    )
    monkeypatch.setattr(clinical, "DOUBTS", ("spread",))
    monkeypatch.setattr(
        clinical, "uncertainty_measure", lambda *_, **__: Spread(create("nlm"))
    )
    return tmp_path


def test_part_of_a_picture_is_denoised_with_the_level_that_is_estimated(
    folder: Path,
) -> None:
    (view,) = result_of(clinical_events(folder, clips=[CLIP], methods=["nlm"]))

    grey = np.random.default_rng(0).integers(60, 90, (1, 50, 64))[0, 4:44, 10:60]
    np.testing.assert_allclose(view.image.data[0], grey)
    # Evenly spread over 30 levels: a variance of (30^2 - 1) / 12 levels.
    expected_db = np.sqrt((30**2 - 1) / 12) * 60 / 255
    assert view.sigma_db == pytest.approx(expected_db, rel=0.25)
    assert view.results["nlm"].std() < 0.6 * grey.std()
    assert view.doubts["spread"].shape == grey.shape
    assert 0 <= view.strong["spread"] <= 1


def test_methods_are_left_to_the_noise_of_the_whole_picture(
    folder: Path, monkeypatch
) -> None:
    seen = []

    def watched(image, denoiser, settings, *, token, noise):
        seen.append((settings, noise))
        return denoise_events(image, denoiser, settings, token=token, noise=noise)

    monkeypatch.setattr(clinical, "denoise_events", watched)

    (view,) = result_of(clinical_events(folder, clips=[CLIP], methods=["nlm", "best"]))

    assert [settings for settings, _ in seen] == 2 * [Settings()]
    assert [60 * noise.sigma for _, noise in seen] == 2 * [view.sigma_db]


def test_picture_that_is_too_small_is_named(folder: Path) -> None:
    wide = Clip("frame.tif", "a frame", (0, 50), (0, 65))

    with pytest.raises(ValueError, match=r"frame.tif has 50 x 64 pixels"):
        result_of(clinical_events(folder, clips=[wide], methods=["nlm"]))


def test_figure_is_written(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(clinical, "NETWORK", "nlm")
    views = result_of(
        clinical_events(folder, clips=[CLIP], methods=["nlm", "realtime"])
    )
    monkeypatch.setattr(
        "napari_usflow.lab.figures.clinical_figures.DOUBTS", ("spread",)
    )

    (path,) = write_clinical(views, folder / "new")

    with Image.open(path) as image:
        assert image.size[0] > 3 * image.size[1]
