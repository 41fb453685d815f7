from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.errors import Cancelled, UsflowError
from napari_usflow.io import read_channel_data
from napari_usflow.io.picmus import read_phantom
from napari_usflow.jobs import CancelToken, Note, Progress, result_of
from napari_usflow.ultrasound.beamform import beamform
from napari_usflow.ultrasound.data import UltrasoundImage
from napari_usflow.ultrasound.simulate import phantom
from napari_usflow.ultrasound.simulate.phantom import sample_files, sample_folder
from napari_usflow.ultrasound.simulate.scene import Scene


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The real sample, simulated once for this module."""
    return result_of(sample_files(folder=tmp_path_factory.mktemp("sample")))


@pytest.fixture(scope="module")
def image(sample: tuple[Path, Path]) -> UltrasoundImage:
    return beamform(read_channel_data(sample[0]))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of five scatterers."""

    def few(seed: int) -> Scene:
        rng = np.random.default_rng(seed)
        z, x = rng.uniform(5e-3, 9e-3, 5), rng.uniform(-5e-3, 5e-3, 5)
        return Scene(np.stack([x, 0 * x, z], axis=1), np.ones(5))

    monkeypatch.setattr(phantom, "sample_scene", few)


def level_of(image: UltrasoundImage, inside: np.ndarray) -> float:
    """Mean intensity of some pixels in dB."""
    return float(10 * np.log10(np.mean(10 ** (image.data[0][inside] / 10))))


def test_points_of_the_sample_come_out_within_half_a_wavelength(
    sample: tuple[Path, Path], image: UltrasoundImage
) -> None:
    z, x = image.grid.axes_mm()
    places = read_phantom(sample[1]).points_mm
    assert len(places) == 5
    for place in places:
        near = (abs(z - place[0]) < 1.8)[:, None] & (abs(x - place[1]) < 1.8)
        brightest = np.where(near, image.data[0], -np.inf).argmax()
        row, column = np.unravel_index(brightest, near.shape)
        np.testing.assert_allclose((z[row], x[column]), place, atol=0.148)


def test_cysts_of_the_sample_have_their_levels(
    sample: tuple[Path, Path], image: UltrasoundImage
) -> None:
    z, x = image.grid.axes_mm()
    contrasts = []
    for cyst in read_phantom(sample[1]).cysts:
        radius = cyst.diameter_mm / 2
        far = np.hypot(z[:, None] - cyst.center_mm[0], x - cyst.center_mm[1])
        around = (far > radius + 0.6) & (far < radius + 1.8)
        contrasts.append(level_of(image, far < radius - 0.6) - level_of(image, around))

    left, middle, right, deep = contrasts
    assert max(left, deep) < -15
    assert middle == pytest.approx(-12, abs=1.5)
    assert right == pytest.approx(10, abs=1.5)


def test_speckle_of_the_sample_is_fully_developed(
    sample: tuple[Path, Path], image: UltrasoundImage
) -> None:
    z, x = image.grid.axes_mm()
    ratios = []
    for region in read_phantom(sample[1]).speckle_regions:
        rows, columns = (
            np.flatnonzero(np.abs(axis - middle) < half)
            for axis, middle, half in zip(
                (z, x), region.center_mm, region.half_size_mm, strict=True
            )
        )
        amplitude = 10 ** (image.data[0][np.ix_(rows, columns)] / 20)
        ratios.append(amplitude.mean() / amplitude.std())

    # sqrt(pi / (4 - pi)) of a Rayleigh distribution; about 500 resolution cells.
    assert np.mean(ratios) == pytest.approx(1.913, abs=0.15)


@pytest.mark.usefixtures("quick")
def test_the_second_call_finds_the_files_of_the_first(tmp_path: Path) -> None:
    first = list(sample_files(folder=tmp_path))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    second = list(sample_files(folder=tmp_path))

    assert isinstance(first[0], Note)
    assert any(isinstance(event, Progress) for event in first)
    assert second == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file_is_made_again(tmp_path: Path, which: int) -> None:
    paths = result_of(sample_files(folder=tmp_path))
    whole = paths[which].read_bytes()
    paths[which].write_bytes(whole[:1000])

    assert result_of(sample_files(folder=tmp_path)) == paths

    assert paths[which].stat().st_size == len(whole)
    assert len(read_phantom(paths[1]).scatterers()[1]) == 5
    assert sorted(tmp_path.iterdir()) == sorted(paths)


@pytest.mark.usefixtures("quick")
def test_another_seed_is_another_sample(tmp_path: Path) -> None:
    zero, one = (result_of(sample_files(seed=s, folder=tmp_path)) for s in (0, 1))

    assert not set(zero) & set(one)
    a, b = (read_phantom(paths[1]).scatterers()[0] for paths in (zero, one))
    assert not np.array_equal(a, b)


@pytest.mark.usefixtures("quick")
def test_a_cancelled_simulation_leaves_no_file(tmp_path: Path) -> None:
    token = CancelToken()
    events = sample_files(folder=tmp_path / "samples", token=token)
    next(events)
    next(events)

    token.cancel()

    with pytest.raises(Cancelled):
        result_of(events)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    with pytest.raises(UsflowError, match=r"cannot be written to .*file"):
        result_of(sample_files(folder=blocked))


@pytest.mark.usefixtures("quick")
def test_samples_are_kept_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *a, **k: str(tmp_path))

    dataset, _ = result_of(sample_files())

    assert dataset.parent == sample_folder() == tmp_path / "samples"
