"""``usflow denoise IN... --output-dir DIR`` and ``usflow info FILE...``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.cli import main

GRID = usf.PixelGrid((30, 24), (0.2, 0.25), (0.0, 0.0))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two images of speckle."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / "a.tif", tmp_path / "b.ome.tif"]
    for path in paths:
        frame = 10 * np.log10(rng.exponential(size=(1, 30, 24))) - 30
        usf.write(path, usf.UltrasoundImage(frame.astype(np.float32), "db", GRID))
    return paths


def test_many_files_are_denoised_alike_and_a_bad_one_stops_no_other(
    files, tmp_path, capsys
):
    bad, folder = tmp_path / "bad.tif", tmp_path / "clean"
    bad.write_text("nothing")
    inputs = [str(files[0]), str(bad), str(files[1])]
    options = ["--method", "nlm", "--sigma-db", "5.57", "--json"]

    code = main(["denoise", *inputs, "--output-dir", str(folder), *options])

    assert code == 2
    assert sorted(path.name for path in folder.iterdir()) == ["a.ome.tif", "b.ome.tif"]
    for path, output in zip(files, ("a.ome.tif", "b.ome.tif"), strict=True):
        (image,) = usf.read(path)
        expected = usf.denoise(image, method="nlm", sigma=5.57 / 60)
        (written,) = usf.read(folder / output)
        np.testing.assert_allclose(written.data, expected.data, atol=1e-4)
        assert written.spacing_mm == pytest.approx(image.spacing_mm)
    shown = capsys.readouterr()
    reports = json.loads(shown.out)
    assert [("error" in report) for report in reports] == [False, True, False]
    assert "2 of 3 files written" in shown.err
    assert "Traceback" not in shown.err


def test_files_that_would_overwrite_each_other_are_refused(files, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    twin = other / "a.png"
    twin.touch()

    argv = ["denoise", str(files[0]), str(twin), "--output-dir", str(tmp_path / "c")]
    assert main(argv) == 2

    assert "would both be written" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_input_without_an_output_is_told(files, capsys):
    assert main(["denoise", str(files[0])]) == 2
    assert "an input and an output are expected" in capsys.readouterr().err


def test_info_describes_every_file(files, tmp_path, capsys):
    missing = tmp_path / "missing.tif"

    assert main(["info", *map(str, files), "--json"]) == 0
    contents = json.loads(capsys.readouterr().out)
    assert len(contents) == 2
    assert main(["info", str(files[0]), str(missing)]) == 2
    shown = capsys.readouterr()
    assert "missing.tif" in shown.err
    assert str(files[0]) in shown.out
