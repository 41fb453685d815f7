"""Body parts: by what a file says, and by its name where it says nothing."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.mri import open_stack
from napari_usflow.mri.anatomy import is_shown, stated_anatomy, words_of

MEASUREMENT, STUDY = "measurementInformation", "studyInformation"
HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">{}
<encoding><reconSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize>
<fieldOfView_mm><x>4</x><y>4</y><z>3</z></fieldOfView_mm></reconSpace></encoding>
</ismrmrdHeader>"""


@pytest.mark.parametrize(
    ("protocol", "anatomy"),
    [
        ("CORPD_FBK", "knee"),
        ("CORPDFS_FBK", "knee"),
        ("AXT1", "brain"),
        ("AXT1PRE", "brain"),
        ("AXT1POST", "brain"),
        ("AXT2", "brain"),
        ("AXFLAIR", "brain"),
        ("localizer", ""),
    ],
)
def test_protocols_of_fastmri_tell_the_body_part(protocol: str, anatomy: str) -> None:
    assert stated_anatomy((), (protocol,)) == anatomy


def test_a_stated_body_part_goes_before_the_protocol() -> None:
    assert stated_anatomy(("", "PROSTATE"), ("AXT2",)) == "prostate"
    assert stated_anatomy((None, 3), (None, b"AXT2")) == ""


def test_what_is_stated_goes_before_the_name() -> None:
    assert is_shown(["knee"], "knee", "file1000001")
    assert not is_shown(["knee"], "brain", "knee_a")
    assert is_shown(["knee"], "", "Knee_a")
    assert not is_shown(["knee"], "", "left_knee")


def test_words_of_a_body_part_may_be_begun_and_others_not() -> None:
    assert is_shown(words_of("kidney"), "lumbar spine, kidneys", "a")
    assert is_shown(words_of("Lumbar Spine"), "lumbar spine, kidneys", "a")
    assert not is_shown(words_of("art"), "heart / thorax", "a")
    assert is_shown(words_of(" , "), "heart", "a")


@pytest.mark.parametrize(
    ("header", "attributes", "anatomy"),
    [
        (None, {"acquisition": "CORPDFS_FBK"}, "knee"),
        (
            f"<{MEASUREMENT}><protocolName>CORPD_FBK</protocolName></{MEASUREMENT}>",
            {},
            "knee",
        ),
        (
            f"<{STUDY}><bodyPartExamined>KNEE</bodyPartExamined></{STUDY}>",
            {"acquisition": "t2_de3d"},
            "knee",
        ),
        ("", {"acquisition": "AXT2", "anatomy": "male pelvis"}, "male pelvis"),
        ("", {}, ""),
    ],
)
def test_a_fastmri_file_says_what_it_shows(
    header: str | None, attributes: dict[str, str], anatomy: str, tmp_path: Path
) -> None:
    path = tmp_path / "file1000001.h5"
    with h5py.File(path, "w") as file:
        file["reconstruction_rss"] = np.ones((1, 8, 8), np.float32)
        file.attrs.update(attributes, pixel_size_mm=(0.5, 0.5))
        if header is not None:
            file["ismrmrd_header"] = HEADER.format(header)
    with open_stack(path) as stack:
        assert (stack.anatomy, stack.name) == (anatomy, "file1000001")


def test_a_damaged_header_is_no_obstacle_where_it_is_not_needed(tmp_path: Path) -> None:
    path = tmp_path / "file1000002.h5"
    with h5py.File(path, "w") as file:
        file["reconstruction_rss"] = np.ones((1, 8, 8), np.float32)
        file.attrs.update(acquisition="CORPD_FBK", pixel_size_mm=(0.5, 0.5))
        file["ismrmrd_header"] = "<ismrmrdHeader"
    with open_stack(path) as stack:
        assert stack.anatomy == "knee"
