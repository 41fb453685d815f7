"""Nothing that names or describes a patient leaves a DICOM file."""

from __future__ import annotations

from pathlib import Path

import pytest

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.io.dicom.header import open_header
from napari_usflow.io.outputs.writing import write

pydicom = pytest.importorskip("pydicom")
from ultrasound_dicom import PATIENT, region, save, speckle  # noqa: E402

WORDS = {word for value in PATIENT.values() for word in value.split("^")}
WORDS -= {"F"}  # the sex, one letter that is in every text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(tmp_path / "scan.dcm", speckle((3, 48, 64)), [region()], FrameTime=20)


def found_in(text: str) -> set[str]:
    return {word for word in WORDS if word in text}


def test_the_file_does_hold_what_is_looked_for(path: Path) -> None:
    assert found_in(path.read_bytes().decode("latin1")) == WORDS


def test_no_patient_tag_reaches_metadata_or_a_summary(path: Path) -> None:
    (image,) = usf.read(path)

    assert found_in(repr(image)) == set()
    assert found_in(repr(io.describe(path))) == set()
    assert found_in(repr(io.open_file(path))) == set()


def test_patient_tags_are_not_even_taken_out_of_the_file(path: Path) -> None:
    dataset = open_header(path).dataset

    assert [name for name in PATIENT if name in dataset] == []


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_no_patient_tag_reaches_a_saved_file(path: Path, suffix: str) -> None:
    (image,) = usf.read(path)
    out = path.with_name(f"out{suffix}")

    write(out, image, provenance={"source": dict(image.metadata)})

    assert found_in(out.read_bytes().decode("latin1")) == set()


def test_no_patient_tag_reaches_a_layer(path: Path) -> None:
    from napari_usflow._napari.layers.content import layer_data

    _, kwargs, _ = layer_data(usf.read(path)[0])

    assert found_in(repr(kwargs)) == set()
