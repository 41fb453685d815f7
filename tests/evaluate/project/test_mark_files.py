"""Marks for other programs."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import project_files
from napari_usflow.evaluate.project.mark_files import (
    marks_csv,
    marks_geojson,
    write_coco,
    write_marks,
)
from napari_usflow.evaluate.project.marks import Mark


def test_csv_has_a_line_a_mark() -> None:
    rows = list(csv.DictReader(marks_csv(project_files.marks()).splitlines()))

    assert [row["text"] for row in rows] == ["diameter", "echo <b>", "blurred", "wall"]
    assert rows[0]["length_mm"] == "4.0000"
    assert rows[3]["area_mm2"] == "4.0000"
    assert [row["reader"] for row in rows] == ["Ada", "Grace", "Ada", "Grace"]
    assert [row["frame"] for row in rows] == ["1", "", "2", "1"]
    assert rows[0]["ticked_off"] == "yes"


def test_geojson_is_valid() -> None:
    geojson = pytest.importorskip("geojson")
    content = geojson.loads(marks_geojson(project_files.marks()))

    assert content.is_valid
    line, point, frame, _box = content["features"]
    assert line["geometry"]["coordinates"] == [[-3, 10], [1, 10]]
    assert point["geometry"]["coordinates"] == [2, 12]
    assert frame["geometry"] is None
    assert frame["properties"]["frame"] == 2


def test_area_of_an_ellipse_is_that_of_its_formula() -> None:
    ellipse = Mark("ellipse", [[0, 0], [0, 4], [2, 4], [2, 0]])

    assert ellipse.area_mm2 == pytest.approx(np.pi * 2 * 1)
    corners = ellipse.outline_mm()
    np.testing.assert_allclose(np.ptp(corners, axis=0), [2, 4])


def test_files_are_told_by_their_ending(tmp_path) -> None:
    for name in ("marks.csv", "marks.geojson"):
        write_marks(tmp_path / name, project_files.marks())
        assert (tmp_path / name).stat().st_size
    with pytest.raises(ValueError, match=r"\.csv or \.geojson"):
        write_marks(tmp_path / "marks.txt", project_files.marks())


def test_coco_is_read_by_its_own_library(tmp_path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    from PIL import Image

    frames = np.arange(3 * 80 * 60).reshape(3, 80, 60).astype(np.uint8)
    path = write_coco(
        tmp_path / "clip",
        project_files.marks(),
        project_files.GRID,
        3,
        lambda index: frames[index],
    )

    data = coco.COCO(str(path))
    box = data.loadAnns(data.getAnnIds(imgIds=[2], catIds=data.getCatIds(["wall"])))[0]
    # From column (-2 + 7.5) / 0.25 and row (8 - 5) / 0.2 on, the centre of the first
    # pixel being at 0.5.
    np.testing.assert_allclose(box["bbox"], [22.5, 15.5, 16, 5])
    assert box["area"] == pytest.approx(16 * 5)
    assert data.annToMask(box).sum() == 16 * 5
    assert len(data.getAnnIds(catIds=data.getCatIds(["echo <b>"]))) == 3
    for index, info in enumerate(data.loadImgs([1, 2, 3])):
        with Image.open(path.parent / info["file_name"]) as picture:
            np.testing.assert_array_equal(np.asarray(picture), frames[index])
            assert not picture.info
    assert "secret" not in path.read_text()
    assert json.loads(path.read_text())["images"][0]["width"] == 60


def test_coco_overwrites_nothing(tmp_path) -> None:
    (tmp_path / "note.txt").write_text("mine")

    with pytest.raises(ValueError, match="not empty"):
        write_coco(tmp_path, [], project_files.GRID, 0, lambda _: np.zeros((1, 1)))
