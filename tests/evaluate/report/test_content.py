"""What a report says of a project."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import project_files
from napari_usflow.cli import main
from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.errors import FileFormatError
from napari_usflow.evaluate.measure_table import number_text
from napari_usflow.evaluate.quantities import quantities
from napari_usflow.evaluate.report.content import report_of
from napari_usflow.evaluate.report.html import html_page
from napari_usflow.evaluate.report.repeat import command_of, model_card


@pytest.fixture(scope="module")
def report():
    return report_of(project_files.project())


def test_numbers_are_those_that_were_measured(report) -> None:
    project = project_files.project()
    titles = {quantity.title: quantity for quantity in quantities()}

    for row in report.rows:
        quantity = titles[row[1]]
        values = []
        for rows in project.numbers:
            (measured,) = [r for r in rows if r.region == row[0]]
            values.append(getattr(measured, quantity.name))
        assert row[3] == number_text(values[0], quantity)
        assert row[4] == number_text(values[1], quantity)
        assert row[5] == number_text(values[1] - values[0], quantity, sign=True)
        assert row[6] == number_text(values[2], quantity)
    assert {row[0] for row in report.rows} == {"target 1", "background 1", "speckle 1"}


def test_a_result_on_another_grid_is_laid_on_the_pixels_of_the_one_before(report):
    shapes = {picture.grey.shape for picture in report.pictures}

    assert shapes == {project_files.SHAPE}
    # -60 dB is black and 0 dB white; the result is the frame divided by 4, minus 20 dB.
    frame = project_files.clip()[1]
    shown = np.clip((frame[::2] / 4 - 20 + 60) / 60, 0, 1)
    np.testing.assert_allclose(
        report.pictures[2].grey[::2][:-1], 255 * shown[:-1], atol=1
    )


def test_outlines_lie_where_the_regions_are(report) -> None:
    disc = report.outlines[0]

    # The disc's centre (13, 0) mm is row (13 - 5) / 0.2, column 7.5 / 0.25.
    np.testing.assert_allclose(disc.points.mean(axis=0), [40, 30], atol=1e-9)
    painted = next(shape for shape in report.outlines if shape.label == "speckle 1")
    np.testing.assert_allclose(painted.points.min(axis=0), [5, 4])


def test_marks_have_their_size_and_reader(report) -> None:
    assert ["2", "line", "diameter", "Ada", "4.00 mm", "yes"] in report.marks
    assert ["2", "box", "wall", "Grace", "4.00 mm²", ""] in report.marks
    assert ["3", "frame", "blurred", "Ada", "", ""] in report.marks


def test_marks_of_other_frames_are_not_drawn(report) -> None:
    assert {"diameter", "echo <b>"} <= {shape.label for shape in report.outlines}
    assert "blurred" not in {shape.label for shape in report.outlines}


def test_folders_of_the_user_are_not_told(report) -> None:
    page = html_page(report)

    assert "clip.dcm" in page
    assert "/secret/folder" not in page


def test_the_command_that_repeats_a_result_is_understood(report, capsys) -> None:
    command = report.steps[0].command

    assert command == "usflow denoise clip.dcm OUTPUT.tif --method best --strength 1.5"
    # Only the missing file may be complained of.
    assert main(command.split()[1:]) == 2
    assert "clip.dcm" in capsys.readouterr().err


@pytest.mark.parametrize("name", methods())
def test_every_method_is_repeated_with_its_defaults_alone(name) -> None:
    from dataclasses import asdict

    params = asdict(method_class(name).Params())
    note = {"method": name, "parameters": params, "settings": {}}

    assert command_of(note, "IN", "OUT") == f"usflow denoise IN OUT --method {name}"


def test_the_card_is_that_of_the_weights_that_were_used() -> None:
    assert "# Network `realtime`" in model_card(project_files.MADE)
    assert model_card({**project_files.MADE, "network_sha256": "0" * 64}) == ""


def test_methods_name_model_and_definitions(report) -> None:
    for text in ("method best", "SHA-256 9cce59664b8c", "frame 2", "gCNR is one minus"):
        assert text in report.methods
    assert "widths of points" not in report.methods


def test_a_project_without_images_has_no_report() -> None:
    empty = replace(project_files.project(), images=(), problems=("All is lost.",))

    with pytest.raises(FileFormatError, match="All is lost"):
        report_of(empty)


@pytest.mark.parametrize("suffix", [".html", ".pdf"])
def test_command_writes_a_report(tmp_path, suffix, capsys) -> None:
    path = project_files.write(tmp_path / "heart.usflow")
    output = tmp_path / f"report{suffix}"

    assert main(["report", str(path), str(output), "--title", "My $5 heart"]) == 0

    start = output.read_bytes()[:15]
    assert start.startswith(b"%PDF" if suffix == ".pdf" else b"<!DOCTYPE html>")
    assert main(["report", str(path)]) == 0
    assert (tmp_path / "heart.html").exists()
    assert main(["report", str(path), str(tmp_path / "report.doc")]) == 2
    assert "written as .html or .pdf" in capsys.readouterr().err


def test_what_is_damaged_is_told(tmp_path, capsys) -> None:
    path = project_files.write(tmp_path / "heart.usflow")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])

    assert main(["report", str(path)]) == 0

    assert "cut off" in capsys.readouterr().err
    assert "cut off" in (tmp_path / "heart.html").read_text()
