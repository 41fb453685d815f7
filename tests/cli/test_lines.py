"""One clear line for full disks, and names that are no text."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.cli import main
from napari_usflow.errors import UsflowError
from napari_usflow.io.outputs import OUTPUTS
from napari_usflow.io.outputs.writing import write
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

FRAMES = np.random.default_rng(0).integers(40, 200, (2, 32, 32)).astype(np.uint8)
IMAGE = UltrasoundImage(
    -FRAMES.astype(np.float32), "db", PixelGrid((32, 32), (0.2, 0.2), (0.0, 0.0))
)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")
@pytest.mark.parametrize(
    "ending", [".tif", ".ome.tif", ".hdf5", ".zea.hdf5", ".npy", ".mp4", ".zarr"]
)
def test_a_name_that_is_no_text_is_read_and_written(
    tmp_path: Path, capsys, ending: str
) -> None:
    needs = {".mp4": "imageio_ffmpeg", ".zarr": "zarr"}
    if ending in needs:
        pytest.importorskip(needs[ending])
    source, output = (
        tmp_path / os.fsdecode(b"\xff" + name) for name in (b"in.npy", ending.encode())
    )
    values = -FRAMES.astype(np.float32) / 4 if ending == ".hdf5" else FRAMES
    np.save(source, values)
    command = ["denoise" if ending == ".zarr" else "convert", str(source), str(output)]
    command += ["--method", "tv"] if ending == ".zarr" else []

    assert main([*command, "--pixel-size-mm", "0.2"]) == 0
    assert main(["info", str(output)]) == 0

    assert "shape" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["imagej", "ome", "npy"])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError("16384 requested and 636 written"),
    ],
    ids=["system", "numpy"],
)
def test_a_full_disk_is_named_with_the_file(
    tmp_path: Path, monkeypatch, name: str, error: OSError
) -> None:
    def fail(path, image, options):
        path.write_bytes(b"half")
        raise error
        yield

    path = tmp_path / f"o{OUTPUTS[name].SUFFIXES[0]}"
    monkeypatch.setattr(OUTPUTS[name], "write", fail)

    with pytest.raises(UsflowError) as caught:
        write(path, IMAGE)

    reason = os.strerror(errno.ENOSPC)
    assert str(caught.value) == (
        f"{path} cannot be written: {reason}; nothing was left behind"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_a_long_stack_is_written_is_named(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    from napari_usflow.io.zarr_stack import ZarrStack

    class Full:
        def __setitem__(self, index, value):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = ZarrStack(tmp_path / "a.zarr", IMAGE, {})
    store._frames = Full()

    with pytest.raises(UsflowError, match=r"a\.zarr: frame 1 cannot be written: No sp"):
        store.write(1, np.zeros((32, 32), np.float32))
    assert store.missing == [0, 1]
