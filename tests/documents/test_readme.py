"""What the README and the guide show is run as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_usflow as usf
from napari_usflow.jobs import result_of
from napari_usflow.ultrasound.simulate.phantom import sample_files

ROOT = Path(__file__).resolve().parents[2]
FRAMES = (2, 48, 40)
README = (ROOT / "README.md").read_text(encoding="utf-8")


GUIDE = (ROOT / "docs" / "user-guide.md").read_text(encoding="utf-8")


def code_blocks(language: str, text: str = README) -> list[str]:
    """Give the fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


@pytest.fixture(scope="module")
def acquisition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The channel data that the demo makes, as a PICMUS file."""
    folder = tmp_path_factory.mktemp("sample")
    dataset, _ = result_of(sample_files(folder=folder))
    return dataset


@pytest.fixture
def workplace(
    acquisition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A current folder with the two files that the README speaks of."""
    shutil.copy(acquisition, tmp_path / "acquisition.hdf5")
    grey = np.random.default_rng(0).normal(120, 20, size=FRAMES).clip(0, 255)
    tifffile.imwrite(tmp_path / "bmode.tif", grey.astype(np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_example_of_the_guide_measures_and_writes(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = GUIDE.split("\n## In Python\n")[1].split("\n## ")[0]
    (block,) = code_blocks("python", section)
    names: dict[str, object] = {}

    exec(compile(block, "user-guide.md", "exec"), names)

    contrast, gcnr = map(float, capsys.readouterr().out.splitlines()[-1].split())
    assert np.isfinite(contrast) and 0 <= gcnr <= 1
    (written,) = usf.read("clean.ome.tif")
    assert written.spacing_mm == pytest.approx(names["image"].spacing_mm)


def test_python_examples_run_and_give_what_they_say(workplace: Path) -> None:
    names: dict[str, object] = {}
    blocks = code_blocks("python")
    assert blocks

    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)

    image, clean = names["image"], names["clean"]
    assert clean.grid == image.grid
    assert clean.values == image.values == "db"
    assert clean.data.shape == image.data.shape
    assert local_spread(clean.data[0]) < 0.7 * local_spread(image.data[0])
    frames, smooth = names["frames"], names["smooth"]
    assert (smooth.shape, smooth.dtype) == (frames.shape, frames.dtype)
    assert local_spread(smooth[0]) < 0.7 * local_spread(frames[0])


def test_commands_succeed_and_write_their_output(
    acquisition: Path, workplace: Path
) -> None:
    commands = [
        shlex.split(line, comments=True)
        for block in code_blocks("sh")
        for line in block.splitlines()
        if line.startswith("usflow ")
    ]
    assert commands

    for _, *arguments in commands:
        done = subprocess.run(
            [sys.executable, "-m", "napari_usflow.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    acquired, shown = usf.read("clean.tif")[0], usf.read("clean.png")[0]
    assert acquired.values == "db"
    assert acquired.spacing_mm == pytest.approx(usf.read(acquisition)[0].spacing_mm)
    assert shown.data.shape == (1, *FRAMES[1:])


def test_make_targets_and_linked_files_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(code_blocks("sh")), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target

    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def local_spread(frame: np.ndarray) -> float:
    """Median difference between vertical neighbours four pixels apart."""
    frame = np.asarray(frame, dtype=float)
    return float(np.median(np.abs(frame[4:] - frame[:-4])))
