"""What a piece of a file unpacks to is bounded, in each format and codec."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from all_bombs import BOMBS, IMAGES, MRI
from bombs import INSIDE, Maker
from largest_files import LARGEST
from peak_memory import Peak, peaks_of

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="peak memory is read from /proc"
)

ALLOWED_BYTES = 300 * 10**6
# What lies behind the pixels of these, and long texts, is never looked at.
READ = {"nifti behind", "matlab-5 behind", "fastmri texts", "fastmri text", "tiff lzw"}
NEEDS = {"dicom": "pydicom", "nifti": "nibabel", "zarr": "zarr"}
HDF5_PLUGINS = {"blosc", "lz4", "bitshuffle", "zstd"}


def _is_possible(name: str) -> bool:
    kind, codec = name.split()
    needed = next((package for start, package in NEEDS.items() if start in kind), None)
    if kind == "picmus-image" and codec in HDF5_PLUGINS:
        needed = "hdf5plugin"
    try:
        __import__(needed or "h5py")
    except ImportError:
        return False
    return True


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Peak]:
    """Read every bomb in one child, which a crash would end."""
    found: dict[str, Peak] = {}
    for makers in (IMAGES, MRI):
        made = {}
        for name in filter(_is_possible, makers):
            path = _made(makers[name], tmp_path_factory.mktemp(name.replace(" ", "-")))
            if path is not None:
                made[name] = path
        paths = list(made.values())
        # The first is read twice, so that what it imports is not counted.
        read = peaks_of(paths, warm=paths[:1], is_mri=makers is MRI)
        found |= dict(zip(made, read, strict=True))
    return found


def _made(make: Maker, folder: Path) -> Path | None:
    """Make a bomb; an old HDF5 (1.14.2) writes no chunk that is larger than it says."""
    try:
        return make(folder)
    except OSError as error:
        if "chunk size can't be encoded" not in str(error):
            raise
        return None


@pytest.mark.parametrize("name", BOMBS)
def test_a_piece_that_unpacks_to_too_much_is_refused_unpacked(
    peaks: dict[str, Peak], name: str
) -> None:
    if name not in peaks:
        pytest.skip("wants a package that is not installed, or a newer one")
    peak = peaks[name]

    assert INSIDE > ALLOWED_BYTES
    assert peak.grown_bytes < ALLOWED_BYTES
    assert all("\n" not in line and line != "MemoryError" for line in peak.lines)
    assert name in READ or peak.lines[-1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("picmus-image gzip", "a piece unpacks to more than its"),
        ("picmus-image lzf", "a piece unpacks to more than its"),
        ("pybf gzip", "is stored in"),
        ("tiff deflate", "unpacks to more than its 4.1 kB"),
        ("dicom deflate", "is deflated as a whole"),
        ("tiff entities", "declares a document type"),
        ("dicom jp2", "unpacks to more than the 64 x 64 pixels"),
        ("zarr zstd", "piece 0 of 0 unpacks to more than 48400 bytes"),
        ("nifti extension", "before its volume"),
    ],
)
def test_the_line_says_what_is_wrong(peaks, name: str, said: str) -> None:
    if name not in peaks:
        pytest.skip("wants a package that is not installed, or a newer one")

    assert said in peaks[name].lines[-1]


LARGE = ("png colours", "dicom one-frame", "jpeg grey", "gif grey", "npy float64")


@pytest.fixture(scope="module")
def largest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Peak]:
    paths = [
        LARGEST[name][0](tmp_path_factory.mktemp(name.replace(" ", "-")))
        for name in LARGE
    ]
    read = peaks_of(paths, warm=paths[2:4])
    for path in paths:
        path.unlink()
    return dict(zip(LARGE, read, strict=True))


@pytest.mark.parametrize("name", LARGE)
def test_the_largest_pictures_take_little_more_than_their_pixels(
    largest: dict[str, Peak], name: str
) -> None:
    pytest.importorskip("pydicom")
    assert largest[name].grown_bytes < LARGEST[name][1] + ALLOWED_BYTES
    assert not largest[name].lines[-1]
