"""The ``usflow`` command on a file of a sector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

import cubdl_files
import napari_usflow as usf
from napari_usflow.cli import main
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
