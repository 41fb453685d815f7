"""``usflow measure``: regions from files or suggested, tables of several kinds."""

from __future__ import annotations

import csv
import io as text_io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

import project_files
from napari_usflow.cli import main
from napari_usflow.evaluate.measure import measure
from napari_usflow.evaluate.region_files import read_regions, write_regions
from napari_usflow.evaluate.regions import Region
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

GRID = PixelGrid((120, 100), (0.2, 0.25), (0.0, 0.0))


def speckle() -> np.ndarray:
    rng = np.random.default_rng(0)
    clip = 10 * np.log10(rng.exponential(size=(2, *GRID.shape))) - 30
    z, x = GRID.axes_mm()
    clip[:, np.hypot(z[:, None] - 12, x[None] - 12) < 4] -= 20
    return clip.astype(np.float32)


def written(path: Path, clip: np.ndarray) -> Path:
    tifffile.imwrite(
        path,
        clip,
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.2),
        metadata={"axes": "TYX", "unit": "mm", "usflow_values": "db"},
    )
    return path


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    before = written(tmp_path / "before.tif", speckle())
    return before, written(tmp_path / "after.tif", speckle() / 2 - 15)


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    path = tmp_path / "regions.geojson"
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    write_regions(
        path,
        [
            Region("target", "polygon", [12, 12] + 2.5 * corners, "cyst"),
            Region("background", "polygon", [12, 20] + 3.0 * corners, "tissue"),
        ],
    )
    return path


def test_before_after_and_change_are_those_of_the_function(
    images, regions, capsys
) -> None:
    argv = ["measure", *map(str, images), "--regions", str(regions), "--format", "csv"]

    assert main(argv) == 0

    rows = list(csv.DictReader(text_io.StringIO(capsys.readouterr().out)))
    found = {(row["region"], row["number"]): row for row in rows}
    drawn = read_regions(regions)
    before, after = (
        measure(UltrasoundImage(clip, "db", GRID), drawn)
        for clip in (speckle(), speckle() / 2 - 15)
    )
    row = found["cyst", "CNR"]
    assert row["against"] == "tissue"
    assert float(row["before.tif"]) == pytest.approx(before[0].cnr, rel=1e-3)
    assert float(row["after.tif"]) == pytest.approx(after[0].cnr, rel=1e-3)
    change = after[0].cnr - before[0].cnr
    assert float(row["change"]) == pytest.approx(change, abs=2e-3)


def test_without_regions_they_are_suggested_and_can_be_kept(
    images, tmp_path: Path, capsys
) -> None:
    kept = tmp_path / "kept.geojson"

    assert main(["measure", str(images[0]), "--save-regions", str(kept)]) == 0

    table = capsys.readouterr().out
    assert table.startswith("| region | role | number | against | before.tif |")
    assert "| darkest neighbour | target | gCNR | speckle |" in table
    assert [region.role for region in read_regions(kept)] == ["speckle", "target"]


def test_json_has_every_frame_and_no_nan(images, regions, capsys) -> None:
    argv = ["measure", str(images[0]), "--regions", str(regions), "--all-frames"]

    assert main([*argv, "--format", "json"]) == 0

    text = capsys.readouterr().out
    assert "NaN" not in text
    (image,) = json.loads(text)["images"]
    assert [row["frame"] for row in image["measurements"]] == [0, 0, 1, 1]
    assert "fwhm_axial_mm" not in image["measurements"][0]


def test_one_frame_keeps_its_number(images, regions, capsys) -> None:
    argv = ["measure", str(images[0]), "--regions", str(regions), "--frame", "-1"]

    assert main([*argv, "--format", "json"]) == 0

    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert {row["frame"] for row in image["measurements"]} == {1}


def test_unknown_pixel_size_is_asked_for(tmp_path: Path, capsys) -> None:
    path = tmp_path / "plain.npy"
    np.save(path, speckle()[0])

    assert main(["measure", str(path)]) == 2
    said = capsys.readouterr().err
    assert "pixel size" in said and len(said.splitlines()) == 1
    assert main(["measure", str(path), "--pixel-size-mm", "0.2", "0.25"]) == 0


def test_broken_regions_are_named(images, tmp_path: Path, capsys) -> None:
    path = tmp_path / "broken.geojson"
    path.write_text("{")

    assert main(["measure", str(images[0]), "--regions", str(path)]) == 2
    assert "broken.geojson" in capsys.readouterr().err


def test_a_project_brings_its_own_regions(tmp_path: Path, capsys) -> None:
    path = project_files.write(tmp_path / "heart.usflow")
    regions = tmp_path / "regions.geojson"

    assert main(["measure", str(path), "--format", "json"]) == 0

    images = json.loads(capsys.readouterr().out)["images"]
    assert [image["image"] for image in images] == ["clip", "clip [best]", "clip [nlm]"]
    stored = project_files.project().numbers
    for image, rows in zip(images, stored, strict=True):
        for shown, row in zip(image["measurements"], rows, strict=True):
            assert shown["region"] == row.region
            assert shown["mean_db"] == pytest.approx(row.mean_db)
    assert main(["measure", str(path), "--regions", str(regions)]) == 2
    assert "leave out" in capsys.readouterr().err
