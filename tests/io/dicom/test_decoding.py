"""Compressed frames: unpacked right, and none of them ends the process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from example_packed import FRAMES, PACKED
from napari_usflow.errors import FileFormatError
from napari_usflow.io.dicom import decoding

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("gdcm")
from pydicom.data import get_testdata_file  # noqa: E402

LOSSLESS = "SC_rgb_jpeg_gdcm.dcm"
NEAR = "JPEGLSNearLossless_08.dcm"


@pytest.fixture(autouse=True)
def _ended():
    """Leave no process behind."""
    yield
    process = decoding._processes.pop(os.getpid(), None)
    if process is not None:
        process.end()


@pytest.mark.parametrize("codec", ["dicom-rle", "dicom-jpeg2000"])
def test_frames_of_lossless_codecs_come_back(tmp_path: Path, codec: str) -> None:
    (image,) = usf.read(PACKED[codec](tmp_path))

    np.testing.assert_array_equal(np.asarray(image.data), FRAMES)


@pytest.mark.parametrize("name", [LOSSLESS, NEAR])
def test_the_process_apart_unpacks_as_pydicom_does(name: str) -> None:
    path = Path(get_testdata_file(name))

    found = decoding.decoded_frame(path, 0)

    expected = pydicom.pixels.pixel_array(path, index=0)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    # The next one is unpacked by the same process.
    np.testing.assert_array_equal(decoding.decoded_frame(path, 0), expected)


def test_what_pillow_cannot_read_is_left_to_the_process_apart(monkeypatch) -> None:
    path = Path(get_testdata_file("MR_small_jp2klossless.dcm"))
    expected = decoding.decoded_frame(path, 0)
    monkeypatch.setattr(decoding, "_SAFE", "nothing")

    np.testing.assert_array_equal(decoding.decoded_frame(path, 0), expected)
    assert os.getpid() in decoding._processes


def test_a_frame_that_ends_its_process_is_refused_and_the_next_read(
    tmp_path: Path,
) -> None:
    """Found by the fuzzer: GDCM ends the process on some damaged frames."""
    good = Path(get_testdata_file(LOSSLESS))
    expected = decoding.decoded_frame(good, 0)
    content, deaths = good.read_bytes(), 0
    start = content.rfind(b"\xe0\x7f\x10\x00") + 20
    for seed in range(150):
        rng, damaged = np.random.default_rng(seed), bytearray(content)
        for at in rng.integers(start, len(damaged), rng.integers(1, 9)):
            damaged[at] ^= 1 << int(rng.integers(0, 8))
        (tmp_path / "a.dcm").write_bytes(damaged)
        try:
            decoding.decoded_frame(tmp_path / "a.dcm", 0)
        except EOFError as error:
            deaths += 1
            assert str(error) == decoding._DIED
        except (FileFormatError, ValueError):
            continue

    assert deaths > 0
    np.testing.assert_array_equal(decoding.decoded_frame(good, 0), expected)


def test_a_process_that_died_is_one_line_with_the_file(tmp_path, monkeypatch) -> None:
    path = PACKED["dicom-jpeg"](tmp_path)
    monkeypatch.setattr(decoding, "_SAFE", "nothing")
    monkeypatch.setattr(decoding._Process, "frame", _dies)

    with pytest.raises(FileFormatError, match=r"jpeg\.dcm cannot be read as DICOM: it"):
        usf.read(path)
    assert os.getpid() not in decoding._processes


def _dies(process, path, index):
    process._process.kill()
    raise EOFError(decoding._DIED)
