"""Files that lie, dangle or are damaged are refused at once and in one line."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    is_group,
    is_hdf5,
    open_hdf5,
    read_array,
    read_long_text,
    read_scalar,
    read_text,
    subgroup,
)
from napari_usflow.io.guards.hdf5_attributes import (
    read_integer_attribute,
    read_label_attribute,
    read_text_attribute,
)


@contextmanager
def refused(match: str) -> Iterator[None]:
    """One line, within a second, without a large allocation."""
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(FileFormatError, match=match) as caught:
        yield
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert seconds < 1
    assert peak < 2**20


def _reopened(file: h5py.File) -> Path:
    path = Path(file.filename)
    file.close()
    return path


def _refuse(file: h5py.File, match: str, name: str = "x", **wanted) -> None:
    with open_hdf5(_reopened(file)) as again, refused(match):
        find_dataset(again, name, **wanted)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"time,value\n0,1\n" * 100, "not an HDF5 file: it starts with 'time,value"),
        (b"\x89HDF\r\n\x1a\n", "damaged HDF5|cut short"),
        (b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000, "damaged HDF5|cut short"),
    ],
)
def test_what_is_no_hdf5_file_is_refused(tmp_path, content, match) -> None:
    path = tmp_path / "f.h5"
    path.write_bytes(content)

    with refused(match), open_hdf5(path):
        pass


def test_a_file_cut_anywhere_is_refused_or_still_whole(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["x"] = np.arange(5000.0)
    content = (tmp_path / "whole.h5").read_bytes()
    cut = tmp_path / "cut.h5"

    for size in range(1, len(content) - 1, 1999):
        cut.write_bytes(content[:size])
        with refused("cut short|damaged|not an HDF5"), open_hdf5(cut) as file:
            read_array(file, "x")


def test_the_signature_is_found_behind_a_user_block(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "mat.h5", "w", userblock_size=512) as file:
        file["x"] = 1.0

    assert is_hdf5(tmp_path / "mat.h5")
    with open_hdf5(tmp_path / "mat.h5") as file:
        assert read_scalar(file, "x") == 1


@pytest.mark.parametrize("what", ["missing", "folder", "text"])
def test_is_hdf5_says_no_without_raising(tmp_path: Path, what: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("x" * 3000)

    assert not is_hdf5(tmp_path / what)


def test_a_failure_inside_hdf5_names_the_file(hdf5_file: h5py.File) -> None:
    path = _reopened(hdf5_file)

    with refused(r"some\.h5 is a damaged HDF5 file: broken"), open_hdf5(path):
        raise OSError("broken")


def test_the_file_can_be_written_once_the_context_is_left(hdf5_file) -> None:
    hdf5_file["x"] = 1.0
    path = _reopened(hdf5_file)

    with open_hdf5(path) as file:
        read_scalar(file, "x")

    with h5py.File(path, "r+") as file:
        file["y"] = 2.0


def test_a_missing_member_is_named(hdf5_file: h5py.File) -> None:
    _refuse(hdf5_file, r"some\.h5, / has no 'x'")


def test_a_group_is_not_a_dataset_nor_the_other_way_round(hdf5_file) -> None:
    hdf5_file.create_group("x")
    hdf5_file["y"] = 1.0

    with open_hdf5(_reopened(hdf5_file)) as file:
        with refused("/x is a group"):
            find_dataset(file, "x")
        with refused("/y is not a group"):
            subgroup(file, "y")
        with refused("/y is not a group, so it has no z"):
            find_dataset(file, "y/z")


def _soft(file: h5py.File) -> None:
    file["real"] = np.zeros(3)
    file["x"] = h5py.SoftLink("/real")


def _dangling(file: h5py.File) -> None:
    file["x"] = h5py.SoftLink("/nowhere")


def _cycle(file: h5py.File) -> None:
    file["x"], file["y"] = h5py.SoftLink("/y"), h5py.SoftLink("/x")


def _external(file: h5py.File) -> None:
    with h5py.File(Path(file.filename).with_name("other.h5"), "w") as other:
        other["secret"] = np.zeros(3)
    file["x"] = h5py.ExternalLink("other.h5", "/secret")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (_soft, "'x' is only a link to /real"),
        (_dangling, "'x' is only a link to /nowhere"),
        (_cycle, "'x' is only a link to /y"),
        (_external, r"'x' is only a link to /secret in other\.h5"),
    ],
)
def test_links_are_not_followed(hdf5_file, make: Callable, match: str) -> None:
    make(hdf5_file)

    _refuse(hdf5_file, match)


def test_a_linked_member_is_listed_but_not_followed(hdf5_file) -> None:
    _dangling(hdf5_file)

    with open_hdf5(_reopened(hdf5_file)) as file:
        assert has_member(file, "x")
        assert not has_member(file, "y")


def test_values_in_other_files_are_refused(hdf5_file: h5py.File, tmp_path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(80))
    hdf5_file.create_dataset(
        "x", (10,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 80)]
    )
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "y", (3,))
    hdf5_file.create_virtual_dataset("v", layout)

    with open_hdf5(_reopened(hdf5_file)) as file:
        for name in "xv":
            with refused("in other files"):
                find_dataset(file, name)


@pytest.mark.parametrize(
    "storage",
    [
        {"chunks": (1000, 1000)},
        {"chunks": (1000, 1000), "compression": "gzip"},
        {},
    ],
)
@pytest.mark.parametrize("budget", [None, 2**40 * 8])
def test_a_shape_without_data_behind_it_is_refused(hdf5_file, storage, budget) -> None:
    hdf5_file.create_dataset("x", (10**6, 10**6), "f4", **storage)

    _refuse(
        hdf5_file, r"declares shape \(1000000, 1000000\) \(4 TB\)", max_bytes=budget
    )


def test_one_stored_chunk_does_not_pay_for_a_million(hdf5_file) -> None:
    x = hdf5_file.create_dataset(
        "x", (10**6, 10**6), "f4", chunks=(100, 100), compression="gzip"
    )
    x[:100, :100] = np.random.default_rng(0).normal(size=(100, 100))

    _refuse(hdf5_file, "but the file stores", max_bytes=None)


def test_zeros_that_gzip_well_are_read(hdf5_file: h5py.File) -> None:
    hdf5_file.create_dataset("x", data=np.zeros((64, 10_000)), compression="gzip")

    with open_hdf5(_reopened(hdf5_file)) as file:
        assert not read_array(file, "x").any()


def test_more_than_the_stated_budget_is_refused(hdf5_file: h5py.File) -> None:
    hdf5_file["x"] = np.zeros(1000)

    _refuse(hdf5_file, r"\(8 kB\); at most 4 kB", max_bytes=4000)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ("text", h5py.string_dtype()),
        (np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]), None),
        (b"bytes", None),
        (np.array([1j]), None),
    ],
)
def test_what_is_not_a_plain_number_is_refused(hdf5_file, value, dtype) -> None:
    hdf5_file.create_dataset("x", data=value, dtype=dtype)

    _refuse(hdf5_file, "plain numbers were expected|has a type that is not read")


def test_lists_of_varying_length_are_refused(hdf5_file: h5py.File) -> None:
    hdf5_file.create_dataset("x", (2,), h5py.vlen_dtype(np.float32))

    _refuse(hdf5_file, "plain numbers were expected")


def test_an_empty_dataset_is_refused(hdf5_file: h5py.File) -> None:
    hdf5_file["x"] = h5py.Empty("f4")
    hdf5_file["y"] = np.zeros((0, 3))

    with open_hdf5(_reopened(hdf5_file)) as file:
        with refused("holds no values"):
            find_dataset(file, "x")
        with refused("nothing in it"):
            find_dataset(file, "y")


def test_the_number_of_axes_is_checked(hdf5_file: h5py.File) -> None:
    hdf5_file["x"] = np.zeros((2, 3))

    _refuse(hdf5_file, r"shape \(2, 3\); 1 or 3 axes were expected", ndim=(1, 3))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1)])
def test_a_number_may_have_any_number_of_axes(hdf5_file, shape) -> None:
    hdf5_file["x"] = np.full(shape, 2.5)

    with open_hdf5(_reopened(hdf5_file)) as file:
        assert read_scalar(file, "x") == 2.5


@pytest.mark.parametrize(
    ("value", "match"),
    [(np.zeros(2), "one number was expected"), (np.nan, "not finite")],
)
def test_a_number_must_be_one_and_finite(hdf5_file, value, match) -> None:
    hdf5_file["x"] = value

    with open_hdf5(_reopened(hdf5_file)) as file, refused(match):
        read_scalar(file, "x")


def test_labels_are_read_when_they_are_fixed_length_text(hdf5_file) -> None:
    hdf5_file.attrs["fixed"] = np.array([b"das \0\0"])
    hdf5_file.attrs["varying"] = "das"
    hdf5_file.attrs["number"] = np.array([7], np.int32)
    hdf5_file["text"] = np.array([b"Tukey 25%"])
    hdf5_file["varying"] = "das"

    with open_hdf5(_reopened(hdf5_file)) as file:
        assert read_text_attribute(file, "fixed") == "das"
        assert read_text_attribute(file, "varying") == ""
        assert read_text_attribute(file, "none") == ""
        assert read_integer_attribute(file, "number") == 7
        assert read_integer_attribute(file, "fixed") is None
        assert read_text(file, "text") == "Tukey 25%"
        assert read_text(file, "varying") == read_text(file, "none") == ""


def test_labels_of_fixed_and_variable_length_are_read(hdf5_file) -> None:
    hdf5_file.attrs["python"] = "uff.wave"
    hdf5_file.attrs["matlab"] = np.bytes_("uff.wave\0\0")
    hdf5_file.attrs["many"] = ["a", "b"]
    hdf5_file.attrs["number"] = 3

    with open_hdf5(_reopened(hdf5_file)) as file:
        labels = [
            read_label_attribute(file, name)
            for name in ("python", "matlab", "many", "number", "none")
        ]

    assert labels == ["uff.wave", "uff.wave", "", "", ""]


def test_a_text_of_any_length_is_read_where_it_stands(hdf5_file) -> None:
    hdf5_file["note"] = np.bytes_(b"x" * 100_000)
    hdf5_file["linked"] = h5py.SoftLink("/note")

    with open_hdf5(_reopened(hdf5_file)) as file:
        assert read_long_text(file, "note") == "x" * 100_000
        assert read_long_text(file, "note", max_bytes=99) == ""
        assert read_long_text(file, "linked") == read_long_text(file, "none") == ""


def test_only_what_stands_here_is_a_group(hdf5_file) -> None:
    hdf5_file.create_group("a")
    hdf5_file["b"] = 1.0
    hdf5_file["c"] = h5py.SoftLink("/a")

    with open_hdf5(_reopened(hdf5_file)) as file:
        assert [is_group(file, name) for name in "abcd"] == [True, False, False, False]


def test_pieces_that_unpack_to_too_much_are_refused(hdf5_file) -> None:
    piece = (2**27,)  # 512 MiB of float32
    data = hdf5_file.create_dataset("x", piece, "f4", chunks=piece, compression="gzip")
    data.id.write_direct_chunk((0,), b"\0" * 2**20)

    _refuse(hdf5_file, "stored in pieces of 537 MB", max_bytes=None)
