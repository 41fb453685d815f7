"""Acquisitions as Verasonics' scripts save them, of a point by formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import napari_usflow as usf
from matlab_files import cell, save_nested_v73, structs
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from point_scene import (
    CENTER_HZ,
    ELEMENTS_M,
    FS_HZ,
    POINT_M,
    SPEED_M_S,
    WAVELENGTH_MM,
    brightest_mm,
    echoes,
    plane_paths,
)

ANGLES_RAD = np.radians([-8.0, 0.0, 8.0])
START_DEPTH = 20.0  # wavelengths
PEAK, LENS_MM = 1.5, 0.4
PERIOD_S = 1 / CENTER_HZ


def content(**changes) -> dict:
    """Variables of two frames of three plane waves; channels in reverse."""
    x = ELEMENTS_M[:, 0]
    fires_s = np.sin(ANGLES_RAD)[:, None] * x / SPEED_M_S
    first_s = fires_s.min(axis=1)
    late_s = PEAK * PERIOD_S + 2e-3 * LENS_MM / SPEED_M_S
    # Sampling starts so long after the first element fired.
    since_s = 2 * START_DEPTH * PERIOD_S + first_s - late_s
    rf = echoes(plane_paths(ANGLES_RAD), since_s) * 1000
    rows = np.concatenate([wave.T for wave in rf]).astype(np.int16)[:, ::-1]
    length = rf.shape[-1]
    receives = [
        {
            "framenum": float(frame),
            "bufnum": 1.0,
            "acqNum": float(n + 1),
            "startSample": float(n * length + 1),
            "endSample": float((n + 1) * length),
            "startDepth": START_DEPTH,
            "decimSampleRate": FS_HZ / 1e6,
            "sampleMode": "NS200BW",
        }
        for frame in (1, 2)
        for n in range(3)
    ]
    transmits = [
        {
            "Steer": np.array([[angle, 0.0]]),
            "focus": 0.0,
            "Origin": np.zeros((1, 3)),
            "Delay": (fire - fire.min())[None] / PERIOD_S,
            "Apod": np.ones((1, 48)),
        }
        for angle, fire in zip(ANGLES_RAD, fires_s, strict=True)
    ]
    position = np.zeros((48, 5))
    position[:, :3] = 1e3 * ELEMENTS_M
    return {
        "RcvData": cell(np.stack([rows, rows], -1)),
        "Trans": {
            "frequency": CENTER_HZ / 1e6,
            "units": "mm",
            "ElementPos": position,
            "lensCorrection": LENS_MM,
            "Connector": np.arange(48, 0, -1.0)[:, None],
        },
        "TX": structs(*transmits),
        "TW": {"peak": PEAK},
        "Receive": structs(*receives),
        "Resource": {"Parameters": {"speedOfSound": SPEED_M_S}},
        "PData": {
            "PDelta": np.array([[0.25, 0.0, 0.25]]),
            "Size": np.array([[160.0, 80.0, 1.0]]),
            "Origin": np.array([[-10.0, 0.0, 40.0]]),
        },
        **changes,
    }


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_a_point_comes_out_at_its_place(tmp_path: Path, version: str) -> None:
    path = tmp_path / "a.mat"
    if version == "5":
        savemat(path, content())
    else:
        save_nested_v73(path, content())

    assert io.detect(path) == "matlab-verasonics"
    data = usf.read_channel_data(path)
    (image,) = usf.read(path)

    assert data.samples.shape == (2, 3, 48, 640)
    assert [t.angle_rad for t in data.transmits] == pytest.approx(list(ANGLES_RAD))
    assert image.spacing_mm == pytest.approx((WAVELENGTH_MM / 4,) * 2)
    expected = (1e3 * POINT_M[1], 1e3 * POINT_M[0])
    assert brightest_mm(image) == pytest.approx(expected, abs=WAVELENGTH_MM / 4)


def test_sampling_by_bandwidth_is_refused(tmp_path: Path) -> None:
    variables = content()
    for element in variables["Receive"].ravel():
        element["sampleMode"] = "BS100BW"
    savemat(tmp_path / "a.mat", variables)

    with pytest.raises(FileFormatError, match="sampled by bandwidth"):
        usf.read(tmp_path / "a.mat")


def test_a_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    variables = content(RcvData=cell(np.zeros((100, 48, 2), np.int16)))
    savemat(tmp_path / "a.mat", variables)

    with pytest.raises(FileFormatError, match=r"Receive names row 1920"):
        usf.read(tmp_path / "a.mat")


def test_a_file_without_the_receives_lists_what_it_has(tmp_path: Path) -> None:
    records = {"RcvData": content()["RcvData"], "Trans": {"frequency": 5.2}}
    savemat(tmp_path / "a.mat", records)

    assert io.describe(tmp_path / "a.mat")["variables"] == {
        "RcvData{1}": [1920, 48, 2],
        "Trans.frequency": [1, 1],
    }
