"""One way in: sniff, read, read_channel_data and describe for every format."""

from __future__ import annotations

import json
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.errors import Cancelled, FileFormatError
from napari_usflow.jobs import CancelToken
from napari_usflow.ultrasound.data import PixelGrid

RNG = np.random.default_rng(7)
ENVELOPES = RNG.rayleigh(size=(2, 6, 4)).astype(np.float32)
RF = RNG.normal(size=(3, 8, 400)).astype(np.float32)
Z_M, X_M = 6e-3 + 0.2e-3 * np.arange(10), 0.3e-3 * (np.arange(7) - 3)


@pytest.fixture
def one_of_each(
    write_dataset, write_scan, write_phantom, write_image, write_pybf, tmp_path
) -> dict[str, Path]:
    """A file of every kind, its name hiding what it is."""
    tifffile.imwrite(tmp_path / "g.dat", np.zeros((5, 6), np.uint8))
    return {
        "picmus-dataset": write_dataset(RF, "a.bin"),
        "picmus-scan": write_scan(Z_M, X_M, "b.bin"),
        "picmus-phantom": write_phantom("c.bin"),
        "picmus-image": write_image(ENVELOPES, [1, 75], "d.bin"),
        "pybf": write_pybf(RF[None], [-0.1, 0, 0.1], name="e.bin"),
        "tiff": tmp_path / "g.dat",
    }


def test_the_kind_is_told_by_what_the_file_holds(one_of_each) -> None:
    assert {kind: io.detect(path) for kind, path in one_of_each.items()} == {
        kind: kind for kind in one_of_each
    }


def test_every_kind_is_described_in_values_that_json_holds(one_of_each) -> None:
    for kind, path in one_of_each.items():
        summary = json.loads(json.dumps(io.describe(path)))

        assert summary["kind"] == kind
        assert summary["file"] == str(path)
        assert summary["bytes"] == path.stat().st_size


def test_a_dataset_is_described_in_field_units(one_of_each) -> None:
    summary = io.describe(one_of_each["picmus-dataset"])

    assert summary["signal"] == "RF"
    assert summary["shape"] == [1, 3, 8, 400]
    assert summary["sampling_mhz"] == 20.832
    assert summary["angles_deg"] == pytest.approx(np.rad2deg([-0.2, 0, 0.2]), abs=1e-3)
    assert summary["element_pitch_mm"] == pytest.approx(0.3)
    # 3 us before the first of 400 samples at 20.832 MHz, 0.77 mm a microsecond
    assert summary["depth_range_mm"] == pytest.approx(
        [3 * 0.77, (3 + 399 / 20.832) * 0.77], abs=2e-3
    )


def test_an_image_is_described_with_its_plane_waves_and_pixels(one_of_each) -> None:
    summary = io.describe(one_of_each["picmus-image"])

    assert summary["plane_waves"] == [1, 75]
    assert summary["pixel_mm"] == pytest.approx([0.2, 0.3], rel=1e-4)
    assert summary["depth_range_mm"] == pytest.approx([10, 11])


def test_raw_data_is_beamformed_on_the_grid_of_the_scan_beside_it(
    write_dataset, write_scan
) -> None:
    path = write_dataset(RF, "a_dataset_rf.hdf5")
    scan = write_scan(Z_M, X_M, "a_scan.hdf5")

    (image,) = usf.read(path, angles=1)

    assert image.values == "db"
    assert image.data.shape == (1, 10, 7)
    np.testing.assert_allclose(image.origin_mm, (6, -0.9), rtol=1e-5)
    assert image.metadata["scan"] == str(scan)
    assert image.metadata["plane_waves"] == 1
    assert image.metadata["format"] == "picmus-dataset"


def test_a_grid_that_is_given_wins_over_the_scan(write_dataset, write_scan) -> None:
    path = write_dataset(RF, "a_dataset_rf.hdf5")
    write_scan(Z_M, X_M, "a_scan.hdf5")
    grid = PixelGrid((5, 3), (0.5, 0.4), (6.0, -0.4))

    assert usf.read(path, grid=grid)[0].grid == grid


def test_raw_data_alone_has_the_default_grid(write_pybf) -> None:
    path = write_pybf(RF[None], [-0.1, 0, 0.1])

    (image,) = usf.read(path)

    assert image.origin_mm == pytest.approx((5, -0.875))
    assert image.metadata["format"] == "pybf"


def test_channel_data_come_only_from_raw_files(one_of_each) -> None:
    assert usf.read_channel_data(one_of_each["pybf"]).samples.shape == (1, 3, 8, 400)
    for kind in ("picmus-image", "picmus-scan", "tiff"):
        with pytest.raises(FileFormatError):
            usf.read_channel_data(one_of_each[kind])


@pytest.mark.parametrize("kind", ["picmus-scan", "picmus-phantom"])
def test_what_holds_no_image_says_what_does(one_of_each, kind) -> None:
    assert not io.open_file(one_of_each[kind]).images
    with pytest.raises(FileFormatError, match=rf"{kind}\) holds no image.*; open the"):
        usf.read(one_of_each[kind])


def _text(path: Path) -> None:
    path.write_text("time,value\n" * 99)


def _empty(path: Path) -> None:
    path.touch()


def _foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["entry/data"] = np.zeros(3)


def _absurd(path: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("US/US_DATASET0000")
        group["scan/x_axis"] = group["scan/z_axis"] = np.arange(3.0)
        group.create_dataset("data/real", (10**6, 10**6), "f4", chunks=(1000, 1000))


def _linked(path: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("US/US_DATASET0000")
        for name in ("data", "scan"):
            group[name] = h5py.ExternalLink("/etc/passwd", "/")


def _cyclic(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["US"] = h5py.SoftLink("/US")


def _truncated(path: Path) -> None:
    _absurd(path)
    path.write_bytes(path.read_bytes()[:900])


BAD = {
    "starts with 'time,value": _text,
    "is empty": _empty,
    "an HDF5 file with entry at its root": _foreign,
    r"declares shape \(1000000, 1000000\)": _absurd,
    "only a link to / in /etc/passwd": _linked,
    "an HDF5 file with US at its root": _cyclic,
    "is cut short": _truncated,
    "cannot be opened": lambda path: None,
    "is a folder": Path.mkdir,
}


@pytest.mark.parametrize(("match", "make"), BAD.items(), ids=BAD)
def test_a_bad_file_gives_one_clear_line_at_once(tmp_path, match, make) -> None:
    path = tmp_path / "bad.hdf5"
    make(path)

    for function in (usf.read, io.describe):
        start = time.perf_counter()
        with pytest.raises(FileFormatError, match=match) as caught:
            function(path)
        assert time.perf_counter() - start < 1
        assert "bad.hdf5" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_sniffing_never_raises(tmp_path, make) -> None:
    path = tmp_path / "bad.hdf5"
    make(path)

    assert io.detect(path) in (None, "picmus-image")


@pytest.mark.parametrize("path", ["", "nul\0byte", ".", "/dev/null", b"bytes", None, 3])
def test_sniffing_takes_anything(path) -> None:
    assert io.detect(path) is None


def test_noise_after_the_signature_is_survived(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    path = tmp_path / "noise.h5"

    for _ in range(20):
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + rng.bytes(3000))
        assert io.detect(path) is None


def _all_of(events):
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as stop:
            return seen, stop.value


@pytest.mark.parametrize("kind", ["picmus-dataset", "pybf"])
def test_beamforming_a_file_reports_how_far_it_is(one_of_each, kind) -> None:
    path = one_of_each[kind]

    seen, (image,) = _all_of(io.read_events(path, angles=2, device="cpu"))

    # One step an element, for the only frame.
    assert [(event.done, event.total) for event in seen] == [
        (done, 8) for done in range(1, 9)
    ]
    (expected,) = usf.read(path, angles=2)
    np.testing.assert_allclose(image.data, expected.data, atol=1e-3)
    assert image.metadata == expected.metadata


@pytest.mark.parametrize("kind", ["picmus-dataset", "pybf"])
@pytest.mark.parametrize("bandwidth", [None, 0.5])
def test_raw_data_get_the_receive_filter_asked_for(
    one_of_each, kind, bandwidth
) -> None:
    path, grid = one_of_each[kind], PixelGrid((12, 6), (0.2, 0.3), (6.0, -0.9))

    (image,) = usf.read(path, grid=grid, bandwidth=bandwidth)

    data = usf.read_channel_data(path)
    expected = usf.beamform(data, grid=grid, bandwidth=bandwidth)
    usual = usf.beamform(data, grid=grid)
    np.testing.assert_allclose(image.data, expected.data, atol=1e-3)
    assert np.abs(image.data - usual.data).max() > 0.1
    assert image.metadata["bandwidth"] == bandwidth


@pytest.mark.parametrize("kind", ["picmus-image", "tiff"])
def test_an_image_file_is_read_without_events(one_of_each, kind) -> None:
    seen, (image,) = _all_of(io.read_events(one_of_each[kind]))

    assert seen == []
    np.testing.assert_array_equal(image.data, usf.read(one_of_each[kind])[0].data)


@pytest.mark.parametrize("kind", ["picmus-dataset", "pybf"])
def test_beamforming_a_file_can_be_stopped(one_of_each, kind) -> None:
    token = CancelToken()
    events = io.read_events(one_of_each[kind], device="cpu", token=token)
    next(events)
    token.cancel()

    with pytest.raises(Cancelled):
        list(events)


@pytest.mark.parametrize("kind", ["picmus-dataset", "pybf"])
def test_beamforming_a_file_is_done_on_the_device_asked_for(one_of_each, kind) -> None:
    with pytest.raises(ValueError, match="no-such-device"):
        list(io.read_events(one_of_each[kind], device="no-such-device"))
