"""Files are looked at before a library is."""

from __future__ import annotations

import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from file_opens import counted_opens
from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    SourceFile,
    open_binary,
    regular_file,
    source_file,
    starting_bytes,
    starts_like,
)


def test_a_missing_file_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"gone\.h5 cannot be opened: No such"):
        regular_file(tmp_path / "gone.h5")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is a folder"):
        regular_file(tmp_path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "e.h5").touch()

    with pytest.raises(FileFormatError, match=r"e\.h5 is empty"):
        regular_file(tmp_path / "e.h5")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes here")
def test_a_named_pipe_is_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")

    with pytest.raises(FileFormatError, match="not a plain file"):
        starting_bytes(tmp_path / "pipe.h5")


def test_a_path_that_no_system_takes_is_refused() -> None:
    with pytest.raises(FileFormatError, match="cannot be opened"):
        regular_file("nul\0byte.h5")


def test_only_the_first_bytes_are_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")

    assert starting_bytes(tmp_path / "f", 4) == b"0123"


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (b"<!DOCTYPE html><p>", "'<!DOCTYPE html><'"),
        (b"\x89PNG\r\n\x1a\n", "89 50 4e 47 0d 0a 1a 0a"),
    ],
)
def test_the_start_of_a_file_is_shown_as_text_or_as_bytes(start, shown) -> None:
    assert starts_like(start) == f"it starts with {shown}"


@pytest.fixture
def file(tmp_path: Path) -> SourceFile:
    (tmp_path / "f.bin").write_bytes(b"0123456789")
    return SourceFile(tmp_path / "f.bin")


def test_a_source_file_is_taken_wherever_a_path_is(file: SourceFile) -> None:
    assert Path(file) == file.path
    assert f"{file}" == str(file.path)
    assert source_file(file) is file
    assert source_file(file.path).path == file.path


def test_the_first_bytes_are_read_once_for_all_readers(file, tmp_path) -> None:
    with counted_opens(tmp_path) as opens:
        for count in (1, 4, 9):
            assert starting_bytes(file, count) == b"0123456789"[:count]
        assert not file.is_hdf5

    assert opens == {"f.bin": 1}


def test_a_file_that_is_kept_open_is_opened_once(file, tmp_path) -> None:
    with counted_opens(tmp_path) as opens, file.kept_open():
        for _ in range(3):
            with file.kept_open(), open_binary(file) as raw:
                assert raw.read(3) == b"012"

    assert opens == {"f.bin": 1}
    assert raw.closed


def test_a_file_that_is_not_kept_is_opened_and_closed_each_time(file, tmp_path) -> None:
    with counted_opens(tmp_path) as opens:
        for _ in range(3):
            with open_binary(file) as raw:
                pass
            assert raw.closed

    assert opens == {"f.bin": 3}


def test_another_thread_opens_a_kept_file_for_itself(file) -> None:
    def read():
        with open_binary(file) as raw:
            return raw

    with file.kept_open(), open_binary(file) as mine, ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(read).result()

        assert theirs is not mine
        assert theirs.closed and not mine.closed


def test_two_threads_may_keep_a_file_at_the_same_time(file) -> None:
    def begin():
        kept = file.kept_open()
        kept.__enter__()
        return kept

    def end(kept):
        with open_binary(file) as raw:
            start = raw.read(2)
        kept.__exit__(None, None, None)
        return start

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        first, second = one.submit(begin).result(), other.submit(begin).result()
        assert one.submit(end, first).result() == b"01"
        assert other.submit(end, second).result() == b"01"


def test_a_source_file_can_be_sent_to_another_process(file) -> None:
    with file.kept_open(), open_binary(file):
        copy = pickle.loads(pickle.dumps(file))

    assert copy.path == file.path
    assert starting_bytes(copy, 2) == b"01"
