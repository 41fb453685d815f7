"""Writing images: what is written is read back, whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.errors import Cancelled, UsflowError
from napari_usflow.io.outputs import OUTPUTS, Options, output_of, writing
from napari_usflow.io.outputs.writing import (
    OUTPUT_SUFFIXES,
    room_for,
    write,
    write_events,
)
from napari_usflow.jobs import CancelToken, Progress
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage

RNG = np.random.default_rng(5)
GRID = PixelGrid((20, 16), (0.1, 0.25), (5.5, -2.0))
PROVENANCE = {"method": "flow", "sigma": 0.1, "seed": 0, "who": "π"}
VALUES = {
    "db": lambda n: -RNG.uniform(0, 70, (n, 20, 16)).astype(np.float32),
    "envelope": lambda n: RNG.rayleigh(size=(n, 20, 16)).astype(np.float32),
    "display": lambda n: RNG.integers(0, 256, (n, 20, 16)).astype(np.float32),
}
KEEP_ALL = (".ome.tif", ".hdf5", ".zea.hdf5")


def _image(values: str = "db", frames: int = 3, **changes) -> UltrasoundImage:
    settings = {
        "grid": GRID,
        "frame_interval_s": 0.02 if frames > 1 else None,
        "metadata": {"name": "clip", "plane_waves": 11},
    }
    return UltrasoundImage(VALUES[values](frames), values, **(settings | changes))


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("suffix", KEEP_ALL)
def test_values_units_and_provenance_survive(tmp_path, suffix, values, frames) -> None:
    if (suffix, values) == (".hdf5", "display"):
        pytest.skip("an envelope is all that the layout holds")
    image = _image(values, frames)
    path = tmp_path / f"a{suffix}"

    write(path, image, provenance=PROVENANCE)
    (again,) = usf.read(path)

    assert again.values == values
    # float32 through 10^(dB / 20) and back
    np.testing.assert_allclose(again.data, image.data, atol=2e-5)
    np.testing.assert_allclose(again.spacing_mm, image.spacing_mm, rtol=1e-6)
    np.testing.assert_allclose(again.origin_mm, image.origin_mm, rtol=1e-6)
    assert again.frame_interval_s == pytest.approx(image.frame_interval_s)
    assert again.frame_axis == "t"
    assert again.metadata["provenance"] == PROVENANCE
    assert again.metadata["plane_waves"] == 11


@pytest.mark.parametrize("suffix", KEEP_ALL)
def test_numbers_of_plane_waves_stay_an_axis(tmp_path, suffix) -> None:
    metadata = {"name": "a", "plane_waves": [1, 3, 75]}
    image = _image(frame_axis="plane_waves", frame_interval_s=None, metadata=metadata)

    write(tmp_path / f"a{suffix}", image)
    (again,) = usf.read(tmp_path / f"a{suffix}")

    assert again.frame_axis == "plane_waves"
    assert again.metadata["plane_waves"] == [1, 3, 75]
    np.testing.assert_allclose(again.data, image.data, atol=2e-5)


def test_a_sector_stays_one_in_a_zea_file(tmp_path) -> None:
    grid = PolarGrid((20, 16), (8.0, 0.2), (-0.6, 0.08), (-2.0, 1.0))

    write(tmp_path / "a.zea.hdf5", _image(grid=grid))
    (again,) = usf.read(tmp_path / "a.zea.hdf5")

    np.testing.assert_allclose(again.grid.radius_mm, grid.radius_mm, rtol=1e-4)
    np.testing.assert_allclose(again.grid.angle_rad, grid.angle_rad, rtol=1e-4)
    np.testing.assert_allclose(again.grid.apex_mm, grid.apex_mm, atol=1e-3)


def test_levels_above_zero_survive_in_a_zea_file(tmp_path) -> None:
    image = _image()
    image = image.with_data(image.data + np.float32(3.5))

    write(tmp_path / "a.zea.hdf5", image)

    with h5py.File(tmp_path / "a.zea.hdf5") as file:
        assert file["tracks/track_0/data/image/values"][()].max() <= 0
    np.testing.assert_allclose(
        usf.read(tmp_path / "a.zea.hdf5")[0].data, image.data, atol=2e-5
    )


def test_picmus_files_follow_the_layout_of_the_challenge(tmp_path) -> None:
    """As read in image files that the challenge's own MATLAB classes wrote."""
    image = _image("envelope")
    write(tmp_path / "a.hdf5", image)

    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file.attrs["version"].tolist() == [b"v.0.0.41"]
        group = file["US/US_DATASET0000"]
        for name, members, value in (
            ("type", {"US": 0, "SR": 1}, 1),
            ("signal_format", {"RF": 0, "IQ": 1, "ENV": 2}, 2),
        ):
            attribute = group.attrs.get_id(name)
            assert (attribute.shape, attribute.dtype) == ((1,), np.int32)
            assert h5py.check_enum_dtype(attribute.dtype) == members
            assert group.attrs[name].tolist() == [value]
        for name in ("name", "author", "affiliation", "algorithm", "creation_date"):
            assert group.attrs.get_id(name).shape == (1,)
            assert group.attrs.get_id(name).dtype.kind == "S"
        assert group.attrs["version"].tolist() == [b"v0.10"]
        # MATLAB's [axial, lateral, image] has its axes reversed here.
        assert group["data/real"].shape == group["data/imag"].shape == (3, 16, 20)
        np.testing.assert_array_equal(group["data/real"][1].T, image.data[1])
        assert not group["data/imag"][()].any()
        for name, shape in (
            ("scan/x_axis", (16,)),
            ("scan/z_axis", (20,)),
            ("number_plane_waves", (3,)),
            ("transmit_f_number", (1,)),
            ("receive_f_number", (1,)),
        ):
            assert (group[name].shape, group[name].dtype) == (shape, np.float32)
        assert group["receive_apodization_window"].shape == (1,)
        # Metres.
        assert group["scan/z_axis"][0] == pytest.approx(5.5e-3)
    assert io.detect(tmp_path / "a.hdf5") == "picmus-image"


def test_zea_itself_reads_what_is_written(tmp_path) -> None:
    zea = pytest.importorskip("zea")
    image = _image()
    write(tmp_path / "a.zea.hdf5", image, provenance=PROVENANCE)

    with zea.File(tmp_path / "a.zea.hdf5") as file:
        theirs = file.data.image
        np.testing.assert_array_equal(theirs.values[:], image.data)
        assert theirs.coordinates[:].shape == (20, 16, 3)
        np.testing.assert_allclose(
            theirs.coordinates[2, 3], [-1.25e-3, 0, 5.7e-3], atol=1e-8
        )
        np.testing.assert_allclose(theirs.timestamps[:], [0, 0.02, 0.04])


def test_ome_tiff_states_sizes_and_times_in_its_own_words(tmp_path) -> None:
    write(tmp_path / "a.ome.tif", _image())

    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        tree = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        assert tiff.series[0].axes == "TYX"
    pixels = tree["Pixels"]
    assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeYUnit"]) == (0.1, "mm")
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.25, "mm")
    assert (pixels["TimeIncrement"], pixels["TimeIncrementUnit"]) == (0.02, "s")
    assert tree["Name"] == "clip"


def _decoded(path: Path) -> tuple[np.ndarray, dict]:
    import imageio_ffmpeg

    frames = imageio_ffmpeg.read_frames(str(path), pix_fmt="gray", bits_per_pixel=8)
    about = next(frames)
    width, height = about["size"]
    stack = [np.frombuffer(f, np.uint8).reshape(height, width) for f in frames]
    return np.stack(stack), about


def test_a_movie_shows_the_range_in_square_pixels(tmp_path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    level = np.repeat(np.float32([-70, -30, 0]), 20 * 16).reshape(3, 20, 16)
    image = _image().with_data(level)

    write(tmp_path / "a.mp4", image, dynamic_range_db=60)

    stack, about = _decoded(tmp_path / "a.mp4")
    # 20 x 16 pixels of 0.1 x 0.25 mm: 40 pixels of 0.1 mm across.
    assert stack.shape == (3, 20, 40)
    assert about["fps"] == pytest.approx(50)
    assert stack.mean(axis=(1, 2)) == pytest.approx([0, 127.5, 255], abs=4)


def test_a_movie_without_ffmpeg_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)

    with pytest.raises(UsflowError, match=r"pip install 'napari-usflow\[video\]'"):
        write(tmp_path / "a.mp4", _image())


def test_a_picture_shows_what_it_is_told_to(tmp_path) -> None:
    level = np.linspace(-30, -10, 320, dtype=np.float32).reshape(1, 20, 16)
    options = Options(shown=(-30.0, -10.0))

    list(write_events(tmp_path / "a.png", _image().with_data(level), options))

    with Image.open(tmp_path / "a.png") as picture:
        grey = np.asarray(picture, float)
    np.testing.assert_allclose(grey, 255 * (level[0] + 30) / 20, atol=0.51)


def _lazy(image: UltrasoundImage, seen: list[int]) -> UltrasoundImage:
    def frame(block_info=None):
        seen.append(block_info[None]["chunk-location"][0])
        return image.data[seen[-1]][None]

    chunks = ((1,) * image.data.shape[0], (20,), (16,))
    return image.with_data(da.map_blocks(frame, chunks=chunks, dtype=np.float32))


@pytest.mark.parametrize("suffix", [s for s in OUTPUT_SUFFIXES if s != ".png"])
def test_frames_of_a_lazy_stack_are_read_one_after_the_other(tmp_path, suffix) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    seen: list[int] = []
    lazy = _lazy(_image(frames=6), seen)
    reported = []

    for event in write_events(tmp_path / f"a{suffix}", lazy, Options()):
        assert isinstance(event, Progress)
        reported.append(event.done)

    # zea files are looked through for levels above 0 dB first.
    assert seen == [0, 1, 2, 3, 4, 5] * (2 if ".zea" in suffix else 1)
    assert reported == [1, 2, 3, 4, 5, 6]


def test_large_results_are_kept_on_disk_and_small_ones_in_memory(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(writing, "_MOST_IN_MEMORY", 4 * 12 * 10)

    small = room_for((1, 12, 10), tmp_path)
    large = room_for((3, 12, 10), tmp_path)
    large[1] = 7

    assert not isinstance(small, np.memmap)
    assert isinstance(large, np.memmap)
    assert (large.shape, large.dtype, large.sum()) == ((3, 12, 10), np.float32, 840)
    assert not any(tmp_path.iterdir())


def test_a_result_that_the_disk_has_no_room_for_is_refused(tmp_path) -> None:
    with pytest.raises(UsflowError, match=r"the result takes 1.15e\+06 TB.*\.zarr"):
        room_for((2**30, 2**14, 2**14), tmp_path)


def test_a_lazy_envelope_becomes_decibels_of_the_whole_stack(tmp_path) -> None:
    image = _image("envelope", 4)

    write(tmp_path / "a.tif", _lazy(image, []))

    expected = 20 * np.log10(image.data / image.data.max())
    np.testing.assert_allclose(
        usf.read(tmp_path / "a.tif")[0].data, expected, atol=1e-4
    )


@pytest.mark.parametrize("suffix", [s for s in OUTPUT_SUFFIXES if s != ".png"])
def test_stopping_leaves_the_old_file_and_nothing_else(tmp_path, suffix) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"older result")
    token = CancelToken()
    events = write_events(path, _image(frames=50), Options(token=token))
    next(events)
    token.cancel()

    with pytest.raises(Cancelled):
        list(events)

    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"older result"


@pytest.fixture
def full_disk() -> Callable[[], None]:
    """Let no file grow beyond 64 KiB, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, usual[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path, suffix, full_disk
) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"older result")
    noise = RNG.uniform(-60, 0, (1, 300, 400)).astype(np.float32)
    image = UltrasoundImage(noise, "db", PixelGrid((300, 400), (0.1, 0.1), (0.0, 0.0)))
    full_disk()

    with pytest.raises(UsflowError, match="cannot be written") as caught:
        write(path, image)

    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"older result"


@pytest.mark.parametrize(
    ("suffix", "changes", "match"),
    [
        (".hdf5", {"values": "display"}, "PICMUS image holds an envelope"),
        (".hdf5", {"metadata": {"pixel_size_known": False}}, "state its pixel size"),
        (".zea.hdf5", {"metadata": {"pixel_size_known": False}}, "place of every"),
        (
            ".zea.hdf5",
            {"values": "display", "metadata": {"value_range": (0, 1)}},
            "keeps display grey in 8 bits",
        ),
        (".png", {}, "a PNG holds one frame"),
    ],
)
def test_what_a_format_has_no_place_for_is_said_first(
    tmp_path, suffix, changes, match
) -> None:
    values = changes.pop("values", "db") if changes else "db"

    with pytest.raises(ValueError, match=match):
        write(tmp_path / f"a{suffix}", _image(values, **changes))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tif", "imagej"),
        ("a.ome.tif", "ome"),
        ("A.OME.TIFF", "ome"),
        ("a.hdf5", "picmus"),
        ("a.zea.hdf5", "zea"),
        ("a.b.npy", "npy"),
    ],
)
def test_the_longest_ending_decides(name, kind) -> None:
    assert output_of(Path(name)) is OUTPUTS[kind]


def test_an_ending_is_no_name() -> None:
    assert output_of(Path("a.jpg")) is None
    assert output_of(Path(".hdf5")) is None


def test_name_may_be_text_and_an_array_is_refused(tmp_path: Path) -> None:
    image = _image()

    usf.write(str(tmp_path / "a.tif"), image)

    (again,) = usf.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.data, image.data)
    with pytest.raises(TypeError, match=r"ndarray; write takes an UltrasoundImage"):
        usf.write(tmp_path / "b.tif", image.data)
