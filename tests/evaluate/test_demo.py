"""The demonstration, on an acquisition small enough for a test."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.evaluate.demo import (
    METHODS,
    Demo,
    Scores,
    demo_events,
    score,
    write_demo,
)
from napari_usflow.io.picmus import Cyst, Phantom, SpeckleRegion
from napari_usflow.jobs import result_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.simulate.picmus_files import write_dataset, write_phantom
from napari_usflow.ultrasound.simulate.plane_waves import (
    LinearArray,
    simulate_acquisition,
)
from napari_usflow.ultrasound.simulate.scene import Scene

HEADER = ["method", "contrast_db", "gcnr", "speckle_snr", "fwhm_mm", "seconds"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A void of 5 mm, a point and homogeneous speckle before 48 elements."""
    rng = np.random.default_rng(0)
    z, x = rng.uniform(5, 26, 12_000), rng.uniform(-8, 8, 12_000)
    strength = rng.choice([-1.0, 1.0], z.size)
    strength[np.hypot(z - 15, x) < 2.5] = 0
    positions = np.stack([np.append(x, 0), np.zeros(z.size + 1), np.append(z, 9.5)], 1)
    scene = Scene(
        1e-3 * positions,
        np.append(strength, 40.0),
        points_mm=np.array([[9.5, 0.0]]),
        cysts_mm=np.array([[15.0, 0.0, 5.0]]),
        speckle_regions_mm=np.array([[22.0, 0.0, 2.0, 4.0]]),
    )
    folder = tmp_path_factory.mktemp("sample")
    paths = folder / "dataset.hdf5", folder / "phantom.hdf5"
    data = simulate_acquisition(
        scene, angles_rad=np.radians([-10, 0, 10]), array=LinearArray(n_elements=48)
    )
    write_dataset(paths[0], data)
    write_phantom(paths[1], scene, axial_resolution_mm=0.4, lateral_resolution_mm=0.5)
    return paths


@pytest.fixture(scope="module")
def demo(files: tuple[Path, Path]) -> Demo:
    return result_of(demo_events(files=files, device="cpu"))


def test_methods_of_the_demonstration_are_registered() -> None:
    import napari_usflow as usf

    assert set(METHODS) <= set(usf.methods())


def test_acquisition_becomes_an_image_and_a_result_a_method(demo: Demo) -> None:
    assert [line.method for line in demo.scores] == ["input", "best", "flow", "nlm"]
    assert demo.image.values == "db" and demo.image.data.shape[0] == 1
    for result in demo.results.values():
        assert result.grid == demo.image.grid
    assert demo.provenance["nlm"]["method"] == "nlm"


def test_speckle_is_suppressed_and_the_level_kept(demo: Demo) -> None:
    before = demo.scores[0]
    # Speckle of the simulation is fully developed: SNR sqrt(pi / (4 - pi)) = 1.913.
    assert before.speckle_snr == pytest.approx(1.913, rel=0.2)
    for line, result in zip(demo.scores[1:], demo.results.values(), strict=True):
        assert line.contrast_db > before.contrast_db + 3
        assert line.speckle_snr > 2 * before.speckle_snr
        assert line.seconds > 0
        rows = slice(-60, -30)
        levels = [np.clip(i.data[0][rows], -60, 0).mean() for i in (demo.image, result)]
        assert levels[1] == pytest.approx(levels[0], abs=0.5)


def test_scores_of_a_known_image() -> None:
    grid = PixelGrid((200, 200), (0.1, 0.1), (5.0, -10.0))
    z, x = grid.axes_mm()
    rng = np.random.default_rng(0)
    intensity = rng.exponential(size=grid.shape)
    intensity[np.hypot(z[:, None] - 15, x[None]) <= 4] *= 0.01
    frame = 10 * np.log10(intensity) - 30
    # A Gaussian of 1 mm full width at half amplitude, which is -6.02 dB.
    spread = (z[:, None] - 8) ** 2 + (x[None] + 6) ** 2
    frame = np.maximum(frame, -4 * 6.02 * spread)
    phantom = Phantom(
        points_mm=np.array([[8.0, -6.0]]),
        cysts=(Cyst((15.0, 0.0), 8.0),),
        speckle_regions=(SpeckleRegion((22.0, 0.0), (2.0, 8.0)),),
    )

    line = score("x", UltrasoundImage(frame[None], "db", grid), phantom, 1.5)

    # Regions 20 dB apart: 20 log10(20 / 5.570); gCNR 0.945 by its closed form.
    assert line.contrast_db == pytest.approx(11.1, abs=0.7)
    assert line.gcnr == pytest.approx(0.945, abs=0.02)
    assert line.speckle_snr == pytest.approx(1.913, rel=0.1)
    assert line.fwhm_mm == pytest.approx(1.0, abs=0.03)
    assert (line.method, line.seconds) == ("x", 1.5)


def test_table_and_figure_are_written(demo: Demo, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "new" / "folder"
    figure, table = write_demo(demo, folder)

    assert sorted(folder.iterdir()) == sorted([figure, table])
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == HEADER
    assert [row[0] for row in rows[1:]] == ["input", "best", "flow", "nlm"]
    assert float(rows[2][1]) == pytest.approx(demo.scores[1].contrast_db, rel=1e-3)
    with Image.open(figure) as picture:
        grey = np.asarray(picture.convert("L"))
    assert grey.shape[1] > 1000 and grey.std() > 20


def test_scores_are_the_columns_of_the_table() -> None:
    assert list(Scores.__annotations__) == HEADER
