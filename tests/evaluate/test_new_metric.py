"""A new metric is one module and one line, as CONTRIBUTING.md has it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import napari_usflow as usf
from guide_blocks import followed
from napari_usflow.cli import main
from napari_usflow.evaluate import quantities as room
from napari_usflow.evaluate.measure_table import comparison_table
from napari_usflow.evaluate.region_files import write_regions
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

CORNERS = np.array([[1.0, 1.0], [1.0, 3.0], [3.0, 3.0], [3.0, 1.0]])
SQUARE = usf.Region("speckle", "polygon", CORNERS, name="square")


@pytest.fixture(autouse=True)
def median_metric(tmp_path, monkeypatch) -> None:
    section = "Adding a metric"
    with followed(section, tmp_path / "room", monkeypatch) as (name, line):
        assert line == 'f"{__name__}.median",'
        monkeypatch.setattr(room, "MODULES", (*room.MODULES, name))
        yield


def image() -> UltrasoundImage:
    frame = np.full((1, 40, 40), -30.0, np.float32)
    frame[0, 12, 12] = 0  # a bright echo in the square
    return UltrasoundImage(frame, "db", PixelGrid((40, 40), (0.1, 0.1), (0.0, 0.0)))


def test_the_new_number_is_measured_and_an_attribute_of_its_region() -> None:
    (row,) = usf.measure(image(), [SQUARE])

    assert row.median_db == -30
    assert row.mean_db > -30
    assert row.known()["median_db"] == -30


def test_the_new_number_stands_in_the_table_with_its_change() -> None:
    rows = usf.measure(image(), [SQUARE])

    lines = comparison_table(["a", "b"], [rows, rows]).splitlines()

    (line,) = [line for line in lines if "Median" in line]
    assert line == "| square | speckle | Median (dB) |  | −30.00 | −30.00 | +0.00 |"


def test_the_command_line_reports_the_new_number(tmp_path, capsys) -> None:
    np.save(tmp_path / "image.npy", image().data[0])
    write_regions(tmp_path / "regions.json", [SQUARE])
    argv = ["measure", str(tmp_path / "image.npy"), "--pixel-size-mm", "0.1", "0.1"]

    code = main(
        [*argv, "--regions", str(tmp_path / "regions.json"), "--format", "json"]
    )

    out = capsys.readouterr()
    assert code == 0, out.err
    (measured,) = json.loads(out.out)["images"]
    assert measured["measurements"][0]["median_db"] == -30


def test_what_is_no_number_is_no_attribute() -> None:
    (row,) = usf.measure(image(), [SQUARE])

    with pytest.raises(AttributeError, match="no number 'mode_db'"):
        _ = row.mode_db


@pytest.mark.gui
def test_the_window_offers_the_new_number(qtbot) -> None:
    from napari_usflow._napari.measure.clip_panel import ClipPanel

    panel = ClipPanel()
    qtbot.addWidget(panel)

    titles = [panel.quantity.itemText(i) for i in range(panel.quantity.count())]
    assert titles[-1] == "Median (dB)"
