"""Reading a file opens it twice: to see what it is, and to read it."""

from __future__ import annotations

import numpy as np
import pytest

import napari_usflow as usf
from example_files import EXAMPLES, NEEDS
from file_opens import counted_opens
from napari_usflow import io

MORE = {
    "dicom": 3,  # pydicom reads the file meta information by itself
    "mp4": 3,  # ffmpeg is started to list the frames, and to look for colours
    "png": 3,
    "npy": 3,
    **dict.fromkeys(("mkv", "webm", "wmv"), 3),
    "dicom-stream": 5,  # by pydicom and by ffmpeg, as above
    "nifti-picture": 3,  # nibabel reads the header by itself
    "nifti-sequence": 3,
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_file_is_opened_at_most_twice(kind, tmp_path) -> None:
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    path = EXAMPLES[kind](tmp_path)
    has_none = kind in ("picmus-scan", "picmus-phantom")

    for work in (io.describe, io.open_file if has_none else usf.read):
        with counted_opens(tmp_path) as opens:
            work(path)

        assert 0 < max(opens.values()) <= MORE.get(kind, 2), opens


def test_a_frame_of_raw_data_opens_the_file_once(tmp_path) -> None:
    data = io.read_channel_data(EXAMPLES["picmus-dataset"](tmp_path))

    with counted_opens(tmp_path) as opens:
        usf.beamform(data)
    assert opens == {"example_dataset_rf.hdf5": 1}

    with counted_opens(tmp_path) as opens:
        for transmit in range(3):
            np.asarray(data.samples[0, transmit])
    assert opens == {"example_dataset_rf.hdf5": 3}


def test_the_scan_beside_a_dataset_is_opened_a_few_times(tmp_path) -> None:
    path = EXAMPLES["picmus-dataset"](tmp_path)
    EXAMPLES["picmus-scan"](tmp_path)

    with counted_opens(tmp_path) as opens:
        (image,) = usf.read(path)

    assert image.grid.shape == (30, 20)
    assert opens["example_dataset_rf.hdf5"] == 2
    assert opens["example_scan.hdf5"] <= 3
