"""Headers of MATLAB 5 files, against scipy's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat, whosmat

from napari_usflow.errors import FileFormatError
from napari_usflow.io.matlab.version5 import (
    check_variables,
    list_variables,
    nested_numbers,
)

CONTENT = {
    "image": np.ones((30, 20, 4), np.uint8),
    "is_good": np.ones((3, 2), bool),
    "iq": np.ones((4, 5)) + 1j,
    "text": "some text",
    "cells": np.array([1, "two"], object),
    "empty": np.zeros((0, 0)),
    "param": {
        "fs": 4e7,
        "a_name_of_thirty_one_characters": np.arange(7, dtype=np.int16),
        "word": "L12-5",
        "rf": np.ones((64, 32, 3), np.float32),
        "inner": {"x": 1.0},
        "nothing": np.zeros((0, 0)),
    },
    "last": np.float32(3),
}


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    savemat(tmp_path / "a.mat", CONTENT, do_compression=request.param)
    return tmp_path / "a.mat"


def test_variables_are_listed_as_scipy_lists_them(path: Path) -> None:
    # Of text scipy gives the shape of the array of words.
    def listed(found):
        return [(n, () if kind == "char" else s, kind) for n, s, kind in found]

    assert listed(list_variables(path)) == listed(whosmat(path))


def test_numeric_fields_of_a_struct_are_listed_as_scipy_reads_them(path: Path) -> None:
    record = loadmat(path, variable_names=["param"])["param"]
    numbers = {
        name: record[name].flat[0].shape
        for name in record.dtype.names
        if record[name].flat[0].dtype.kind in "fiuc"
    }

    listed = nested_numbers(path, "param")
    assert {name: listed[f"param.{name}"] for name in numbers} == numbers
    assert nested_numbers(path, "image") == nested_numbers(path, "none") == {}


def test_sound_variables_are_let_through(path: Path) -> None:
    check_variables(path, 2**20)


def test_a_variable_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.zeros(10**6)}, do_compression=True)

    with pytest.raises(FileFormatError, match=r"declares 8 MB; at most 1\.05 MB"):
        check_variables(tmp_path / "a.mat", 2**20)


def test_a_file_cut_anywhere_is_listed_or_refused(path: Path, tmp_path: Path) -> None:
    content, cut = path.read_bytes(), tmp_path / "cut.mat"

    for size in range(1, len(content), 37):
        cut.write_bytes(content[:size])
        for look in (list_variables, lambda found: nested_numbers(found, "param")):
            try:
                look(cut)
            except FileFormatError as error:
                assert "damaged MATLAB file" in str(error)
