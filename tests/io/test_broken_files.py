"""Broken files of every kind: one clear line, at once, without eating the memory."""

from __future__ import annotations

import gc
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from example_files import DATA, EXAMPLES, HDF5, NEEDS
from napari_usflow import io
from napari_usflow.errors import UsflowError
from napari_usflow.ultrasound.data import PixelGrid

SMALL = PixelGrid((4, 3), (2.0, 2.0), (8.0, -2.0))


@pytest.fixture(scope="session")
def good(tmp_path_factory) -> Callable[[str], Path]:
    """Give a good file of a kind, made once."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind in NEEDS:
            pytest.importorskip(NEEDS[kind])
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = EXAMPLES[kind](folder)
            # The first reading imports what the later ones need.
            _use(made[kind])
        return made[kind]

    return of


@pytest.fixture
def copy(good, tmp_path) -> Callable[[str], Path]:
    """Give a copy of a good file, with what lies beside it."""

    def of(kind: str) -> Path:
        original = good(kind)
        for path in original.parent.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        return tmp_path / original.name

    return of


def _use(path: Path) -> list[str]:
    """Do what napari and ``usflow info`` do with a file; give what they complain of."""
    complaints = []
    is_raw = False
    try:
        data = io.read_channel_data(path)
        is_raw = not data.is_focused
        np.asarray(data.samples[0, 0])
    except (UsflowError, ValueError):
        pass
    for work in (
        lambda: io.describe(path),
        lambda: [
            np.asarray(image.data[0])
            for image in io.read(path, grid=SMALL if is_raw else None)
        ],
    ):
        try:
            work()
        except (UsflowError, ValueError) as error:
            complaints.append(str(error))
    return complaints


@contextmanager
def quickly() -> Iterator[None]:
    """Within a second of computing, and without 500 MiB that were not used before."""
    # To collect what a thousand tests before have left takes a second by itself.
    gc.disable()
    before, start = _peak_bytes(), time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.enable()
    assert time.process_time() - start < 1
    assert _peak_bytes() - before < 500 * 2**20


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _refused(path: Path) -> str:
    with quickly():
        complaints = _use(path)
    assert complaints
    for text in complaints:
        assert text.strip() and "\n" not in text
    return complaints[0]


def _refused_or_read(path: Path) -> None:
    with quickly():
        for text in _use(path):
            assert text.strip() and "\n" not in text


@pytest.mark.parametrize("kind", EXAMPLES)
def test_good_files_are_read(good, kind) -> None:
    path = good(kind)

    has_none = kind in ("picmus-scan", "picmus-phantom")
    expected = ["holds no image"] if has_none else []
    assert ["holds no image" for _ in _use(path)] == expected


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_file_cut_at_ten_places_is_refused_or_read(copy, kind) -> None:
    path = copy(kind)
    content = path.read_bytes()
    sizes = [round(part * len(content) / 11) for part in range(1, 11)]

    for size in sizes:
        path.write_bytes(content[:size])
        _refused_or_read(path)
    # An HDF5 file knows its length.
    if kind in HDF5:
        assert "cut short" in _refused(path)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_empty_file_is_refused(copy, kind) -> None:
    path = copy(kind)
    path.write_bytes(b"")

    assert "is empty" in _refused(path)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_noise_behind_the_first_bytes_is_refused_or_read(copy, kind) -> None:
    path = copy(kind)
    content = path.read_bytes()

    noise = np.random.default_rng(0).bytes(len(content) - 64)
    path.write_bytes(content[:64] + noise)

    _refused_or_read(path)


def _members(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _datasets(file: h5py.File) -> list[str]:
    return [name for name in _members(file) if isinstance(file[name], h5py.Dataset)]


def _some(names: list[str], count: int = 10) -> list[str]:
    """At most so many of them, evenly spread."""
    return names[:: -(-len(names) // count)]


@pytest.mark.parametrize("kind", HDF5)
def test_a_missing_member_is_named_or_not_needed(copy, good, kind) -> None:
    with h5py.File(good(kind)) as file:
        names = _some(_members(file))

    for name in names:
        path = copy(kind)
        with h5py.File(path, "r+") as file:
            del file[name]
        _refused_or_read(path)


@pytest.mark.parametrize("kind", HDF5)
def test_the_data_must_be_there(copy, kind) -> None:
    path = copy(kind)
    with h5py.File(path, "r+") as file:
        del file[DATA[kind]]

    _refused(path)


WRONG = {
    "text": lambda shape: "text of variable length",
    "records": lambda shape: np.zeros(shape, [("a", "f4"), ("b", "i8")]),
    "bytes": lambda shape: np.zeros(shape, "S8"),
    "nothing": lambda shape: h5py.Empty("f4"),
    "no values": lambda shape: np.zeros((0, *shape[1:]), np.float32),
    "one axis more": lambda shape: np.ones((1, 1, *shape), np.float32),
    "not finite": lambda shape: np.full(shape, np.nan, np.float32),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kind", HDF5)
def test_data_of_a_wrong_type_are_refused(copy, kind, wrong) -> None:
    path = copy(kind)
    with h5py.File(path, "r+") as file:
        name = DATA[kind]
        shape = file[name].shape
        del file[name]
        file[name] = WRONG[wrong](shape)

    if wrong == "not finite":
        _refused_or_read(path)  # samples are looked at when they are beamformed
    else:
        _refused(path)


@pytest.mark.parametrize("kind", HDF5)
def test_numbers_of_a_wrong_type_are_refused_or_not_needed(copy, good, kind) -> None:
    with h5py.File(good(kind)) as file:
        small = [name for name in _datasets(file) if file[name].size < 100]

    values = ("text", np.nan, -1.0, np.inf, 1e30, np.zeros((2, 3, 4)))
    for number, name in enumerate(_some(small)):
        value = values[number % len(values)]
        path = copy(kind)
        with h5py.File(path, "r+") as file:
            shape = file[name].shape
            del file[name]
            is_number = isinstance(value, float)
            file[name] = np.full(shape, value) if is_number else value
        _refused_or_read(path)


@pytest.mark.parametrize(
    "filters", [{}, {"compression": "gzip"}], ids=["plain", "gzip"]
)
@pytest.mark.parametrize("kind", HDF5)
def test_a_shape_of_ten_to_the_twelfth_is_refused(copy, kind, filters) -> None:
    path = copy(kind)
    with h5py.File(path, "r+") as file:
        name = DATA[kind]
        shape = file[name].shape
        huge = (10**12,) if len(shape) == 1 else (*shape[:-2], 10**6, 10**6)
        chunks = (1000,) if len(shape) == 1 else (*shape[:-2], 100, 100)
        del file[name]
        file.create_dataset(name, huge, "f4", chunks=chunks, **filters)

    _refused(path)


def _packed_zeros(count: int) -> bytes:
    """Zeros of float32 as deflate packs them, a thousand to one."""
    pack = zlib.compressobj(9)
    block = bytes(2**20)
    parts = [pack.compress(block) for _ in range(4 * count // 2**20)]
    return b"".join([*parts, pack.flush()])


@pytest.mark.parametrize("kind", HDF5)
def test_a_bomb_of_chunked_zeros_is_refused(copy, kind) -> None:
    """One or two megabytes that are truly there and unpack to gigabytes."""
    path = copy(kind)
    with h5py.File(path, "r+") as file:
        name = DATA[kind]
        shape = file[name].shape
        long = int(np.argmax(shape))
        grown = [*shape]
        grown[long] = 2**24
        pieces = [1] * len(shape)
        pieces[long] = 2**24
        del file[name]
        bomb = file.create_dataset(
            name, grown, "f4", chunks=tuple(pieces), compression="gzip"
        )
        packed = _packed_zeros(2**24)
        for place in np.ndindex(*(n for i, n in enumerate(shape) if i != long)):
            start = [*place[:long], 0, *place[long:]]
            bomb.id.write_direct_chunk(tuple(start), packed)

    _refused(path)


@pytest.mark.parametrize("link", ["external", "soft out", "soft", "cyclic", "parent"])
@pytest.mark.parametrize("kind", HDF5)
def test_links_are_not_followed(copy, kind, link, tmp_path) -> None:
    path = copy(kind)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(3)
    with h5py.File(path, "r+") as file:
        name = DATA[kind]
        parent, _, last = name.rpartition("/")
        group = file[parent] if parent else file
        if link == "soft":
            group.move(last, "elsewhere")
        else:
            del group[last]
        group[last] = {
            "external": h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret"),
            "soft out": h5py.SoftLink("/nowhere/at/all"),
            "soft": h5py.SoftLink(f"{group.name.rstrip('/')}/elsewhere"),
            "cyclic": h5py.SoftLink(f"{group.name.rstrip('/')}/{last}"),
            "parent": h5py.SoftLink("/"),
        }[link]

    _refused(path)


@pytest.mark.parametrize("kind", HDF5)
def test_values_in_other_files_are_not_read(copy, kind, tmp_path) -> None:
    path = copy(kind)
    (tmp_path / "raw.bin").write_bytes(bytes(2**20))
    with h5py.File(path, "r+") as file:
        name = DATA[kind]
        shape, dtype = file[name].shape, file[name].dtype
        if int(np.prod(shape)) * dtype.itemsize > 2**20:
            shape = (1,) * len(shape)
        del file[name]
        file.create_dataset(
            name, shape, dtype, external=[("raw.bin", 0, h5py.h5f.UNLIMITED)]
        )

    _refused(path)


def test_a_numpy_header_that_is_no_python_is_refused(tmp_path) -> None:
    """Found by the fuzzer: numpy reads the header with Python's own tokenizer."""
    header = b"{'descr': '<f4', 'fortran_order': (".ljust(117) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + header + bytes(64))

    assert "damaged or unsafe NumPy file" in _refused(path)


def test_an_ome_description_that_is_no_xml_is_refused(copy) -> None:
    """Found by the fuzzer: its ParseError is a SyntaxError."""
    path = copy("ome-tiff")
    path.write_bytes(path.read_bytes().replace(b"<Pixels", b"<&ixels"))

    assert "is a damaged TIFF file" in _refused(path)


def test_an_imagej_tiff_of_which_a_page_is_lost_is_refused_or_read(copy) -> None:
    """Found by the fuzzer: tifffile asserts what a file claims."""
    path = copy("imagej-tiff")
    content = path.read_bytes()

    for at in range(8, len(content) - 4, 97):
        path.write_bytes(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :])
        _refused_or_read(path)


def test_an_index_of_pieces_without_bytes_does_not_end_the_process(copy) -> None:
    """Found by the fuzzer: HDF5 reads the checksum of a piece of no bytes."""
    path = copy("picmus-dataset")
    with h5py.File(path) as file:
        data = file[DATA["picmus-dataset"]]
        piece = data.id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    # A key of the index: the bytes of the piece, its filter mask, its place.
    key = struct.pack("<II4Q", piece.size, 0, 1, 0, 0, 0)
    at = content.find(key)
    assert at > 0
    content[at : at + 4] = bytes(4)
    path.write_bytes(content)

    assert "a piece of it has 0 bytes" in _refused(path)
