"""``usflow denoise`` takes every format of pictures, clips and volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from example_pictures import FOLDERS, NEEDS, PICTURES
from napari_usflow.cli import main


@pytest.mark.parametrize("kind", [*PICTURES, *FOLDERS])
def test_a_file_of_each_format_is_denoised(tmp_path: Path, kind: str) -> None:
    pytest.importorskip(NEEDS.get(kind, "pydicom" if "dicom" in kind else "h5py"))
    place = tmp_path / "in"
    place.mkdir()
    path, out = {**PICTURES, **FOLDERS}[kind](place), tmp_path / "out.npy"
    before = np.asarray(usf.read(path)[0].data)

    assert main(["denoise", str(path), str(out), "--method", "nlm"]) == 0

    after = np.load(out)
    assert np.isfinite(after).all()
    # The lines of a fan are written as a picture.
    if kind != "aaa-ult":
        assert np.ptp(after.reshape(before.shape) - before) > 0
