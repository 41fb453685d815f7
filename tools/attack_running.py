"""Attacks on what runs and writes: signals, kills and disks."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from attack_common import Outcome, Rng, Run, hidden_files, usflow, wait_for
from attack_training import killed_trainings, terminated_trainings

ENDINGS = (".ome.tif", ".tif", ".zea.hdf5", ".npy", ".mp4")


def _clip(folder: Path) -> Path:
    """A clip that takes a while to write."""
    frames = np.random.default_rng(0).integers(0, 255, (8, 640, 640)).astype(np.uint8)
    np.save(folder / "clip.npy", np.tile(frames, (25, 1, 1)))
    return folder / "clip.npy"


def _while_writing(clip: Path, output: Path, rng: Rng) -> Run:
    """Start to convert a clip, and come back at a random moment of it."""
    process = usflow(clip.parent, "convert", clip, output, "--pixel-size-mm", "0.2")
    wait_for(lambda: list(output.parent.glob(".*-part-*")), process)
    time.sleep(float(rng.uniform(0, 0.2)))
    return process


def signals(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """End by SIGTERM: nothing is left behind, and a run is saved."""
    clip = _clip(folder)
    for ending in ENDINGS:
        place = Path(tempfile.mkdtemp(dir=folder))
        process = _while_writing(clip, place / f"o{ending}", rng)
        said = process.send(signal.SIGTERM).strip()
        left = sorted(p.name for p in place.iterdir())
        # It may have been through in time.
        whole = process.exit_code == 0 and left == [f"o{ending}"]
        yield Outcome(
            f"SIGTERM while writing {ending}",
            whole or (process.exit_code == 143 and not left),
            f"exit code {process.exit_code}, {left or 'nothing'} left, {said[-90:]!r}",
        )
    yield from terminated_trainings(folder, times, rng)


def kills(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """Kill at random moments: no half file, and a run goes on to the same bits."""
    from napari_usflow import io

    clip = _clip(folder)
    for ending in ENDINGS[:4]:
        place = Path(tempfile.mkdtemp(dir=folder))
        output = place / f"o{ending}"
        process = _while_writing(clip, output, rng)
        process.send(signal.SIGKILL)
        whole = not output.exists() or io.read(output)[0].data.shape[0] == 200
        for part in place.glob(".*"):
            os.utime(part, (0, 0))
        again = usflow(folder, "convert", clip, output, "--frame", "0",
                       "--pixel-size-mm", "0.2")  # fmt: skip
        again.wait()
        yield Outcome(
            f"SIGKILL while writing {ending}",
            whole and again.exit_code == 0 and not hidden_files(place),
            "no half file; its part was swept by the next run",
        )
    yield from killed_trainings(folder, times, rng)


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Path | None]:
    """Mount a small tmpfs; None where that is not allowed."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}M", "tmpfs", str(place)]
    done = subprocess.run(["mount", *options], capture_output=True, check=False)
    if done.returncode != 0:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def disk(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """Write to a full disk and to one that is read-only: one line, nothing left."""
    clip = _clip(folder)
    with _small_disk(folder, 2) as place:
        if place is None:
            yield Outcome("full disk", True, "skipped: mounting is not allowed here")
            return
        for ending in (*ENDINGS, ".zarr"):
            output = place / f"o{ending}"
            command = ["denoise", clip, output, "--method", "tv"]
            if ending != ".zarr":
                command = ["convert", clip, output]
            process = usflow(folder, *command, "--pixel-size-mm", "0.2")
            said = process.wait()
            line = said.strip().splitlines()[-1]
            left = [] if ending == ".zarr" else sorted(place.iterdir())
            yield Outcome(
                f"full disk, {ending}",
                process.exit_code == 2
                and str(output) in line
                and ("space" in line or "ffmpeg" in line)
                and not left,
                line[:100],
            )
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        process = usflow(folder, "denoise", clip, place / "p.tif", "--method", "tv")
        said = process.wait()
        yield Outcome(
            "read-only disk",
            process.exit_code == 2 and "Read-only" in said and "done" not in said,
            said.strip()[:100],
        )
