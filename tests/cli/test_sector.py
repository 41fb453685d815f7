"""The ``usflow`` command on a file of a sector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import cubdl_files
import napari_usflow as usf
from napari_usflow.cli import main
from napari_usflow.lab.sectors.drawn import draw_sector
from napari_usflow.ultrasound.scan_convert import scan_convert


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beams of a phased array; nothing but the name says whose."""
    folder = tmp_path_factory.mktemp("cubdl")
    return cubdl_files.write(folder / "OSL012.hdf5", cubdl_files.oslo_heart())


def test_a_sector_is_denoised_on_its_lines_and_written_as_a_picture(
    heart: Path, tmp_path: Path
) -> None:
    out = tmp_path / "heart.tif"

    assert main(["denoise", str(heart), str(out), "--method", "nlm"]) == 0

    (image,) = usf.read(heart)
    expected = scan_convert(usf.denoise(image, method="nlm"))
    np.testing.assert_allclose(tifffile.imread(out), expected.data[0], atol=1e-3)
    (written,) = usf.read(out)
    np.testing.assert_allclose(written.spacing_mm, expected.spacing_mm, rtol=1e-6)


def test_a_sector_is_converted_to_a_picture(heart: Path, tmp_path: Path) -> None:
    assert main(["convert", str(heart), str(tmp_path / "heart.npy")]) == 0

    (image,) = usf.read(heart)
    np.testing.assert_allclose(
        np.load(tmp_path / "heart.npy"), scan_convert(image).data[0], atol=1e-3
    )


def test_the_acquisition_is_said_where_the_name_does_not(
    heart: Path, tmp_path: Path, capsys
) -> None:
    renamed = tmp_path / "renamed.hdf5"
    renamed.write_bytes(heart.read_bytes())
    out = str(tmp_path / "heart.npy")

    assert main(["convert", str(renamed), out]) == 2
    assert "OSL or JHU" in capsys.readouterr().err
    assert main(["convert", str(renamed), out, "--acquisition", "OSL012"]) == 0


def test_a_file_of_beams_is_described(heart: Path, capsys) -> None:
    assert main(["info", str(heart), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "cubdl" and found["transmits"] == "focused beams"


def test_a_pixel_size_cannot_be_chosen_for_beams(heart, tmp_path, capsys) -> None:
    command = ["convert", str(heart), str(tmp_path / "heart.npy")]

    assert main([*command, "--pixel-size-mm", "0.1", "0.1"]) == 2
    assert "whose image has a line a beam" in capsys.readouterr().err


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a picture of a scanner's screen, with text around the fan."""
    path = tmp_path_factory.mktemp("screen") / "screen.png"
    drawn = draw_sector(23, "phased").frames[0][::2, ::2]
    Image.fromarray(drawn).save(path)
    return path


def test_the_sector_of_a_picture_is_found_and_said(screen, tmp_path, capsys) -> None:
    out = tmp_path / "clean.png"

    assert main(["denoise", str(screen), str(out), "--method", "tv"]) == 0

    assert "sector with its apex at" in capsys.readouterr().err
    before, after = (np.asarray(Image.open(path)) for path in (screen, out))
    mask = usf.find_sector(before).mask(before.shape)
    np.testing.assert_array_equal(after[~mask], before[~mask])


def test_what_is_around_the_sector_is_masked(screen, tmp_path) -> None:
    out = tmp_path / "clean.png"

    assert (
        main(["denoise", str(screen), str(out), "--method", "tv", "--mask-outside"])
        == 0
    )

    after = np.asarray(Image.open(out))
    mask = usf.find_sector(np.asarray(Image.open(screen))).mask(after.shape)
    assert (after[~mask] == 0).all() and after[mask].mean() > 20


def test_nothing_is_written_where_nothing_can_be_masked(tmp_path, capsys) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80), dtype=np.uint8)
    path, out = tmp_path / "noise.png", tmp_path / "out.png"
    Image.fromarray(noise).save(path)

    assert (
        main(["denoise", str(path), str(out), "--method", "tv", "--mask-outside"]) == 2
    )

    assert "no sector was found" in capsys.readouterr().err and not out.exists()


def test_info_names_the_sector_of_a_picture(screen, capsys) -> None:
    assert main(["info", str(screen), "--json"]) == 0

    sector = json.loads(capsys.readouterr().out)["sector"]
    truth = draw_sector(23, "phased").truth
    assert sector["kind"] == "sector"
    np.testing.assert_allclose(sector["angles_deg"], np.degrees(truth.angles), atol=0.5)
