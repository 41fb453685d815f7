"""The ``usflow`` command: what it writes, says, and answers to bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat

import napari_usflow as usf
from napari_usflow import io
from napari_usflow.cli import COMMANDS, main, reading, reporting
from napari_usflow.evaluate.measure import measure
from napari_usflow.evaluate.phantom_scores import picmus_contrast
from napari_usflow.evaluate.region_files import write_regions
from napari_usflow.evaluate.regions import Region
from napari_usflow.io.opened import Opened
from napari_usflow.io.picmus import read_phantom
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage


@pytest.fixture
def speckle_db() -> np.ndarray:
    """Two frames of log-compressed speckle about -30 dB, 60 by 48 pixels."""
    rng = np.random.default_rng(0)
    return (10 * np.log10(rng.exponential(size=(2, 60, 48))) - 30).astype(np.float32)


@pytest.fixture
def stack(tmp_path: Path, speckle_db: np.ndarray) -> Path:
    """The same as an ImageJ TIFF with pixels of 0.2 by 0.25 mm."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path,
        speckle_db,
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.2),
        metadata={"axes": "TYX", "unit": "mm", "usflow_values": "db"},
    )
    return path


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_help_names_every_command(capsys) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert main([]) == 0
    assert all(f"\n  {name} " in overview for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: usflow {command}")


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"usflow {usf.__version__}"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["despeckle"], "invalid choice: 'despeckle'"),
        (["info"], "arguments are required: FILE"),
        (["denoise", "a.tif", "b.tif", "--method", "magic"], "invalid choice: 'magic'"),
        (["denoise", "a.tif", "b.tif", "--mix-back", "x"], "invalid float value: 'x'"),
        (["denoise", "a.tif", "b.tif", "--pixel-size-mm", "0"], "one or two sizes"),
        (["train", "--out", "run"], "arguments are required: data"),
    ],
)
def test_wrong_arguments_give_one_line(argv, said: str, capsys) -> None:
    assert main(argv) == 2
    assert said in one_line(capsys.readouterr().err)


def damaged(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.hdf5"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no image")
    elif kind == "truncated":
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    elif kind == "folder":
        path.mkdir()
    elif kind == "pickle":
        np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
        path = folder / "objects.npy"
    elif kind == "absurd":
        header = (
            b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999, 99999), }"
        )
        header = header.ljust(117) + b"\n"
        path = folder / "absurd.npy"
        size = len(header).to_bytes(2, "little")
        path.write_bytes(b"\x93NUMPY\x01\x00" + size + header + bytes(64))
    return path


@pytest.mark.parametrize(
    "kind",
    ["missing", "empty", "text", "truncated", "folder", "pickle", "absurd"],
)
@pytest.mark.parametrize("command", ["info", "convert", "denoise"])
def test_bad_file_gives_one_line_and_no_output(
    kind: str, command: str, tmp_path: Path, capsys
) -> None:
    path, output = damaged(tmp_path, kind), tmp_path / "out.tif"

    code = main([command, str(path), *([] if command == "info" else [str(output)])])

    captured = capsys.readouterr()
    assert code == 2
    assert path.name in one_line(captured.err)
    assert captured.out == "" and not output.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.jpg", "cannot write .jpg; choose one of .tif"),
        ("out", "a name without an ending"),
        ("nowhere/out.tif", "there is no folder"),
        ("stack.tif", "is the input"),
        ("out.png", "a PNG holds one frame"),
    ],
)
@pytest.mark.parametrize("command", ["convert", "denoise"])
def test_output_that_cannot_be_is_refused_before_work(
    command, name, said, stack: Path, tmp_path: Path, capsys
) -> None:
    before = stack.read_bytes()

    code = main([command, str(stack), str(tmp_path / name)])

    assert code == 2
    assert said in one_line(capsys.readouterr().err)
    assert [p.name for p in tmp_path.iterdir()] == ["stack.tif"]
    assert stack.read_bytes() == before


def test_failed_write_leaves_the_old_file(stack, tmp_path, monkeypatch, capsys) -> None:
    output = tmp_path / "out.tif"
    output.write_bytes(b"older result")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)

    assert main(["convert", str(stack), str(output)]) == 2
    assert "No space left" in one_line(capsys.readouterr().err)
    assert output.read_bytes() == b"older result"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tif", "stack.tif"]


def test_info_gives_text_and_json(stack: Path, capsys) -> None:
    assert main(["info", str(stack)]) == 0
    text = capsys.readouterr().out
    assert main(["info", str(stack), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)

    assert report["shape"] == [2, 60, 48] and report["values"] == "db"
    assert report["pixel_mm"] == pytest.approx([0.2, 0.25], rel=1e-4)
    assert "pixel_mm" in text and "2, 60, 48" in text


@pytest.mark.parametrize("name", ["p.safetensors", "p.bin"])
def test_info_shows_the_header_of_a_prior(name: str, tmp_path: Path, capsys) -> None:
    from napari_usflow.prior.glow import Glow, GlowConfig
    from napari_usflow.prior.store import save_prior

    flow = Glow(GlowConfig(patch_size=8, steps=(1,), hidden=(4,)))
    path = tmp_path / "p.safetensors"
    save_prior(flow, path, {"pixel_mm": 0.4375, "licence": "CC0-1.0"})
    path = path.rename(tmp_path / name)

    assert main(["info", str(path), "--json"]) == 0

    card = json.loads(capsys.readouterr().out)
    assert (card["kind"], card["licence"]) == ("prior", "CC0-1.0")
    assert card["architecture"]["patch_size"] == 8


def test_info_shows_the_header_of_a_network(tmp_path: Path, capsys) -> None:
    from napari_usflow.networks.architecture import UNetConfig
    from napari_usflow.networks.store import save_network
    from napari_usflow.networks.unet import UNet

    path = tmp_path / "n.safetensors"
    save_network(UNet(UNetConfig((4,), (1,))), path, {"licence": "CC0-1.0"})

    assert main(["info", str(path), "--json"]) == 0

    card = json.loads(capsys.readouterr().out)
    assert (card["kind"], card["licence"]) == ("network", "CC0-1.0")
    assert card["architecture"] == {"channels": [4], "blocks": [1], "antialias": True}


def test_info_refuses_a_damaged_prior(tmp_path: Path, capsys) -> None:
    path = tmp_path / "p.safetensors"
    for content in (b"\xff" * 64, (20).to_bytes(8, "little") + b"{" * 40):
        path.write_bytes(content)

        assert main(["info", str(path)]) == 2
        assert "p.safetensors" in one_line(capsys.readouterr().err)


def test_convert_to_tiff_keeps_values_and_pixel_size(
    stack, speckle_db, tmp_path
) -> None:
    output = tmp_path / "out.tiff"

    assert main(["convert", str(stack), str(output)]) == 0

    (image,) = io.read(output)
    assert image.values == "db"
    assert image.spacing_mm == pytest.approx((0.2, 0.25), rel=1e-4)
    np.testing.assert_array_equal(image.data, speckle_db)


def test_convert_to_png_shows_the_dynamic_range(stack, speckle_db, tmp_path) -> None:
    output = tmp_path / "out.png"

    code = main(
        [
            "convert",
            str(stack),
            str(output),
            "--frame",
            "-1",
            "--dynamic-range-db",
            "40",
        ]
    )

    assert code == 0
    with Image.open(output) as picture:
        grey = np.asarray(picture)
        dots_an_inch = picture.info["dpi"]
    expected = np.clip(1 + speckle_db[1] / 40, 0, 1) * 255
    assert grey.dtype == np.uint8
    assert np.abs(grey - expected).max() <= 0.5
    assert dots_an_inch == pytest.approx((25.4 / 0.25, 25.4 / 0.2), rel=1e-3)


def test_convert_to_numpy_takes_one_frame(stack, speckle_db, tmp_path) -> None:
    output = tmp_path / "out.npy"

    assert main(["convert", str(stack), str(output), "--frame", "0"]) == 0
    np.testing.assert_array_equal(np.load(output), speckle_db[0])


@pytest.mark.parametrize("name", ["out.ome.tif", "out.hdf5", "out.zea.hdf5"])
def test_convert_keeps_values_place_and_provenance(
    name, stack, speckle_db, tmp_path, capsys
) -> None:
    output = tmp_path / name

    assert main(["convert", str(stack), str(output), "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    (image,) = io.read(output)
    assert report["bytes"] == output.stat().st_size
    assert (report["shape"], report["values"]) == ([2, 60, 48], "db")
    np.testing.assert_allclose(image.data, speckle_db, atol=2e-5)
    assert image.spacing_mm == pytest.approx((0.2, 0.25), rel=1e-4)
    assert image.metadata["provenance"]["source"] == str(stack)


@pytest.fixture
def unnamed(tmp_path: Path) -> Path:
    """A MATLAB file with an image that only its author can tell from the mask."""
    levels = -np.arange(20 * 30, dtype=float).reshape(20, 30) / 10
    axes = {"depth_cm": 1 + 0.02 * np.arange(20), "x_mm": 0.3 * np.arange(30)}
    path = tmp_path / "mine.mat"
    savemat(path, {"B": levels, "mask": np.ones((20, 30)), "geo": axes})
    return path


NAMES = ["image=B", "values=db", "z_axis_m=geo.depth_cm / 100", "x_axis_m=geo.x_mm/1e3"]


def test_names_say_which_variable_is_what(unnamed, tmp_path, capsys) -> None:
    assert main(["info", str(unnamed), "--json"]) == 0
    assert "geo.depth_cm" in json.loads(capsys.readouterr().out)["variables"]

    assert main(["info", str(unnamed), "--json", "--names", *NAMES]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["pixel_mm"] == pytest.approx([0.2, 0.3])
    assert info["depth_range_mm"] == pytest.approx([10, 13.8])

    output = tmp_path / "out.npy"
    assert main(["convert", str(unnamed), str(output), "--names", *NAMES]) == 0
    expected = -np.arange(600).reshape(20, 30) / 10
    np.testing.assert_allclose(np.load(output).squeeze(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["image"], "'image' is not KEY=NAME"),
        (["picture=B"], "no name 'picture'; choose among samples"),
        (["image=C"], "no variable 'C'"),
    ],
)
def test_wrong_names_give_one_line(names, said, unnamed, tmp_path, capsys) -> None:
    argv = ["convert", str(unnamed), str(tmp_path / "a.npy"), "--names", *names]

    assert main(argv) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "a.npy").exists()


def test_names_are_for_matlab_files(stack, capsys) -> None:
    assert main(["info", str(stack), "--names", "image=B"]) == 2
    assert "names is for MATLAB files" in one_line(capsys.readouterr().err)


def test_convert_to_a_movie_takes_its_rate(stack, tmp_path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    output = tmp_path / "out.mp4"

    assert main(["convert", str(stack), str(output), "--fps", "8"]) == 0

    assert ffmpeg.count_frames_and_secs(str(output)) == (2, pytest.approx(0.25))


def test_convert_on_a_full_disk_leaves_nothing(stack, tmp_path, capsys) -> None:
    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, usual[1]))
    try:
        code = main(["convert", str(stack), str(tmp_path / "out.zea.hdf5")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)

    assert code == 2
    assert "out.zea.hdf5 cannot be written" in one_line(capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["stack.tif"]


def test_frame_that_is_not_there_is_named(stack, tmp_path, capsys) -> None:
    code = main(["convert", str(stack), str(tmp_path / "o.npy"), "--frame", "2"])

    assert code == 2
    assert "has 2 frames, but no frame 2" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize("axis", ["t", "plane_waves"])
def test_envelope_is_written_in_decibels(axis: str, tmp_path, monkeypatch) -> None:
    envelope = np.array([[[10.0, 1.0]], [[100.0, 1.0]]], np.float32)
    image = UltrasoundImage(
        envelope, "envelope", PixelGrid((1, 2), (0.1, 0.1), (0, 0)), frame_axis=axis
    )

    monkeypatch.setattr(reading, "open_file", lambda *_, **__: Opened([image]))
    output = tmp_path / "out.npy"

    assert main(["convert", "x.hdf5", str(output)]) == 0

    # Frames over time share 0 dB; compoundings of one acquisition have each their own.
    first = -20 if axis == "t" else 0
    np.testing.assert_allclose(
        np.load(output)[:, 0], [[first, first - 20], [0, -40]], atol=1e-5
    )


def test_denoise_writes_a_whole_result_and_a_report(
    stack, speckle_db, tmp_path, capsys
) -> None:
    output = tmp_path / "out.tif"

    code = main(
        ["denoise", str(stack), str(output), "--method", "nlm", "--h", "0.6", "--json"]
    )

    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert code == 0
    assert report["parameters"]["h"] == 0.6
    assert [frame["frame"] for frame in report["frames"]] == [0, 1]
    assert report["frames"][0]["sigma_db"] == pytest.approx(5.57, rel=0.1)
    assert "noise level estimated: 5." in captured.err
    (image,) = io.read(output)
    assert image.data.shape == speckle_db.shape and image.values == "db"
    assert image.spacing_mm == pytest.approx((0.2, 0.25), rel=1e-4)
    for before, after in zip(speckle_db, image.data, strict=True):
        assert after.std() < 0.4 * before.std()
        assert after.mean() == pytest.approx(before.mean(), abs=0.3)


def test_denoise_is_what_the_function_does(speckle_db, tmp_path) -> None:
    source, output = tmp_path / "plain.npy", tmp_path / "out.npy"
    np.save(source, speckle_db)
    argv = ["denoise", str(source), str(output), "--method", "nlm", "--sigma", "0.09"]

    assert main([*argv, "--pixel-size-mm", "0.15", "0.2", "--mix-back", "0.2"]) == 0

    expected = usf.denoise(
        speckle_db, method="nlm", sigma=0.09, pixel_size_mm=(0.15, 0.2), mix_back=0.2
    )
    np.testing.assert_allclose(np.load(output), expected, atol=1e-4)


def test_stack_written_frame_by_frame_is_read_back(stack, tmp_path, capsys) -> None:
    pytest.importorskip("zarr")
    folder, array = tmp_path / "clean.zarr", tmp_path / "clean.npy"
    argv = ["denoise", str(stack), str(folder), "--method", "tv"]

    assert main([*argv, "--value-range", "-50", "-5"]) == 0
    assert main(["convert", str(folder), str(array)]) == 0
    assert main(["info", str(folder), "--json"]) == 0

    (image,) = usf.read(folder)
    assert (image.spacing_mm, image.values) == ((0.2, 0.25), "db")
    assert image.metadata["value_range"] == (-50, -5)
    assert image.metadata["provenance"]["method"] == "tv"
    np.testing.assert_array_equal(np.load(array), np.asarray(image.data))
    info = json.loads(capsys.readouterr().out)
    assert (info["kind"], info["pixel_mm"]) == ("zarr-stack", [0.2, 0.25])
    assert info["bytes"] > 0


def test_uncertainty_is_written_beside_the_result(
    stack, tiny_prior, tmp_path, capsys
) -> None:
    output, second = tmp_path / "out.tif", tmp_path / "std.tif"
    argv = ["denoise", str(stack), str(output), "--method", "flow"]
    argv += ["--weights", str(tiny_prior)]
    argv += ["--sigma-db", "5", "--uncertainty", str(second)]

    assert main([*argv, "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert report["uncertainty"] == str(second)
    (std_db,) = io.read(second)
    expected = usf.uncertainty(io.read(stack)[0], sigma=5 / 60, weights=tiny_prior)
    np.testing.assert_allclose(std_db.data, expected, rtol=1e-5)
    assert std_db.spacing_mm == pytest.approx((0.2, 0.25), rel=1e-4)
    with tifffile.TiffFile(second) as file:
        note = json.loads(file.imagej_metadata["Info"])
    assert note["quantity"] == "standard deviation of each pixel, dB"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--method", "nlm", "--uncertainty", "std.tif"],
            "the method nlm has no uncertainty; best, ",
        ),
        (["--uncertainty", "out.tif"], "out.tif is the result; choose another file"),
        (["--uncertainty-kind", "std"], "is for --uncertainty FILE, which is missing"),
        (
            ["--uncertainty", "std.tif", "--uncertainty-kind", "spread"],
            "the method flow has no uncertainty 'spread'; choose one of std",
        ),
        (["--uncertainty", "std.png"], "std.png: a PNG holds one frame"),
        (["--uncertainty", "std.csv"], "std.csv: cannot write .csv"),
    ],
)
def test_uncertainty_that_cannot_be_is_refused_before_work(
    options, said, stack, tiny_prior, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)

    argv = ["denoise", str(stack), "out.tif", "--weights", str(tiny_prior)]

    # An option that is given twice counts as the last says.
    assert main([*argv, "--method", "flow", *options]) == 2

    assert said in one_line(capsys.readouterr().err)
    assert not (tmp_path / "out.tif").exists()


def test_the_pixel_size_need_not_be_known(speckle_db, tmp_path) -> None:
    path, one, other = (tmp_path / f"{name}.npy" for name in ("plain", "one", "other"))
    np.save(path, speckle_db)
    argv = ["denoise", str(path)]

    assert main([*argv, str(one), "--method", "nlm"]) == 0
    assert main([*argv, str(other), "--method", "nlm", "--pixel-size-mm", "0.2"]) == 0

    np.testing.assert_array_equal(np.load(one), np.load(other))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sigma", "0.1", "--sigma-db", "5"], "either --sigma or --sigma-db"),
        (["--sigma-db", "-1"], "Settings.sigma_db is -1.0 dB"),
        (["--sigma", "-1"], "sigma is -1; as a fraction of the dynamic range of 60 dB"),
        (["--pixel-size-mm", "0.1"], "stack.tif states its pixel size, 0.2 x 0.25 mm"),
        (["--h", "0"], "NonLocalMeansParams.h is 0"),
        (["--value-range", "0", "-60"], "value_range must be (low, high)"),
    ],
)
def test_options_out_of_limits_give_one_line(
    options, said, stack, tmp_path, capsys
) -> None:
    argv = ["denoise", str(stack), str(tmp_path / "o.tif"), "--method", "nlm"]

    assert main([*argv, *options]) == 2
    assert said in one_line(capsys.readouterr().err)


def test_help_of_denoise_has_units_and_the_methods_own_options(capsys) -> None:
    main(["denoise", "--method", "nlm", "--help"])
    nlm = capsys.readouterr().out
    main(["denoise", "--help"])
    best = capsys.readouterr().out

    assert "--patch-distance PX" in nlm and "--sigma-db DB" in nlm
    assert "default: by the grain of the speckle" in " ".join(nlm.split())
    assert "--patch-distance" not in best and "--noise {auto,speckle,white}" in best


def test_png_shows_the_value_range_that_was_given(stack, speckle_db, tmp_path) -> None:
    picture, numbers = tmp_path / "out.png", tmp_path / "out.npy"
    options = ["--method", "nlm", "--frame", "0", "--value-range", "-45", "-25"]

    for output in (picture, numbers):
        assert main(["denoise", str(stack), str(output), *options]) == 0

    expected = np.clip((np.load(numbers) + 45) / 20, 0, 1) * 255
    with Image.open(picture) as shown:
        assert np.abs(np.asarray(shown) - expected).max() <= 0.5


def test_given_black_and_white_of_grey_stay_with_a_tiff(tmp_path) -> None:
    source, output = tmp_path / "a.tif", tmp_path / "b.tif"
    rng = np.random.default_rng(0)
    tifffile.imwrite(source, rng.integers(1000, 3000, (40, 30)).astype(np.uint16))
    options = ["--method", "nlm", "--value-range", "0", "4095"]

    assert main(["denoise", str(source), str(output), *options]) == 0

    assert io.read(output)[0].metadata["value_range"] == (0, 4095)


@pytest.fixture
def raw_data(tmp_path: Path) -> Path:
    """RF of eight elements 0.3 mm apart, three plane waves, in the PICMUS layout."""
    path = tmp_path / "dataset.hdf5"
    rng = np.random.default_rng(0)
    x_m = 0.3e-3 * (np.arange(8) - 3.5)
    with h5py.File(path, "w") as file:
        group = file.create_group("US/US_DATASET0000")
        group.attrs.update({"type": b"US", "signal_format": b"RF"})
        group["data/real"] = rng.normal(size=(3, 8, 400)).astype(np.float32)
        group["data/imag"] = np.zeros((3, 8, 400), np.float32)
        group["probe_geometry"] = np.stack([x_m, 0 * x_m, 0 * x_m])
        group["angles"] = np.array([-0.2, 0, 0.2])
        for name, value in {
            "initial_time": 3e-6,
            "sampling_frequency": 20.832e6,
            "modulation_frequency": 0.0,
            "sound_speed": 1540.0,
            "PRF": 100.0,
        }.items():
            group[name] = np.array([value])
    return path


def test_raw_data_are_beamformed_on_the_pixel_that_was_given(
    raw_data: Path, tmp_path: Path
) -> None:
    usual, fine = tmp_path / "usual.npy", tmp_path / "fine.tif"

    assert main(["convert", str(raw_data), str(usual)]) == 0
    assert main(["convert", str(raw_data), str(fine), "--pixel-size-mm", ".1"]) == 0

    (image,) = io.read(fine)
    assert image.spacing_mm == pytest.approx((0.1, 0.1), rel=1e-4)
    # Axially 5 mm to the end of the record, (3 + 399 / 20.832) us x 0.77 mm/us =
    # 17.06 mm. Laterally the 21 thirds of a wavelength (1540 / 5.208e6 m) that fit
    # into an aperture of 7 x 0.3 mm: 2.07 mm.
    assert image.data.shape == (1, 121, 21)
    assert np.load(usual).shape != image.data.shape[1:]


def test_pixels_of_another_size_cover_what_the_scan_file_covers(
    raw_data: Path, tmp_path: Path
) -> None:
    scan = raw_data.with_name("dataset_scan.hdf5")
    with h5py.File(scan, "w") as file:
        group = file.create_group("US/US_DATASET0000")
        group["z_axis"] = np.linspace(8e-3, 12e-3, 21)
        group["x_axis"] = np.linspace(-1e-3, 1e-3, 11)
    output = tmp_path / "o.tif"

    assert main(["convert", str(raw_data), str(output), "--pixel-size-mm", ".1"]) == 0

    (image,) = io.read(output)
    assert image.data.shape == (1, 41, 21)


@pytest.mark.parametrize(("said", "bandwidth"), [("0", None), ("0.5", 0.5)])
def test_the_receive_filter_is_as_wide_as_was_said(
    said, bandwidth, raw_data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "o.npy"

    assert main(["convert", str(raw_data), str(output), "--bandwidth", said]) == 0

    (expected,) = io.read(raw_data, bandwidth=bandwidth)
    found = np.load(output).reshape(expected.data.shape)
    np.testing.assert_allclose(found, expected.data, atol=1e-3)


def test_what_is_measured_has_the_receive_filter_that_was_said(
    raw_data: Path, tmp_path: Path, capsys
) -> None:
    (expected,) = io.read(raw_data, bandwidth=0.5)
    middle = [float(np.mean(axis)) for axis in expected.grid.axes_mm()]
    corners = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]])
    regions = [Region("target", "polygon", middle + corners, "middle")]
    drawn = tmp_path / "drawn.geojson"
    write_regions(drawn, regions)
    argv = ["measure", str(raw_data), "--regions", str(drawn), "--format", "json"]

    assert main([*argv, "--bandwidth", "0.5"]) == 0

    (image,) = json.loads(capsys.readouterr().out)["images"]
    (found,) = image["measurements"]
    (row,) = measure(expected, regions)
    assert found["mean_db"] == pytest.approx(row.mean_db, abs=1e-3)


def test_a_receive_filter_wider_than_its_limit_is_refused(
    raw_data: Path, tmp_path: Path, capsys
) -> None:
    argv = ["convert", str(raw_data), str(tmp_path / "o.npy"), "--bandwidth", "3"]

    assert main(argv) != 0
    assert "--bandwidth must lie in 0..2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--weights", "nowhere"], "nowhere: no such network"),
        (["--weights", "nowhere", "--method", "flow"], "nowhere: no such prior"),
        (["--device", "cuda:77"], "device 'cuda:77' is not on this machine"),
        (["--device", "cuda:77", "--method", "nlm"], "device 'cuda:77' is not on"),
    ],
)
def test_wrong_prior_or_device_is_told_before_beamforming(
    options, said, raw_data, tmp_path, monkeypatch, capsys
) -> None:
    from napari_usflow.jobs import Progress

    progress: list[Any] = []
    show = reporting.Reporter.show
    monkeypatch.setattr(
        reporting.Reporter,
        "show",
        lambda self, event: (progress.append(event), show(self, event)),
    )

    assert main(["denoise", str(raw_data), str(tmp_path / "o.tif"), *options]) == 2

    assert said in one_line(capsys.readouterr().err)
    assert not any(isinstance(event, Progress) and event.done for event in progress)


def test_beamforming_shows_its_progress(raw_data, tmp_path, monkeypatch) -> None:
    events: list[Any] = []
    monkeypatch.setattr(
        reporting.Reporter, "show", lambda self, event: events.append(event)
    )

    assert main(["convert", str(raw_data), str(tmp_path / "o.npy")]) == 0

    assert events and events[-1].done == events[-1].total


def test_one_frame_keeps_its_number(tmp_path, monkeypatch, capsys) -> None:
    rng = np.random.default_rng(0)
    image = UltrasoundImage(
        (10 * np.log10(rng.exponential(size=(3, 40, 30))) - 30).astype(np.float32),
        "db",
        PixelGrid((40, 30), (0.4375, 0.4375), (0, 0)),
        frame_axis="plane_waves",
        metadata={"name": "scan", "plane_waves": [1, 11, 75]},
    )

    monkeypatch.setattr(reading, "open_file", lambda *_, **__: Opened([image]))
    output = tmp_path / "o.tif"
    chosen = ["x.hdf5", str(output), "--frame", "-2"]

    assert reading.read_image(Path("x"), frame=-2).metadata["plane_waves"] == [11]
    assert main(["denoise", *chosen, "--method", "nlm", "--json"]) == 0
    captured = capsys.readouterr()
    assert [f["frame"] for f in json.loads(captured.out)["frames"]] == [1]
    assert "frame 1 done" in captured.err

    assert main(["convert", *chosen]) == 0
    with tifffile.TiffFile(output) as tiff:
        provenance = json.loads(tiff.imagej_metadata["Info"])
    assert provenance == {"source": "x.hdf5", "first_frame": 1, "plane_waves": [11]}


def test_info_knows_a_numpy_array(tmp_path, capsys) -> None:
    path = tmp_path / "n.npy"
    np.save(path, np.linspace(0, 1, 20 * 30).reshape(20, 30))

    assert main(["info", str(path), "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["shape"]) == ("npy", [1, 20, 30])
    assert report["pixel_mm"] is None


def test_unexpected_failure_is_one_line_unless_asked_for(
    stack, monkeypatch, capsys
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(io, "describe", fail)

    assert main(["info", str(stack)]) == 2
    assert one_line(capsys.readouterr().err) == "usflow: out of memory"
    monkeypatch.setenv("USFLOW_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["info", str(stack)])


def test_gui_without_a_screen_says_so(monkeypatch, capsys) -> None:
    monkeypatch.setattr("napari_usflow.cli.gui.has_screen", lambda: False)

    assert main(["gui"]) == 2
    assert "there is no screen" in one_line(capsys.readouterr().err)


def test_train_passes_its_arguments_and_reports(tmp_path, monkeypatch, capsys) -> None:
    from napari_usflow.jobs import Note
    from napari_usflow.training import events
    from napari_usflow.training.flow import train as training

    seen: dict[str, Any] = {}

    def fake(data, **keywords):
        seen.update(keywords, data=data)
        yield Note("reading 1 files")
        yield events.Estimated(1_500_000, 7200.0, 50.0, 2**30)
        yield events.TrainStep(1, 2, 0.25, 0.5, 1e-3, 10.0, 60.0)
        yield events.Validated(2, 4.25, {0.1: 29.5})
        yield events.CheckpointWritten(2, tmp_path / "2.pt", tmp_path / "2.safetensors")
        return tmp_path / "prior.safetensors"

    monkeypatch.setattr(training, "train_prior_events", fake)
    argv = ["train", str(tmp_path), "--out", str(tmp_path / "run"), "--resume"]

    assert main([*argv, "--config", "best", "--minutes", "2"]) == 0

    assert seen["data"] == [tmp_path] and seen["out"] == tmp_path / "run"
    assert (seen["config"], seen["minutes"], seen["resume"]) == ("best", 2.0, True)
    said = capsys.readouterr().err
    assert "1.50 million weights; all steps take about 2 h 00 min at 50" in said
    assert "step 2: 4.250 bits/dim; posterior mean 29.50 dB at 0.1" in said


@pytest.mark.parametrize("named", [True, False])
def test_train_trains_a_network_when_that_is_asked_for_or_gone_on_with(
    named: bool, tmp_path, monkeypatch, capsys
) -> None:
    from napari_usflow.training import events
    from napari_usflow.training.network import train as training

    seen: dict[str, Any] = {}

    def fake(data, **keywords):
        seen.update(keywords)
        yield events.Validated(2, None, {0.1: 29.5, 0.2: 26.25}, 27.125)
        yield events.CheckpointWritten(2, tmp_path / "2.pt", tmp_path / "2.safetensors")

    monkeypatch.setattr(training, "train_network_events", fake)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text('{"kind": "network"}')
    how = ["--config", "best-network"] if named else ["--resume"]

    assert main(["train", str(tmp_path), "--out", str(run), *how]) == 0

    assert seen["config"] == ("best-network" if named else None)
    said = capsys.readouterr().err
    assert "step 2: 29.50 dB at 0.1, 26.25 dB at 0.2; on speckle 27.12 dB" in said
    assert f"{run / 'network.safetensors'} written" in said


def test_configurations_that_train_offers_are_those_there_are(capsys) -> None:
    from napari_usflow.training.flow.configs import CONFIGS
    from napari_usflow.training.network.configs import NETWORK_CONFIGS

    assert main(["train", "--help"]) == 0
    names = ",".join([*CONFIGS, *NETWORK_CONFIGS])
    assert f"--config {{{names}}}" in capsys.readouterr().out


def test_train_that_is_interrupted_saves_and_a_second_time_stops_at_once(
    tmp_path, monkeypatch, capsys
) -> None:
    from napari_usflow.training.flow import train as training

    def interrupted(data, *, token, **_):
        signal.raise_signal(signal.SIGINT)
        assert token.cancelled
        if twice:
            signal.raise_signal(signal.SIGINT)
        return tmp_path / "prior.safetensors"
        yield

    monkeypatch.setattr(training, "train_prior_events", interrupted)
    argv = ["train", str(tmp_path), "--out", str(tmp_path / "run")]

    twice = False
    assert main(argv) == 130
    assert "nothing new was written" in capsys.readouterr().err
    twice = True
    assert main(argv) == 130
    assert one_line(capsys.readouterr().err) == "usflow: interrupted"


def test_other_processes_of_a_training_say_nothing(
    tmp_path, monkeypatch, capsys
) -> None:
    from napari_usflow.jobs import Note
    from napari_usflow.training.flow import train as training

    def fake(data, **_):
        yield Note("reading 1 files")
        return tmp_path / "prior.safetensors"

    monkeypatch.setattr(training, "train_prior_events", fake)
    monkeypatch.setenv("LOCAL_RANK", "1")
    usual = signal.getsignal(signal.SIGINT)
    try:
        assert main(["train", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    finally:
        signal.signal(signal.SIGINT, usual)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_train_refuses_data_that_is_not_there(tmp_path, capsys) -> None:
    assert main(["train", "nowhere", "--out", str(tmp_path / "run")]) == 2
    assert "nowhere does not exist" in one_line(capsys.readouterr().err)


def test_demo_writes_its_files(tmp_path, monkeypatch, capsys) -> None:
    from napari_usflow.cli import demo as command
    from napari_usflow.evaluate.demo import Demo, Scores

    rng = np.random.default_rng(0)
    grid = PixelGrid((20, 30), (0.2, 0.2), (5.0, -3.0))
    image = UltrasoundImage(rng.normal(-30, 5, (1, 20, 30)), "db", grid)
    scores = [Scores("input", 8.0, 0.8, 1.9, 0.5, 1.0), Scores("nlm", 12, 1, 9, 0.6, 2)]

    def quick(**_: Any):
        yield from ()
        return Demo(image, {"nlm": image}, scores, {"nlm": {}})

    monkeypatch.setattr(command, "demo_events", quick)

    code = main(["demo", "--no-gui", "--output", str(tmp_path / "demo"), "--json"])

    assert code == 0
    assert json.loads(capsys.readouterr().out)[1]["contrast_db"] == 12
    names = sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert names == ["comparison.png", "metrics.csv"]


def test_closed_pipe_ends_quietly(stack: Path) -> None:
    code = (
        "import sys, os; from napari_usflow.cli import main; "
        f"sys.exit(main(['info', {str(stack)!r}, '--json']))"
    )
    read_end, write_end = os.pipe()
    os.close(read_end)

    done = subprocess.run(
        [sys.executable, "-u", "-c", code],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write_end)

    assert "Traceback" not in done.stderr and done.returncode == 1


@pytest.mark.real_data
def test_picmus_image_is_despeckled_and_keeps_its_level(
    real_data: Path, tmp_path: Path
) -> None:
    source = real_data / "ultrasound/picmus-das-images/4.hdf5"
    output = tmp_path / "out.tif"

    code = main(
        ["denoise", str(source), str(output), "--method", "nlm", "--frame", "-1"]
    )

    assert code == 0
    (before,), (after,) = io.read(source), io.read(output)
    assert after.spacing_mm == pytest.approx(before.spacing_mm, rel=1e-4)
    phantom = read_phantom(
        real_data / "ultrasound/picmus-phantoms-scan/contrast_speckle_expe_phantom.hdf5"
    )
    scores = [
        picmus_contrast(image.data[-1], before.grid, phantom, clip_db=60).mean()
        for image in (before, after)
    ]
    assert scores[1]["contrast_db"] > scores[0]["contrast_db"] + 3.5
    assert scores[1]["around_db"] == pytest.approx(scores[0]["around_db"], abs=0.5)
