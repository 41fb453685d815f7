"""Chains of TIFF pages: sound ones are passed, circles and loose ends refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.tiff_pages import check_pages

STACK = np.zeros((5, 6, 7), np.float32)


def _last_link(path: Path) -> int:
    """Where the last page names the next, by tifffile's own account."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[len(tiff.pages) - 1]
        entry, count = (20, 8) if tiff.is_bigtiff else (12, 2)
        return page.offset + count + entry * len(page.tags)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_sound_files_pass_and_circles_do_not(tmp_path, order, bigtiff) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, byteorder=order, bigtiff=bigtiff)
    with tifffile.TiffFile(path) as tiff:
        second = tiff.pages[1].offset
    check_pages(path)

    content = bytearray(path.read_bytes())
    struct.pack_into(
        order + ("Q" if bigtiff else "I"), content, _last_link(path), second
    )
    path.write_bytes(content)

    for work in (lambda: check_pages(path), lambda: io.read(path)):
        with pytest.raises(FileFormatError, match="its pages run in circles"):
            work()


@pytest.mark.parametrize("place", [10**5, 2**64 - 8])
def test_a_page_beyond_the_end_is_missing(tmp_path, place) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, bigtiff=True)
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, _last_link(path), place)
    path.write_bytes(content)

    with pytest.raises(FileFormatError, match="cut short: a page of it is missing"):
        check_pages(path)
