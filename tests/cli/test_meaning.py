"""``--values``, ``--value-range`` and ``--as-grey``, and clips that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_usflow as usf
from napari_usflow.cli import main
from speckle_pictures import GREY, flow_box

TWELVE = GREY.astype(np.uint16) * 16


@pytest.fixture
def twelve(tmp_path: Path) -> str:
    np.save(tmp_path / "a.npy", TWELVE)
    return str(tmp_path / "a.npy")


@pytest.mark.parametrize("command", ["convert", "denoise"])
def test_the_question_is_one_line_and_nothing_is_written(
    tmp_path, twelve, capsys, command
) -> None:
    assert main([command, twelve, str(tmp_path / "b.tif")]) == 2

    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "--values" in said and "--value-range" in said
    assert not (tmp_path / "b.tif").exists()


@pytest.mark.parametrize(
    "options", [["--values", "display"], ["--value-range", "0", "4095"]]
)
def test_the_answer_is_heard(tmp_path, twelve, options) -> None:
    out = str(tmp_path / "b.png")

    assert main(["convert", twelve, out, *options]) == 0

    np.testing.assert_allclose(usf.read(out)[0].data[0], GREY * (4080 / 4095), atol=1)


def test_info_shows_the_question_and_the_answer(twelve, capsys) -> None:
    assert main(["info", twelve]) == 0
    assert "--values db|envelope|display|rf" in capsys.readouterr().out
    assert main(["info", twelve, "--values", "envelope"]) == 0
    assert "cannot tell" not in capsys.readouterr().out


def test_colours_are_grey_where_the_user_says_so(tmp_path, capsys) -> None:
    Image.fromarray(flow_box()).save(tmp_path / "a.png")
    run = ["denoise", str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    run += ["--method", "tv", "--sigma-db", "5"]

    assert main(run) == 2
    assert "--as-grey" in capsys.readouterr().err
    assert main([*run, "--as-grey"]) == 0


def test_a_clip_that_is_refused_leaves_its_name_free(tmp_path) -> None:
    pytest.importorskip("zarr")
    np.save(tmp_path / "a.npy", np.stack([flow_box()] * 3))
    out = tmp_path / "b.zarr"

    code = main(["denoise", str(tmp_path / "a.npy"), str(out), "--method", "tv"])

    assert code == 2 and not out.exists()


def test_outside_is_black_in_a_picture(tmp_path) -> None:
    sector = np.where(np.arange(96) < 20, np.nan, GREY / 255 * 60 - 60)
    np.save(tmp_path / "a.npy", sector)

    assert main(["convert", str(tmp_path / "a.npy"), str(tmp_path / "b.png")]) == 0

    shown = np.asarray(Image.open(tmp_path / "b.png"))
    assert not shown[:, :20].any() and shown[:, 30:].any()
