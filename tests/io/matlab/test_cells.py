"""Cells and nested structs: listed and named as in MATLAB, in both kinds of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import napari_usflow as usf
from matlab_files import cell, save_nested_v73, structs
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io.matlab.steps import steps_of
from napari_usflow.io.matlab.variable_map import Quantity, parse_quantity
from speckle_pictures import GREY

RECORDS = np.arange(24 * 8 * 2, dtype=np.int16).reshape(24, 8, 2)


CONTENT = {
    "RcvData": cell(RECORDS, cell(np.float64(7))),
    "data": {"img": {"bmode": GREY, "note": "text"}},
    "TX": structs({"Delay": np.zeros((1, 3))}, {"Delay": np.ones((1, 4))}),
}
NAMES = {
    "RcvData{1}": (24, 8, 2),
    "RcvData{2}{1}": (1, 1),
    "data.img.bmode": (96, 96),
    "TX(1).Delay": (1, 3),
    "TX(2).Delay": (1, 4),
}


@pytest.fixture(params=["5", "5 packed", "7.3"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "7.3":
        return save_nested_v73(tmp_path / "a.mat", CONTENT)
    savemat(tmp_path / "a.mat", CONTENT, do_compression="packed" in request.param)
    return tmp_path / "a.mat"


def test_numbers_in_cells_and_structs_are_listed(path: Path) -> None:
    listed = io.describe(path)["variables"]

    assert {name: tuple(listed[name]) for name in NAMES} == NAMES
    assert set(listed) == set(NAMES)


def test_what_is_listed_can_be_named(path: Path) -> None:
    (image,) = usf.read(path, names={"image": "data.img.bmode"})
    names = {
        "samples": "RcvData{1}",
        "samples_axes": "scf",
        "sampling_frequency_hz": "20e6",
        "center_frequency_hz": "5e6",
        "pitch_m": "0.0003",
    }
    data = usf.read_channel_data(path, names=names)

    np.testing.assert_array_equal(image.data[0], GREY)
    np.testing.assert_array_equal(data.samples[:, 0], RECORDS.transpose(2, 1, 0))


@pytest.mark.parametrize(
    "name", ["RcvData{3}", "RcvData{1}{1}", "data.img.none", "TX(3).Delay", "data{1}"]
)
def test_what_is_not_there_is_refused_in_one_line(path: Path, name: str) -> None:
    with pytest.raises(FileFormatError) as error:
        usf.read(path, names={"image": name})

    assert "a.mat" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["", "1a", "a..b", "a{0x}", "a{1", "a.b{-1}"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of MATLAB"):
        steps_of(name)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("a.b{2}", Quantity("a.b{2}")),
        ("TX(2).c * 1e-3", Quantity("TX(2).c", 1e-3)),
        ("a / 4", Quantity("a", 0.25)),
        ("0.01 / pixels_per_cm", Quantity("pixels_per_cm", 0.01, True)),
        ("1/a", Quantity("a", 1.0, True)),
        ("3e-4", 3e-4),
    ],
)
def test_quantities(text: str, quantity) -> None:
    assert parse_quantity(text) == quantity


@pytest.mark.parametrize(
    ("z_axis", "x_axis", "spacing_mm", "origin_mm"),
    [
        ("dz", "dx", (0.3, 0.2), (0, 0)),
        ("0.01 / per_cm", "0.01 / per_cm", (0.1, 0.1), (0, 0)),
        ("Z", "X", (40 / 95, 30 / 95), (0, -15)),
        ("Z_mm / 1000", "X_cm / 100", (40 / 95, 30 / 95), (0, -15)),
    ],
)
def test_axes_are_vectors_steps_reciprocals_or_meshgrids(
    tmp_path: Path, z_axis, x_axis, spacing_mm, origin_mm
) -> None:
    z, x = np.linspace(0, 0.04, 96), np.linspace(-0.015, 0.015, 96)
    x_grid, z_grid = np.meshgrid(x, z)
    variables = {"img": GREY, "dz": 3e-4, "dx": 2e-4, "per_cm": 100.0}
    variables |= {"Z": z_grid, "X": x_grid, "Z_mm": 1e3 * z, "X_cm": 100 * x_grid}
    savemat(tmp_path / "a.mat", variables)

    (image,) = usf.read(
        tmp_path / "a.mat",
        names={"image": "img", "z_axis_m": z_axis, "x_axis_m": x_axis},
    )

    assert image.spacing_mm == pytest.approx(spacing_mm)
    assert image.origin_mm == pytest.approx(origin_mm)


def test_one_axis_alone_is_not_dropped_in_silence(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"img": GREY})

    with pytest.raises(FileFormatError, match="z_axis_m is stated and x_axis_m is not"):
        usf.read(tmp_path / "a.mat", names={"z_axis_m": "0.0003"})
