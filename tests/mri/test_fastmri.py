"""Reconstructions in the fastMRI layout: what is read and what is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow import mri
from napari_usflow.errors import FileFormatError
from napari_usflow.mri import open_stack, read_stack, stack

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<reconSpace><matrixSize><x>320</x><y>320</y><z>1</z></matrixSize>
<fieldOfView_mm><x>160.0</x><y>144.0</y><z>3</z></fieldOfView_mm></reconSpace>
</encoding></ismrmrdHeader>"""


def write(path: Path, data: np.ndarray, *, name: str = "reconstruction_rss", **attrs):
    with h5py.File(path, "w") as file:
        file[name] = data
        file.attrs.update(attrs)
    return path


def test_stack_is_scaled_to_its_999th_permille(tmp_path: Path) -> None:
    data = np.linspace(0, 1e-4, 8000, dtype=np.float32).reshape(2, 80, 50)
    stack = read_stack(write(tmp_path / "knee.h5", data, pixel_size_mm=(0.5, 0.6)))
    assert stack.slices.shape == (2, 80, 50)
    assert stack.pixel_size_mm == (0.5, 0.6)
    assert np.mean(stack.slices > 1.0) == pytest.approx(0.001, abs=2e-4)


def test_pixel_size_comes_from_the_ismrmrd_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4)), name="reconstruction_esc")
    with h5py.File(path, "a") as file:
        file["ismrmrd_header"] = HEADER
    assert read_stack(path).pixel_size_mm == pytest.approx((0.5, 0.45))


@pytest.mark.parametrize(
    ("data", "attrs", "message"),
    [
        (np.full((1, 4, 4), np.nan), {"pixel_size_mm": (1, 1)}, "NaN"),
        (np.zeros((1, 4, 4)), {"pixel_size_mm": (1, 1)}, "empty"),
        (np.ones((4, 4)), {"pixel_size_mm": (1, 1)}, r"must be \(slices, H, W\)"),
        (np.ones((1, 4, 4)), {}, "no pixel size"),
        (np.ones((1, 4, 4)), {"pixel_size_mm": (-1.0, 1.0)}, "makes no sense"),
        (np.ones((1, 4, 4)), {"pixel_size_mm": "wide"}, "pixel_size_mm is"),
    ],
)
def test_unusable_stack_is_refused(tmp_path: Path, data, attrs, message) -> None:
    path = write(tmp_path / "bad.h5", data, **attrs)
    with pytest.raises(FileFormatError, match=message) as error:
        read_stack(path)
    assert str(path) in str(error.value)


def test_stack_of_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "reconstruction_rss", (10**4, 10**4, 10**4), "f4", chunks=(1, 100, 100)
        )
    declared = r"declares shape \(10000, 10000, 10000\) \(4 TB\).*stores 0 bytes"
    with pytest.raises(FileFormatError, match=declared):
        read_stack(path)


def test_stack_larger_than_the_budget_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4), "u1"), pixel_size_mm=(1, 1))
    # 16 values are 64 bytes once they are float32.
    monkeypatch.setattr(mri, "LARGEST_STACK_BYTES", 64)
    read_stack(path)
    monkeypatch.setattr(mri, "LARGEST_STACK_BYTES", 63)
    with pytest.raises(
        FileFormatError, match=r"\(1, 4, 4\), more than 63 bytes.*slice by slice"
    ):
        read_stack(path)


def test_slice_larger_than_the_budget_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path / "a.h5", np.ones((9, 4, 4), "u1"), pixel_size_mm=(1, 1))
    monkeypatch.setattr(stack, "LARGEST_SLICE_BYTES", 64)
    read_stack(path)
    monkeypatch.setattr(stack, "LARGEST_SLICE_BYTES", 63)
    with pytest.raises(FileFormatError, match=r"one slice takes 64 bytes; at most 63"):
        read_stack(path)


def test_chunk_of_many_slices_counts_as_what_is_read_at_a_time(
    tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "reconstruction_rss", data=np.ones((9, 4, 4), "f4"), chunks=(9, 4, 4)
        )
        file.attrs["pixel_size_mm"] = 1.0
    monkeypatch.setattr(stack, "LARGEST_SLICE_BYTES", 9 * 64 - 1)
    with pytest.raises(FileFormatError, match="one slice takes 576 bytes"):
        read_stack(path)


def test_slice_with_nan_is_named(tmp_path: Path) -> None:
    data = np.ones((5, 4, 4), np.float32)
    data[3, 1, 2] = np.nan
    path = write(tmp_path / "a.h5", data, pixel_size_mm=(1, 1))
    with open_stack(path) as opened:
        assert opened.read(2).sum() == 16
        with pytest.raises(FileFormatError, match=r"a\.h5.*slice 3 of 5 holds NaN"):
            opened.read(3)


def test_image_that_is_mostly_negative_is_no_magnitude(tmp_path: Path) -> None:
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (1, 16, 16))
    path = write(tmp_path / "a.h5", phase, pixel_size_mm=(1, 1))
    with pytest.raises(FileFormatError, match="more than a quarter of slice 0"):
        read_stack(path)


def test_reconstruction_behind_an_external_link_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "real.h5", np.ones((1, 4, 4)), pixel_size_mm=(1, 1))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["reconstruction_rss"] = h5py.ExternalLink("real.h5", "reconstruction_rss")
    with pytest.raises(FileFormatError, match=r"only a link to .* in real\.h5"):
        read_stack(tmp_path / "link.h5")


def test_file_without_an_image_says_what_it_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.h5", np.ones((1, 4, 4)), name="phase")
    with pytest.raises(
        FileFormatError, match=r"holds no reconstruction_rss.* or kspace; found phase"
    ):
        read_stack(path)


def _external(file: h5py.File, values: Path) -> None:
    values.write_bytes(np.ones(16, "f4").tobytes())
    file.create_dataset(
        "reconstruction_rss", (1, 4, 4), "f4", external=[(str(values), 0, 64)]
    )


def _virtual(file: h5py.File, values: Path) -> None:
    with h5py.File(values, "w") as other:
        other["data"] = np.ones((1, 4, 4), "f4")
    layout = h5py.VirtualLayout((1, 4, 4), "f4")
    layout[...] = h5py.VirtualSource(values, "data", (1, 4, 4))
    file.create_virtual_dataset("reconstruction_rss", layout)


@pytest.mark.parametrize("make", [_external, _virtual])
def test_values_in_other_files_are_not_read(tmp_path: Path, make) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        make(file, tmp_path / "values")
        file.attrs["pixel_size_mm"] = (1.0, 1.0)
    with pytest.raises(FileFormatError, match="keeps its values in other files"):
        read_stack(path)


def test_values_that_are_damaged_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "reconstruction_rss", data=np.ones((1, 4, 4)), chunks=True, fletcher32=True
        )
        file.attrs["pixel_size_mm"] = (1.0, 1.0)
        offset = data.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="is a damaged HDF5 file"):
        read_stack(path)


@pytest.mark.parametrize(
    "link",
    [
        h5py.ExternalLink("real.h5", "ismrmrd_header"),
        h5py.SoftLink("/other"),
    ],
)
def test_header_behind_a_link_is_refused(tmp_path: Path, link) -> None:
    with h5py.File(tmp_path / "real.h5", "w") as file:
        file["ismrmrd_header"] = HEADER
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4)))
    with h5py.File(path, "a") as file:
        file["other"] = HEADER
        file["ismrmrd_header"] = link
    with pytest.raises(FileFormatError, match="'ismrmrd_header' is only a link to"):
        read_stack(path)


@pytest.mark.parametrize("kind", [str, np.bytes_])
def test_header_of_absurd_length_is_refused(tmp_path: Path, kind) -> None:
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4)))
    with h5py.File(path, "a") as file:
        file["ismrmrd_header"] = kind(HEADER + " " * 2**20)
    with pytest.raises(FileFormatError, match=r"ismrmrd_header declares .*1\.05 MB"):
        read_stack(path)


def test_header_length_is_not_believed_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4)))
    with h5py.File(path, "a") as file:
        file["ismrmrd_header"] = HEADER
        offset = file["ismrmrd_header"].id.get_offset()
    content = bytearray(path.read_bytes())
    assert int.from_bytes(content[offset : offset + 4], "little") == len(HEADER)
    content[offset : offset + 4] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"declares 4\.29 GB"):
        read_stack(path)


@pytest.mark.parametrize("header", ["no XML", "<ismrmrdHeader/>", "<a>" * 9])
def test_header_without_a_pixel_size_is_refused(tmp_path: Path, header) -> None:
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4)))
    with h5py.File(path, "a") as file:
        file["ismrmrd_header"] = header
    with pytest.raises(FileFormatError, match="gives no pixel size"):
        read_stack(path)


def test_header_of_fixed_length_is_read_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", np.ones((1, 4, 4)))
    with h5py.File(path, "a") as file:
        file["ismrmrd_header"] = np.bytes_(HEADER)
    assert read_stack(path).pixel_size_mm == pytest.approx((0.5, 0.45))


def test_what_a_file_says_of_itself_is_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h5",
        np.ones((1, 4, 4)),
        pixel_size_mm=(1, 1),
        acquisition="CORPD_FBK",
        max=np.float64(0.5),
        nothing=h5py.Empty("f4"),
    )
    attributes = read_stack(path).attributes
    assert attributes.pop("pixel_size_mm").tolist() == [1, 1]
    assert attributes == {"acquisition": "CORPD_FBK", "max": 0.5}
