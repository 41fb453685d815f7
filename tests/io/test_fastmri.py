"""MRI stacks in the fastMRI layout: what is read and what is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.io import fastmri
from napari_usflow.io.fastmri import find_files, read_stack

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
    monkeypatch.setattr(fastmri, "_LARGEST_BYTES", 64)
    read_stack(path)
    monkeypatch.setattr(fastmri, "_LARGEST_BYTES", 63)
    with pytest.raises(FileFormatError, match=r"\(1, 4, 4\), more than 63 bytes"):
        read_stack(path)


def test_reconstruction_behind_an_external_link_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "real.h5", np.ones((1, 4, 4)), pixel_size_mm=(1, 1))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["reconstruction_rss"] = h5py.ExternalLink("real.h5", "reconstruction_rss")
    with pytest.raises(FileFormatError, match=r"only a link to .* in real\.h5"):
        read_stack(tmp_path / "link.h5")


def test_file_without_a_reconstruction_says_what_it_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.h5", np.ones((1, 4, 4)), name="kspace")
    with pytest.raises(
        FileFormatError, match=r"holds no reconstruction_rss or .*; found kspace"
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


def test_file_that_is_not_hdf5_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.h5"
    path.write_text("not HDF5")
    with pytest.raises(FileFormatError, match="is not an HDF5 file: it starts with"):
        read_stack(path)


def test_folders_are_listed_in_order_and_files_kept(tmp_path: Path) -> None:
    for name in ("b.h5", "a.hdf5", "notes.txt"):
        (tmp_path / name).touch()
    extra = tmp_path / "notes.txt"
    assert [p.name for p in find_files([tmp_path, extra])] == [
        "a.hdf5",
        "b.h5",
        "notes.txt",
    ]
