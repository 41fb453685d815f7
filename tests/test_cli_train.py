"""``usflow train`` on files as NYU gives them out: names, layout, no preparation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.cli import main
from napari_usflow.prior.store import read_card

HEADER = """<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<measurementInformation><protocolName>{}</protocolName></measurementInformation>
<encoding>
<encodedSpace><matrixSize><x>128</x><y>64</y><z>1</z></matrixSize>
<fieldOfView_mm><x>56</x><y>28</y><z>4.5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>64</x><y>64</y><z>1</z></matrixSize>
<fieldOfView_mm><x>28</x><y>28</y><z>3</z></fieldOfView_mm></reconSpace>
</encoding></ismrmrdHeader>"""

TINY = (
    "flow.steps=1,1,1", "flow.hidden=8,8,8", "batch_size=8", "likelihood_steps=2000",
    "validate_every=100", "validation_patches=8", "checkpoint_minutes=0.005",
)  # fmt: skip


@pytest.fixture
def nyu_folder(tmp_path: Path) -> Path:
    """Three knees and two brains, as single-coil files of fastMRI."""
    folder = tmp_path / "singlecoil_train"
    folder.mkdir()
    rng = np.random.default_rng(0)
    z, x = np.mgrid[:64, :64]
    for number, protocol in enumerate(
        ("AXT2", "CORPD_FBK", "CORPDFS_FBK", "CORPD_FBK", "AXFLAIR")
    ):
        slices = np.zeros((2, 64, 64), np.float32)
        for image in slices:
            for _ in range(5):
                r, c, radius = rng.uniform((10, 10, 5), (50, 50, 15))
                image[(z - r) ** 2 + (x - c) ** 2 < radius**2] += 1e-4 * rng.random()
        with h5py.File(folder / f"file{1000001 + number}.h5", "w") as file:
            file["reconstruction_esc"] = slices
            file["kspace"] = np.ones((2, 128, 64), np.complex64)
            file["ismrmrd_header"] = HEADER.format(protocol)
            file.attrs["acquisition"] = protocol
            file.attrs["max"] = slices.max()
            file.attrs["norm"] = np.linalg.norm(slices)
            file.attrs["patient_id"] = f"{number:064x}"
    return folder


def options(*fields: str) -> list[str]:
    return [word for field in fields for word in ("--set", field)]


def test_paper_configuration_trains_on_fastmri_and_survives_a_kill(
    nyu_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    argv = ["train", str(nyu_folder), "--out", str(run), "--device", "cpu"]
    tiny = options(*TINY)
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "napari_usflow.cli",
                *argv,
                "--config",
                "paper",
                *tiny,
            ],
            stderr=said,
            stdout=said,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        deadline = time.monotonic() + 120
        while (
            not list(run.glob("checkpoints/step-*.pt")) and time.monotonic() < deadline
        ):
            assert process.poll() is None, (tmp_path / "said.txt").read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        process.wait()
    text = (tmp_path / "said.txt").read_text()
    # One of the three knees is held out.
    assert "every tenth subject is held out: 1 of 3 volumes" in text
    assert "million weights; all steps take about" in text and "B a process" in text
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").open()]
    assert 0 < steps[-1] < 2000

    end = f"likelihood_steps={steps[-1] + 20}"
    # It goes on with the configuration it was begun with.
    assert main([*argv, "--resume", *options(end)]) == 0

    assert "going on from step" in capsys.readouterr().err
    card = read_card(run / "prior.safetensors")
    assert card["training"]["steps_done"] == steps[-1] + 20
    assert card["data"] == ["file1000003", "file1000004"]
    assert card["architecture"] | {"steps": None, "hidden": None, "depth": None} == {
        "patch_size": 32,
        "steps": None,
        "hidden": None,
        "depth": None,
        "activation": "relu",
        "smallest_scale": 0.0,
        "embedding": 32,
        "conditional": False,
        "sigma_min": 0.01,
        "sigma_max": 0.5,
    }


def test_body_part_can_be_chosen_from_the_command_line(
    nyu_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", str(nyu_folder), "--config", "paper", "--device", "cpu"]
    argv += options(*TINY, "likelihood_steps=1", "patches.only=brain")

    assert main([*argv, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()

    card = read_card(tmp_path / "run" / "prior.safetensors")
    assert card["data"] == ["file1000005"]
    assert main([*argv, *options("patches.only=heart"), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "none of the 5 volumes shows 'heart'" in said
    assert "file1000001 (brain), file1000002 (knee)" in said


def test_field_that_there_is_not_is_refused_before_any_work(
    nyu_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", str(nyu_folder), "--out", str(tmp_path / "run")]
    assert main([*argv, *options("batchsize=4")]) == 2
    said = capsys.readouterr().err.strip()
    assert "there is no field 'batchsize' to set; perhaps batch_size" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_architecture_is_not_set_beside_weights_to_begin_with(
    nyu_folder: Path, tiny_prior: Path, tmp_path: Path, capsys
) -> None:
    argv = ["train", str(nyu_folder), "--out", str(tmp_path / "run")]
    argv += ["--start", str(tiny_prior), *options("flow.sigma_min=0.02")]
    assert main(argv) == 2
    assert "has its architecture" in capsys.readouterr().err


_ESTIMATED = """
import json, sys, time
# The processor's time: other programs may run beside the test.
time.perf_counter = time.process_time
from napari_usflow.training.events import Estimated, TrainStep
from napari_usflow.training.flow.train import train_prior_events
from peak_memory import peak_bytes, reset_peak

def run(name, *fields):
    changes = ["validation_patches=2", *fields]
    out = f"{sys.argv[2]}/{name}"
    return train_prior_events(
        sys.argv[1], out=out, config="paper", changes=changes, device="cpu"
    )

# What is imported on the way does not count.
list(run("warm", "flow.steps=1", "flow.hidden=4", "likelihood_steps=1"))
before = reset_peak()
fields = "flow.steps=1,1,1", "flow.hidden=256,256,256", "batch_size=100"
for event in run("run", *fields, "likelihood_steps=10"):
    if isinstance(event, Estimated):
        estimated, start = event, time.process_time()
    elif isinstance(event, TrainStep) and event.step == 1:
        # The actnorms were initialised before, once.
        reset_peak()
    elif isinstance(event, TrainStep) and event.step == 10:
        seconds = (time.process_time() - start) / estimated.seconds
        memory = (peak_bytes() - before) / estimated.memory_bytes
print(json.dumps([seconds, memory]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_paper_configuration_takes_what_was_estimated(
    nyu_folder: Path, tmp_path: Path
) -> None:
    """In a child: memory that other tests have used would be used again."""
    child = [sys.executable, "-c", _ESTIMATED, str(nyu_folder), str(tmp_path)]
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    done = subprocess.run(
        child, capture_output=True, text=True, check=False, env=environment
    )

    assert done.returncode == 0, done.stderr
    for ratio in json.loads(done.stdout.splitlines()[-1]):
        assert 1 / 1.5 < ratio < 1.5
