"""Files that are being written: gone when it fails, swept when it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.files import write_beside
from napari_usflow.io.outputs.writing import (
    check_place,
    check_result,
    write,
)
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage

GRID = PixelGrid((6, 5), (0.2, 0.3), (5.0, -0.5))

HOLD = """
import os, sys, time
from pathlib import Path
from napari_usflow.io.outputs.writing import write_beside
with write_beside(Path(sys.argv[1])) as beside:
    beside.write_bytes(b"half")
    print(beside, flush=True)
    time.sleep(60)
"""


def _image(values: str = "db", frames: int = 2, **metadata) -> UltrasoundImage:
    data = np.zeros((frames, 6, 5), np.float32)
    return UltrasoundImage(data, values, GRID, metadata=metadata)


def _hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def _old(path: Path, seconds: float = 3600) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def _holder(path: Path) -> tuple[subprocess.Popen, Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip())


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    process, part = _holder(tmp_path / "o.tif")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert part.exists()
    _old(part)

    write(tmp_path / "o.tif", _image())

    assert _hidden(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    process, part = _holder(tmp_path / "o.tif")
    try:
        _old(part)
        write(tmp_path / "o.tif", _image())
        assert part.read_bytes() == b"half"
    finally:
        process.kill()
        process.wait()


def test_files_that_are_no_parts_of_this_one_are_left_alone(tmp_path: Path) -> None:
    others = [".o.tif", ".o-abcdefgh.tif", ".p-part-abcdefgh.tif", ".o-part-x.png"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
        _old(tmp_path / name, 1e6)
    (tmp_path / "real").write_bytes(b"mine")
    (tmp_path / ".o-part-link.tif").symlink_to(tmp_path / "real")

    write(tmp_path / "o.tif", _image())

    assert sorted(_hidden(tmp_path)) == sorted([*others, ".o-part-link.tif"])


def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("o" * 247 + ".ome.tif")

    check_place(path)
    write(path, _image())

    assert path.is_file() and _hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("o" * 252 + ".tif", "File name too long"), ("no/o.tif", "there is no folder")],
)
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path, name, said) -> None:
    with pytest.raises(ValueError, match=said):
        check_place(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder of Linux")
def test_a_folder_that_takes_no_files_is_refused() -> None:
    with pytest.raises(ValueError, match=r"/proc/o\.tif cannot be written"):
        check_place(Path("/proc/o.tif"))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)

    with pytest.raises(ValueError, match="Permission denied"):
        check_place(tmp_path / "o.tif")


SECTOR = PolarGrid((6, 5), (10.0, 0.2), (-0.3, 0.15), (0.0, 0.0))


@pytest.mark.parametrize(
    ("name", "image", "said"),
    [
        ("o.hdf5", _image("display"), "a PICMUS image holds an envelope"),
        ("o.hdf5", _image(pixel_size_known=False), "needs rows and columns in mm"),
        ("o.zea.hdf5", _image("display"), "zea keeps display grey in whole numbers"),
        ("o.zea.hdf5", _image(pixel_size_known=False), "place of every pixel"),
        ("o.png", _image(), "a PNG holds one frame"),
        ("o.jpg", _image(), "cannot write .jpg"),
    ],
)
def test_a_result_that_the_output_cannot_hold_is_refused(
    tmp_path, name, image, said
) -> None:
    with pytest.raises(ValueError, match=said):
        check_result(tmp_path / name, image)


@pytest.mark.parametrize("name", ["o.tif", "o.ome.tif", "o.hdf5", "o.zea.hdf5"])
def test_a_long_sector_is_checked_at_once_and_unread(tmp_path: Path, name) -> None:
    class Unread:
        shape, ndim, dtype = (50_000, 6, 5), 3, np.dtype("f4")

        def __getitem__(self, key):
            raise AssertionError("a frame was read")

    check_result(tmp_path / name, UltrasoundImage(Unread(), "db", SECTOR))


def test_a_part_is_gone_when_writing_it_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_beside(tmp_path / "o.tif"):
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []
