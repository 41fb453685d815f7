"""``usflow simulate``: what it reads, how it reads it, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.cli import main
from napari_usflow.cli import reading as image_reading
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage


@pytest.fixture
def tissue() -> np.ndarray:
    """Two 8-bit pictures, 40 by 32 pixels: a bright disc that moves."""
    z, x = np.mgrid[:40, :32]
    discs = [np.hypot(z - 20, x - 12 - 6 * i) < 8 for i in (0, 1)]
    return np.where(discs, 220, 150).astype(np.uint8)


@pytest.fixture
def stack(tmp_path: Path, tissue: np.ndarray) -> Path:
    """The same as an ImageJ TIFF with pixels of 0.2 by 0.25 mm."""
    path = tmp_path / "tissue.tif"
    tifffile.imwrite(
        path,
        tissue,
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.2),
        metadata={"axes": "TYX", "unit": "mm"},
    )
    return path


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_result_is_in_decibels_at_the_place_of_the_picture(
    stack: Path, tissue: np.ndarray, tmp_path: Path, capsys
) -> None:
    output = tmp_path / "bmode.tif"

    code = main(["simulate", str(stack), str(output), "--seed", "4", "--json"])

    report = json.loads(capsys.readouterr().out)
    (image,) = io.read(output)
    assert code == 0
    assert image.values == "db" and image.data.shape == tissue.shape
    assert image.spacing_mm == pytest.approx((0.2, 0.25), rel=1e-4)
    assert [frame["frame"] for frame in report["frames"]] == [0, 1]
    assert (report["black"], report["white"]) == (0, 255)
    assert report["parameters"]["seed"] == 4
    assert report["parameters"]["pixel_size_mm"] == pytest.approx([0.2, 0.25])
    for frame, picture, told in zip(image.data, tissue, report["frames"], strict=True):
        assert frame.max() == 0
        level_db = frame + told["maximum_db"] + 2.507
        # 60 dB from black to white.
        for grey in (150, 220):
            mean = np.mean(level_db[picture == grey])
            assert mean == pytest.approx(60 * (grey / 255 - 1), abs=2.0)


def test_it_does_what_the_function_does(tmp_path: Path, tissue: np.ndarray) -> None:
    source, output = tmp_path / "tissue.npy", tmp_path / "bmode.npy"
    np.save(source, tissue[0] / 255)
    argv = ["simulate", str(source), str(output), "--pixel-size-mm", "0.3"]

    code = main(
        [
            *argv,
            *("--seed", "9", "--f0-hz", "5e6", "--sound-speed-m-s", "1480"),
            *("--sigma-axial-mm", "0.2", "--sigma-lateral-mm", "0.4"),
            *("--dynamic-range-db", "50", "--downscale", "db-mean"),
            *("--scatterers", "normal", "--reading", "amplitude"),
        ]
    )

    expected = usf.simulate_speckle(
        tissue[0] / 255,
        pixel_size_mm=0.3,
        seed=9,
        f0_hz=5e6,
        sound_speed_m_s=1480.0,
        sigma_axial_mm=0.2,
        sigma_lateral_mm=0.4,
        dynamic_range_db=50.0,
        downscale="db-mean",
        scatterers="normal",
        reading="amplitude",
    )
    assert code == 0
    np.testing.assert_allclose(np.load(output), expected, atol=1e-3)


def test_unknown_pixel_size_is_the_one_of_the_prior(
    tmp_path: Path, tissue: np.ndarray, capsys
) -> None:
    source, output = tmp_path / "tissue.npy", tmp_path / "bmode.npy"
    np.save(source, tissue[0])

    assert main(["simulate", str(source), str(output)]) == 0

    assert "taken to be 0.4375 x 0.4375 mm" in capsys.readouterr().err
    expected = usf.simulate_speckle(tissue[0] / 255, seed=0)
    np.testing.assert_allclose(np.load(output), expected, atol=1e-3)


def test_one_frame_is_the_same_as_in_the_stack(stack: Path, tmp_path: Path) -> None:
    whole, one = tmp_path / "whole.npy", tmp_path / "one.npy"

    assert main(["simulate", str(stack), str(whole)]) == 0
    assert main(["simulate", str(stack), str(one), "--frame", "1"]) == 0

    np.testing.assert_array_equal(np.load(one), np.load(whole)[1])


def test_black_and_white_can_be_given(stack, tissue, tmp_path: Path) -> None:
    output = tmp_path / "bmode.npy"
    argv = ["simulate", str(stack), str(output), "--frame", "0"]

    assert main([*argv, "--value-range", "100", "200"]) == 0

    expected = usf.simulate_speckle(
        np.clip((tissue[0] - 100.0) / 100, 0, 1), pixel_size_mm=(0.2, 0.25), seed=0
    )
    np.testing.assert_allclose(np.load(output), expected, atol=0.05)


def test_png_shows_the_dynamic_range(stack: Path, tmp_path: Path) -> None:
    png, npy = tmp_path / "bmode.png", tmp_path / "bmode.npy"
    argv = ["--frame", "0", "--dynamic-range-db", "40"]

    assert main(["simulate", str(stack), str(png), *argv]) == 0
    assert main(["simulate", str(stack), str(npy), *argv]) == 0

    with Image.open(png) as picture:
        grey = np.asarray(picture)
    expected = 255 * np.clip(1 + np.load(npy) / 40, 0, 1)
    assert np.abs(grey - expected).max() <= 0.5


@pytest.mark.parametrize("reading", ["display", "amplitude"])
def test_envelope_is_an_amplitude_or_is_compressed(
    reading: str, tmp_path: Path, monkeypatch
) -> None:
    envelope = np.full((1, 64, 64), 3.0, np.float32)
    envelope[:, :, 32:] = 0.3
    image = UltrasoundImage(
        envelope, "envelope", PixelGrid((64, 64), (0.4, 0.4), (0, 0))
    )

    monkeypatch.setattr(image_reading, "open_file", lambda *_, **__: Opened([image]))
    output = tmp_path / "bmode.npy"

    assert main(["simulate", "x.h5", str(output), "--reading", reading]) == 0

    result = np.load(output)
    step_db = result[:, :28].mean() - result[:, 36:].mean()
    assert step_db == pytest.approx(20, abs=1.5)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--f0-hz", "0"], "f0_hz is 0.0 Hz; it must lie in"),
        (["--seed", "-1"], "seed is -1"),
        (["--seed", "1.5"], "invalid int value"),
        (["--reading", "log"], "invalid choice: 'log'"),
        (["--value-range", "5", "5"], "low < high"),
        (["--pixel-size-mm", "0.2"], "states its pixel size"),
        (["--frame", "7"], "no frame 7"),
    ],
)
def test_wrong_options_give_one_line_and_no_output(
    argv: list[str], said: str, stack: Path, tmp_path: Path, capsys
) -> None:
    output = tmp_path / "bmode.tif"

    assert main(["simulate", str(stack), str(output), *argv]) == 2

    assert said in one_line(capsys.readouterr().err)
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("out.jpg", "cannot write .jpg"), ("out.png", "a PNG holds one frame")],
)
def test_output_that_cannot_be_is_refused_before_work(
    name: str, said: str, stack: Path, tmp_path: Path, capsys
) -> None:
    assert main(["simulate", str(stack), str(tmp_path / name)]) == 2
    assert said in one_line(capsys.readouterr().err)


def test_broken_picture_is_named(tmp_path: Path, capsys) -> None:
    path, output = tmp_path / "holes.npy", tmp_path / "out.npy"
    picture = np.full((8, 8), 0.5)
    picture[3, 3] = np.nan
    np.save(path, picture)

    assert main(["simulate", str(path), str(output)]) == 2

    said = one_line(capsys.readouterr().err)
    assert "holes.npy" in said and "1 NaN or infinite pixels" in said
    assert not output.exists()
