"""What happens when a command is ended from outside, or cannot write its result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.cli import main
from napari_usflow.training.run_folder import RunFolder

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no signals to end a process by"
)


def _usflow(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "napari_usflow.cli", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has interrupts ignored.
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes a while to write."""
    path = tmp_path_factory.mktemp("clip") / "clip.npy"
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (8, 800, 800)).astype(np.uint8)
    np.save(path, np.tile(frames, (50, 1, 1)))
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("ending", [".ome.tif", ".tif", ".zea.hdf5", ".npy", ".mp4"])
def test_a_signal_while_writing_leaves_nothing_behind(
    clip: Path, tmp_path: Path, ending: str, number: signal.Signals
) -> None:
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    if number != signal.SIGTERM and ending != ".npy":
        pytest.skip("one ending shows that the signal is handled")
    size = ["--pixel-size-mm", "0.2"]
    process = _usflow("convert", clip, tmp_path / f"o{ending}", *size)
    while not list(tmp_path.glob(".o*-part-*")) and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, process.stderr.read()

    process.send_signal(number)
    _, said = process.communicate(timeout=30)

    ended = "interrupted" if number == signal.SIGINT else "terminated"
    assert (process.returncode, said.strip()) == (128 + number, f"usflow: {ended}")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_the_caller_ignores_stays_ignored(clip: Path, tmp_path) -> None:
    command = [sys.executable, "-m", "napari_usflow.cli", "convert"]
    process = subprocess.Popen(
        ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *command, clip, "o.npy"],
        cwd=tmp_path,
    )
    while not list(tmp_path.glob(".o*-part-*")) and process.poll() is None:
        time.sleep(0.01)

    process.send_signal(signal.SIGHUP)

    assert process.wait(timeout=60) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["o.npy"]


TRAIN = """
import sys
from napari_usflow.cli import main
from napari_usflow.prior.glow import GlowConfig
from napari_usflow.training.flow.configs import CONFIGS, TrainConfig

CONFIGS["cpu"] = TrainConfig(
    flow=GlowConfig(patch_size=16, steps=(1, 1), hidden=(8, 8)),
    likelihood_steps=10**6,
    denoising_steps=0,
    batch_size=8,
    noise_groups=1,
    validation_patches=8,
)
sys.exit(main(["train", sys.argv[1], "--out", sys.argv[2], "--config", "cpu"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_training_saves_the_run(
    mri_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = RunFolder(tmp_path / "run")
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, mri_folder, run.path],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not run.records() and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, process.stderr.read()

    process.send_signal(number)
    _, said = process.communicate(timeout=120)

    assert process.returncode == 0, said
    (checkpoint, *_) = run.checkpoints()
    steps = [record["step"] for record in run.records() if "loss" in record]
    assert checkpoint.step == steps[-1] and f"step {checkpoint.step}:" in said
    assert not [path for path in run.path.rglob(".*") if path.is_file()]


FRAMES = np.random.default_rng(0).integers(40, 200, (3, 64, 64)).astype(np.uint8)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("o.hdf5", "a PICMUS image holds an envelope"),
        ("o.zea.hdf5", "zea keeps display grey in whole numbers"),
        ("o" * 252 + ".tif", "File name too long"),
        pytest.param(
            "/proc/o.tif",
            "cannot be written",
            marks=pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc"),
        ),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_first_frame(
    tmp_path: Path, capsys, output: str, said: str
) -> None:
    np.save(tmp_path / "in.npy", FRAMES)
    argv = ["denoise", str(tmp_path / "in.npy"), os.path.join(tmp_path, output)]

    assert main([*argv, "--method", "tv", "--pixel-size-mm", "0.2"]) == 2

    error = capsys.readouterr().err
    assert said in error and "frame 0 done" not in error and error.count("\n") == 1


def test_an_uncertainty_that_cannot_be_is_refused_before_the_first_frame(
    tmp_path: Path, capsys
) -> None:
    np.save(tmp_path / "in.npy", FRAMES)
    argv = ["denoise", str(tmp_path / "in.npy"), str(tmp_path / "o.tif")]
    argv += ["--method", "realtime", "--uncertainty", str(tmp_path / "u.hdf5")]

    assert main([*argv, "--pixel-size-mm", "0.2"]) == 2

    error = capsys.readouterr().err
    assert "u.hdf5: a PICMUS image holds an envelope" in error
    assert "frame 0 done" not in error


def test_a_place_for_a_long_stack_is_tried_before_the_first_frame(
    tmp_path: Path, capsys
) -> None:
    np.save(tmp_path / "in.npy", FRAMES)
    output = tmp_path / ("o" * 252 + ".zarr")

    assert main(["denoise", str(tmp_path / "in.npy"), str(output)]) == 2

    assert "File name too long" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc")
@pytest.mark.parametrize(
    "command", ["demo", "gaussian", "detail", "reproduce", "bench"]
)
def test_a_folder_that_cannot_be_is_refused_before_any_work(
    tmp_path: Path, capsys, command: str
) -> None:
    out = "/proc/results"
    argv = {
        "demo": ["demo", "--no-gui", "--output", out],
        "gaussian": ["evaluate", "gaussian", "--data", str(tmp_path), "--out", out],
        "detail": ["evaluate", "detail", "--out", out],
        "reproduce": ["reproduce", "paper", "--data", str(tmp_path), "--out", out],
        "bench": ["bench", "--quick", "--out", out],
    }[command]

    assert main(argv) == 2

    error = capsys.readouterr().err
    assert "/proc/results cannot be made" in error and error.count("\n") == 1
