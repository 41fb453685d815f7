"""Files are looked at before a library is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    regular_file,
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
