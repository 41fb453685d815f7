"""Images and stacks in MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import napari_usflow as usf
from matlab_files import save_v73
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.io import matlab

GREY = np.random.default_rng(3).integers(0, 255, (30, 20, 4)).astype(np.uint8)


def save(path: Path, version: str, **variables) -> Path:
    if version == "7.3":
        return save_v73(path, variables)
    savemat(path, variables)
    return path


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_the_only_array_of_a_file_is_its_stack(tmp_path: Path, version: str) -> None:
    path = save(tmp_path / "a.mat", version, I=GREY, gain=np.float64(3))

    (image,) = usf.read(path)

    assert io.detect(path) == "matlab-image"
    np.testing.assert_array_equal(np.asarray(image.data), GREY.transpose(2, 0, 1))
    assert image.data.chunks == ((1,) * 4, (30,), (20,))
    assert image.values == "display"
    assert image.metadata["pixel_size_known"] is False


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_axes_and_their_places_by_name(tmp_path: Path, version: str) -> None:
    frames = GREY.transpose(2, 1, 0)  # frames, across, depth
    path = save(
        tmp_path / "a.mat",
        version,
        bmode=frames,
        z_mm=5 + 0.1 * np.arange(30),
        x_mm=-1 + 0.2 * np.arange(20),
    )
    names = {
        "image": "bmode",
        "image_axes": "fxz",
        "z_axis_m": "z_mm / 1000",
        "x_axis_m": "x_mm * 0.001",
        "frame_rate_hz": "20",
    }

    (image,) = usf.read(path, names=names)

    np.testing.assert_array_equal(np.asarray(image.data), GREY.transpose(2, 0, 1))
    assert image.spacing_mm == pytest.approx((0.1, 0.2))
    assert image.origin_mm == pytest.approx((5.0, -1.0))
    assert image.frame_interval_s == 0.05


def test_a_number_for_an_axis_is_the_size_of_a_pixel(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", "5", I=GREY)

    (image,) = usf.read(path, names={"z_axis_m": "0.0001", "x_axis_m": "0.0003"})

    assert image.spacing_mm == pytest.approx((0.1, 0.3))


def test_beamformed_rf_becomes_the_decibels_of_its_envelope(tmp_path: Path) -> None:
    depth = np.arange(400)
    line = np.hanning(400) * np.cos(2 * np.pi * depth / 6)
    path = save(tmp_path / "a.mat", "5", rf=np.tile(line[:, None], (1, 20)))

    (image,) = usf.read(path)

    assert image.values == "db"
    half = int(np.argmin(np.abs(np.hanning(400)[:200] - 0.5)))
    assert image.data[0][200, 5] == pytest.approx(0, abs=0.05)
    assert image.data[0][half, 5] == pytest.approx(-6.02, abs=0.1)


def test_complex_values_become_the_decibels_of_their_modulus(tmp_path: Path) -> None:
    iq = np.full((30, 20), 3 + 4j)
    iq[7, 9] = 50j
    path = save(tmp_path / "a.mat", "7.3", iq=iq)

    (image,) = usf.read(path)

    assert (image.data[0][7, 9], image.values) == (0, "db")
    assert image.data[0][0, 0] == pytest.approx(-20)


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (np.linspace(-60, 0, 600).reshape(30, 20), "db"),
        (np.linspace(0, 1, 600).reshape(30, 20), "display"),
    ],
)
def test_what_numbers_are_taken_for(tmp_path: Path, array, values) -> None:
    path = save(tmp_path / "a.mat", "5", a=array)

    assert usf.read(path)[0].values == values
    (said,) = usf.read(path, names={"values": "envelope"})
    assert said.values == "envelope"


def test_several_arrays_are_nobodys_image_until_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", "5", a=GREY, b=GREY)

    assert io.detect(path) == "matlab"
    assert io.describe(path) == {
        "file": str(path),
        "bytes": path.stat().st_size,
        "kind": "matlab",
        "variables": {"a": [30, 20, 4], "b": [30, 20, 4]},
    }
    with pytest.raises(FileFormatError, match="say with names"):
        usf.read(path)


def test_a_7_3_link_to_another_file_is_not_followed(tmp_path: Path) -> None:
    import h5py

    path = save_v73(tmp_path / "a.mat", {"I": GREY})
    with h5py.File(path, "r+") as file:
        del file["I"]
        file["I"] = h5py.ExternalLink(str(tmp_path / "b.mat"), "/I")

    with pytest.raises(FileFormatError):
        usf.read(path, names={"image": "I"})


def test_members_that_are_no_arrays_are_passed_over(tmp_path: Path) -> None:
    import h5py

    path = save_v73(tmp_path / "a.mat", {"I": GREY})
    with h5py.File(path, "r+") as file:
        file["kind"] = h5py.special_dtype(enum=("i4", {"RF": 0}))
        file["text"] = "words"
        file["nothing"] = h5py.Empty("f8")

    assert io.detect(path) == "matlab-image"
    assert list(matlab.variables(path)) == ["I"]


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.6, 0.95])
def test_a_file_cut_short_gives_one_line(tmp_path, version, kept) -> None:
    raw = save(tmp_path / "a.mat", version, I=GREY).read_bytes()
    path = tmp_path / "b.mat"
    path.write_bytes(raw[: int(kept * len(raw))])

    with pytest.raises(FileFormatError) as caught:
        io.read(path)
    assert "\n" not in str(caught.value)


def test_a_declared_size_beyond_reason_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", "5", I=GREY)
    raw = path.read_bytes()
    shape = np.array(GREY.shape, "<i4").tobytes()
    assert raw.count(shape) == 1
    huge = np.array([1_000_000, 1_000_000, 4], "<i4").tobytes()
    path.write_bytes(raw.replace(shape, huge))

    with pytest.raises(FileFormatError, match="declares shape"):
        io.read(path)
