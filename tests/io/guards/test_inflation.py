"""How much streams unpack to, and how large pictures say that they are."""

from __future__ import annotations

import gzip
import io
import struct
import zlib

import numpy as np
import pytest

from napari_usflow.io.guards.inflation import (
    deflate_fits,
    deflated_file_fits,
    gzip_fits,
    lzf_fits,
    packbits_fits,
    zstd_content_bytes,
)
from napari_usflow.io.guards.picture_sizes import jpeg2000_size, jpeg_size


@pytest.mark.parametrize("count", [0, 1, 70_000, 3_000_000])
@pytest.mark.parametrize("noise", [False, True])
def test_a_deflated_stream_fits_into_what_it_gives_and_no_less(count, noise) -> None:
    content = np.random.default_rng(0).bytes(count) if noise else bytes(count)

    for stored, wbits in (
        (zlib.compress(content), zlib.MAX_WBITS),
        (gzip.compress(content), zlib.MAX_WBITS | 16),
    ):
        assert deflate_fits(stored, count, wbits)
        assert count == 0 or not deflate_fits(stored, count - 1, wbits)


def test_a_damaged_stream_is_left_to_whoever_unpacks_it() -> None:
    assert deflate_fits(b"no stream at all" * 100, 10)


def test_runs_and_literals_of_packbits_are_counted() -> None:
    # The example of TIFF 6.0, section 9: 15 bytes give 24.
    stored = bytes.fromhex("fe aa 02 80 00 2a fd aa 03 80 00 2a 22 f7 aa")

    assert packbits_fits(stored, 24)
    assert not packbits_fits(stored, 23)


def test_literals_and_copies_of_lzf_are_counted() -> None:
    # 3 literal bytes, a copy of 5, a long copy of 9 + 100.
    stored = b"\x02abc" + b"\x60\x02" + b"\xe0\x64\x00"

    assert lzf_fits(stored, 3 + 5 + 109)
    assert not lzf_fits(stored, 3 + 5 + 108)


@pytest.mark.parametrize("count", [1, 255, 256, 65_791, 65_792, 2**20])
def test_a_zstandard_frame_states_its_size(count: int) -> None:
    zstd = pytest.importorskip("numcodecs.zstd")
    stored = bytes(zstd.Zstd(1).encode(bytes(count)))

    assert zstd_content_bytes(stored) == count


def test_a_second_zstandard_frame_is_no_part_of_a_piece() -> None:
    zstd = pytest.importorskip("numcodecs.zstd")
    noise = np.random.default_rng(0).bytes(300_000)
    first, second = (bytes(zstd.Zstd(1).encode(c)) for c in (noise, bytes(2**20)))

    assert zstd_content_bytes(first) == len(noise)
    assert zstd_content_bytes(first + second) is None
    assert zstd_content_bytes(second + second) is None


@pytest.mark.parametrize("count", [70_000, 2**20, 3_000_000])
def test_what_lies_behind_a_deflated_stream_is_not_counted(
    count: int, tmp_path
) -> None:
    stored = zlib.compress(bytes(count)) + bytes(10**6)
    path = tmp_path / "stream"
    path.write_bytes(stored)

    assert deflate_fits(stored, count)
    assert not deflate_fits(stored, count - 1)
    assert deflated_file_fits(path, 0, count, zlib.MAX_WBITS)
    assert not deflated_file_fits(path, 0, count - 1, zlib.MAX_WBITS)


@pytest.mark.parametrize("count", [1, 70_000, 3_000_000])
@pytest.mark.parametrize("noise", [False, True])
def test_a_second_gzip_member_is_no_part_of_a_piece(count: int, noise) -> None:
    content = np.random.default_rng(0).bytes(count) if noise else bytes(count)
    stored = gzip.compress(content)

    assert gzip_fits(stored, count)
    assert not gzip_fits(stored, count - 1)
    assert not gzip_fits(stored + gzip.compress(b"x"), count + 1)


@pytest.mark.parametrize("stored", [b"", b"\x28\xb5\x2f\xfd", b"abcdefgh"])
def test_what_is_no_zstandard_frame_states_none(stored: bytes) -> None:
    assert zstd_content_bytes(stored) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("kind", "size"), [("jpeg", jpeg_size), ("jpeg2000", jpeg2000_size)]
)
def test_pictures_say_how_large_they_are(kind, size, mode) -> None:
    from PIL import Image

    stream = io.BytesIO()
    Image.new(mode, (70, 50)).save(stream, kind)

    assert size(stream.getvalue()) == (50, 70, len(mode))


@pytest.mark.parametrize("stream", [b"", b"\xff", b"\xff\xd8\xff\xda\0\2", b"x" * 99])
def test_what_is_no_picture_says_nothing(stream: bytes) -> None:
    assert jpeg_size(stream) is None
    assert jpeg2000_size(stream) is None


def test_a_picture_cut_in_its_header_says_nothing() -> None:
    assert jpeg_size(b"\xff\xd8\xff\xc0" + struct.pack(">HBH", 11, 8, 50)) is None


def test_a_picture_that_tells_its_rows_later_says_nothing() -> None:
    frame = struct.pack(">HBHHB", 11, 8, 0, 70, 1) + bytes(9)

    assert jpeg_size(b"\xff\xd8\xff\xf7" + frame) is None


def test_a_box_that_looks_like_a_codestream_is_passed_over() -> None:
    from PIL import Image

    small, large = io.BytesIO(), io.BytesIO()
    Image.new("L", (8, 8)).save(small, "jpeg2000", no_jp2=True)
    Image.new("L", (70, 50)).save(large, "jpeg2000")
    decoy = small.getvalue()
    content = large.getvalue()
    at = 12 + int.from_bytes(content[12:16], "big")
    box = struct.pack(">I4s", 8 + len(decoy), b"free") + decoy

    assert jpeg2000_size(decoy)[:2] == (8, 8)
    assert jpeg2000_size(content[:at] + box + content[at:])[:2] == (50, 70)
    assert jpeg2000_size(b"x" + decoy) is None
