"""A new format is one module and one line, as CONTRIBUTING.md has it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from file_opens import counted_opens
from guide_blocks import followed
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import formats
from point_scene import CENTER_HZ, FS_HZ, brightest_mm, echoes, plane_paths

ANGLES_DEG = [-8.0, 0.0, 8.0]


@pytest.fixture(autouse=True)
def echo_format(tmp_path, monkeypatch) -> None:
    """Carry out what the guide says: write its module and add its line."""
    section = "Adding a file format"
    with followed(section, tmp_path / "room", monkeypatch) as (name, line):
        assert line == 'f"{_ROOM}.echo",'
        monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, name))
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    start_s = np.zeros(len(ANGLES_DEG))
    rf = echoes(plane_paths(np.radians(ANGLES_DEG)), start_s, 640)
    header = {
        "scanner": "Echo",
        "frames": 1,
        "angles_deg": ANGLES_DEG,
        "record": rf.shape[1:],
        "pitch_m": 0.3e-3,
        "sampling_hz": FS_HZ,
        "center_hz": CENTER_HZ,
    }
    path = tmp_path / "phantom.echo"
    path.write_bytes(json.dumps(header).encode() + b"\n" + rf.astype("<f4").tobytes())
    return path


def test_the_new_format_is_detected_described_and_read(path: Path) -> None:
    assert io.detect(path) == "echo"

    summary = io.describe(path)
    assert summary["kind"] == "echo"
    assert summary["angles_deg"] == ANGLES_DEG
    (image,) = usf.read(path)
    # The point is found where it stands, 18 mm deep and 2 mm aside.
    assert brightest_mm(image) == pytest.approx((18.0, 2.0), abs=0.1)
    assert usf.read_channel_data(path).samples.shape[1] == 3


def test_the_new_format_opens_in_napari_as_preferred(path, monkeypatch) -> None:
    pytest.importorskip("napari")
    from napari_usflow._napari import readers
    from napari_usflow._napari.settings import Preferences
    from napari_usflow.ultrasound.beamform.params import BeamformParams

    chosen = Preferences(beamform=BeamformParams(f_number=2.5, dynamic_range_db=45.0))
    monkeypatch.setattr(readers, "preferences", lambda: chosen)

    with counted_opens(path.parent) as opens:
        reader = readers.get_reader(str(path))
        ((data, kwargs, kind),) = reader(str(path))

    assert kind == "image"
    assert data.ndim == 2
    assert kwargs["contrast_limits"] == (-45, 0)
    assert kwargs["metadata"]["usflow"]["f_number"] == 2.5
    assert opens["phantom.echo"] == 2


def test_a_damaged_file_of_the_new_format_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])

    with pytest.raises(FileFormatError, match=r"declares .* copy it again"):
        usf.read(path)


def test_the_formats_that_are_read_are_listed_for_an_unknown_file(tmp_path) -> None:
    (tmp_path / "a.bin").write_bytes(b"nothing known")

    with pytest.raises(FileFormatError, match="NumPy images, Echo files"):
        usf.read(tmp_path / "a.bin")
