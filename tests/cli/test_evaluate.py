"""``usflow evaluate``: what it writes, says, and answers to bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from lab.challenge_files import write_challenge
from napari_usflow.cli import main
from napari_usflow.cli.evaluate import TESTS
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.lab.contest import peers
from napari_usflow.lab.gaussian import run as gaussian_test
from napari_usflow.lab.speckle import run as speckle


@pytest.fixture
def mri(tmp_path: Path) -> Path:
    """A folder with one small knee."""
    folder = tmp_path / "mri"
    folder.mkdir()
    z, x = np.mgrid[:80, :80]
    disc = np.where(np.hypot(z - 45, x - 35) < 20, 0.8, 0.2).astype(np.float32)
    texture = 0.05 * np.random.default_rng(0).random((4, 80, 80), dtype=np.float32)
    with h5py.File(folder / "knee.h5", "w") as file:
        file["reconstruction_rss"] = disc + texture
        file.attrs["pixel_size_mm"] = (0.4375, 0.4375)
    return folder


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    """A prior with random weights."""
    import torch

    from napari_usflow.prior.glow import Glow, GlowConfig
    from napari_usflow.prior.store import save_prior

    torch.manual_seed(0)
    flow = Glow(GlowConfig(patch_size=16, steps=(1, 1), hidden=(8, 8)))
    with torch.no_grad():
        flow.log_prob(0.5 + 0.2 * torch.randn(16, 1, 16, 16), 0.1)
    save_prior(flow, tmp_path / "tiny.safetensors", {"pixel_mm": 0.4375})
    return tmp_path / "tiny.safetensors"


@pytest.fixture(autouse=True)
def short_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method_class("nlm"), "grid", {"h": (0.4, 0.8)})


def gaussian(mri: Path, out: Path, *more: str) -> list[str]:
    given = ["--data", str(mri), "--out", str(out), "--anatomies", "knee"]
    return ["evaluate", "gaussian", *given, "--count", "1", *more]


@pytest.mark.parametrize("test", TESTS)
def test_each_test_has_help_with_units(test: str, capsys) -> None:
    assert main(["evaluate", test, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: usflow evaluate {test}")
    assert "--out DIR" in text


def test_overview_names_every_test(capsys) -> None:
    assert main(["evaluate", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in TESTS)


def test_gaussian_writes_files_and_a_table(
    mri: Path, prior: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "new" / "out"
    argv = gaussian(mri, out, "--methods", "nlm", "flow", "--weights", str(prior))

    assert main([*argv, "--sigmas", "0.1", "0.2"]) == 0

    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split()[:5] == ["knee", "sigma", "0.1", "sigma", "0.2"]
    assert [line.split()[0] for line in lines[1:]] == ["nlm", "flow"]
    assert "(tiny)" in lines[2]
    assert f"{out / 'gaussian.csv'} written" in said.err
    names = ["examples_knee.png", "gaussian.csv", "gaussian.png"]
    assert sorted(p.name for p in out.iterdir()) == names


def test_gaussian_json_is_the_csv(
    mri: Path, prior: Path, tmp_path: Path, capsys
) -> None:
    argv = gaussian(mri, tmp_path / "out", "--methods", "nlm", "--sigmas", "0.2")

    assert main([*argv, "--json"]) == 0

    (row,) = json.loads(capsys.readouterr().out)
    with (tmp_path / "out" / "gaussian.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert list(row) == list(line)
    assert row["setting"] == line["setting"]
    assert row["psnr_db"] == pytest.approx(float(line["psnr_db"]), abs=1e-3)


def test_what_was_made_before_a_stop_is_kept(
    mri: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    """The first cell of two is made; Ctrl-C comes in the second."""
    asked = []
    score = gaussian_test.ssims

    def stop_at_the_second(*args):
        asked.append(args)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return score(*args)

    monkeypatch.setattr(gaussian_test, "ssims", stop_at_the_second)
    out = tmp_path / "out"
    argv = gaussian(mri, out, "--methods", "nlm", "--sigmas", "0.1", "0.2")

    assert main(argv) != 0

    kept = out / "gaussian-so-far.csv"
    with kept.open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["method"], float(line["sigma"])) == ("nlm", 0.1)
    assert f"{kept} keeps what was made (lines: 1)" in capsys.readouterr().err

    monkeypatch.setattr(gaussian_test, "ssims", score)
    assert main(argv) == 0
    assert not kept.exists() and (out / "gaussian.csv").exists()


def test_density_writes_files_and_a_table(
    mri: Path, prior: Path, tmp_path: Path, capsys
) -> None:
    argv = ["evaluate", "density", "--data", str(mri), "--train-data", str(mri)]
    argv += ["--out", str(tmp_path / "out"), "--weights", str(prior), "--device", "cpu"]
    argv += ["--components", "2", "--fit-count", "300", "--count", "40"]

    assert main(argv) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["flow", "gaussian", "mixture"]
    names = ["density.csv", "density.png"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names


def test_speckle_writes_files_and_a_table(
    mri: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(speckle, "CROP_SIZE", 64)
    out = tmp_path / "out"
    argv = ["evaluate", "speckle", "--data", str(mri), "--out", str(out)]
    argv += ["--methods", "nlm", "--anatomies", "knee", "--count", "1"]

    assert main([*argv, "--readings", "display", "--levels", "given"]) == 0

    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "knee, display"
    assert [line.split()[0] for line in lines[2:4]] == ["input", "nlm"]
    assert lines[4] == "uniform, display"
    assert f"{out / 'speckle.csv'} written" in said.err
    names = ["speckle.csv", "speckle.png", "speckle_knee_display.png"]
    assert sorted(p.name for p in out.iterdir()) == [
        *names,
        "speckle_uniform_display.png",
    ]


def test_picmus_writes_files_and_a_table(tmp_path: Path, capsys) -> None:
    (tmp_path / "data").mkdir()
    data, out = write_challenge(tmp_path / "data"), tmp_path / "out"
    (data / "carotid_cross.mat").unlink()
    (data / "3.hdf5").unlink()
    argv = ["evaluate", "picmus", "--data", str(data), "--out", str(out)]

    assert main([*argv, "--methods", "tv", "--plane-waves", "1", "75", "--json"]) == 0

    rows = json.loads(capsys.readouterr().out)
    assert [r["method"] for r in rows] == 2 * ["input", "tv", "tv"]
    assert [r["block"] for r in rows] == 2 * [None, None, 1]
    assert [r["plane_waves"] for r in rows[::3]] == [1, 75]
    # Without the image of points there is nothing to give their widths.
    assert {r["fwhm_axial_mm"] for r in rows} == {None}
    names = ["picmus.csv", "picmus_1.png", "picmus_75.png"]
    assert sorted(p.name for p in out.iterdir()) == names


def test_picmus_prints_the_worst_point_of_each_method(tmp_path: Path, capsys) -> None:
    (tmp_path / "data").mkdir()
    data, out = write_challenge(tmp_path / "data"), tmp_path / "out"
    (data / "carotid_cross.mat").unlink()
    argv = ["evaluate", "picmus", "--data", str(data), "--out", str(out)]

    assert main([*argv, "--methods", "tv", "--plane-waves", "1", "--blocks", "1"]) == 0

    *_, group, heads, line = capsys.readouterr().out.splitlines()
    assert group.startswith("experiment, 1 plane waves: points (lost: less than 6 dB")
    assert heads.split()[:3] == ["lost", "most", "dimmed"]
    assert line.startswith("tv, own pixel")
    with (out / "picmus_points.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert f"{float(row['peak_db']):+.1f} dB" in line
    assert f"{int(row['lost'] == 'True')}/1" in line


def test_picmus_scores_published_images_beside_ours(tmp_path: Path, capsys) -> None:
    (tmp_path / "data").mkdir()
    data, theirs = write_challenge(tmp_path / "data"), tmp_path / "theirs"
    (data / "carotid_cross.mat").unlink()
    theirs.mkdir()
    argv = ["evaluate", "picmus", "--data", str(data), "--out", str(tmp_path / "out")]
    argv += ["--methods", "tv", "--plane-waves", "1", "--blocks", "1", "--json"]

    assert main([*argv, "--peers", str(theirs)]) == 2
    error = capsys.readouterr().err
    assert "has no peers.toml" in error and len(error.splitlines()) == 1

    (theirs / "4.hdf5").write_bytes((data / "4.hdf5").read_bytes())
    (theirs / "peers.toml").write_text(
        '[[image]]\nfile = "4.hdf5"\nmethod = "copy"\n'
        'shows = "contrast_speckle_expe"\nplane_waves = 1\n'
    )
    assert main([*argv, "--peers", str(theirs)]) == 0
    first, _, last = json.loads(capsys.readouterr().out)
    assert (last["method"], last["prior"]) == ("copy", "published")
    assert last["contrast_db"] == pytest.approx(first["contrast_db"], rel=1e-3)
    assert last["peak_db"] is last["level_db"] is None


@pytest.mark.parametrize(
    ("block", "said"),
    [("wide", "'wide' is neither auto nor a number"), ("0", "block is 0")],
)
def test_picmus_says_what_a_block_may_be(
    block: str, said: str, tmp_path: Path, capsys
) -> None:
    argv = ["evaluate", "picmus", "--data", str(tmp_path), "--out", str(tmp_path)]

    assert main([*argv, "--methods", "tv", "--blocks", "auto", block]) == 2

    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_picmus_without_phantoms_says_where_they_are_sought(
    tmp_path: Path, capsys
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_challenge(data)
    for phantom in data.glob("*_phantom.hdf5"):
        phantom.unlink()
    argv = ["evaluate", "picmus", "--data", str(data), "--out", str(tmp_path / "out")]

    assert main([*argv, "--methods", "tv"]) == 2

    error = capsys.readouterr().err
    assert (
        "contrast_speckle_expe_phantom.hdf5; name the folder with --phantoms" in error
    )
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--methods", "magic"], "invalid choice: 'magic'"),
        (["--methods", "nlm", "--sigmas", "2"], "sigma is 2"),
        (["--methods", "nlm", "--anatomies", "heart"], "no file shows 'heart'"),
        (["--methods", "nlm", "--train-data", "nowhere"], "nowhere: no such folder"),
        (["--methods", "flow", "--weights", "none.safetensors"], "no such prior"),
        (["--methods", "bm3d"], "bm3d, which is not installed"),
        (["--meth", "nlm"], "unrecognized arguments: --meth"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    more: list[str], said: str, mri: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)

    assert main(gaussian(mri, tmp_path / "out", *more)) == 2

    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not list((tmp_path / "out").glob("*.*"))


def test_a_file_in_place_of_the_folder_is_refused(
    mri: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "out").write_text("mine")

    assert main(gaussian(mri, tmp_path / "out", "--methods", "nlm")) == 2

    assert "out is a file; choose a folder" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"
