"""Of formats that need no bomb: the largest file, or weights, that is let through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from example_files import clarius
from example_mri import checkpoint, prior

Maker = Callable[[Path], Path]

FRAMES, SIDE = 64, 2048
DECLARED_BYTES = 4 * FRAMES * SIDE**2


def npy(folder: Path) -> Path:
    stack = np.lib.format.open_memmap(
        folder / "a.npy", "w+", np.float64, (FRAMES, SIDE, SIDE)
    )
    stack.flush()
    return folder / "a.npy"


def tiff(folder: Path) -> Path:
    import tifffile

    with tifffile.TiffWriter(folder / "a.tif") as file:
        for _ in range(FRAMES):
            frame = np.zeros((SIDE, SIDE), np.uint16)
            file.write(frame, compression="deflate", contiguous=False)
    return folder / "a.tif"


def png(folder: Path) -> Path:
    """In colours, of as many pixels as are read."""
    from PIL import Image

    picture = np.zeros((2**12, 2**13, 3), np.uint8)
    picture[0, 0] = 255, 0, 0
    Image.fromarray(picture).save(folder / "a.png")
    return folder / "a.png"


def mp4(folder: Path) -> Path:
    """Black pictures of 4096 x 2176, in H.264 that refers to 16 others."""
    import subprocess

    from imageio_ffmpeg import get_ffmpeg_exe

    source = ["-f", "lavfi", "-i", "color=black:s=4096x2176:r=10:d=4"]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "ref=16"]
    path = folder / "a.mp4"
    subprocess.run(
        [get_ffmpeg_exe(), "-v", "error", *source, *codec, str(path)], check=True
    )
    return path


def clarius_parameters(folder: Path) -> Path:
    """A hundred thousand lines that are listed and not there."""
    path = clarius(folder)
    with path.with_suffix(".yml").open("a") as file:
        file.write("rx element: 1, angle: 0\n" * 100_000)
    return path


def absurd_prior(folder: Path) -> Path:
    """A header that declares 10 GB of weights."""
    import json

    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from napari_usflow.prior.store import FORMAT

    path = prior(folder)
    with safe_open(path, framework="numpy") as file:
        note = json.loads(file.metadata()["usflow"])
    note["architecture"] |= {"steps": [4096] * 3, "hidden": [4096] * 3}
    metadata = {"format": FORMAT, "usflow": json.dumps(note)}
    save_file(load_file(path), path, metadata)
    return path


def repeated_checkpoint(folder: Path) -> Path:
    """Weights of four bytes, which are repeated to 4 TB."""
    import torch

    path = checkpoint(folder)
    state = torch.load(path, weights_only=True)
    state["average"] = {"a": torch.zeros(1).expand(10**6, 10**6)}
    torch.save(state, path)
    return path


LARGEST: dict[str, tuple[Maker, int]] = {
    "npy float64": (npy, DECLARED_BYTES),
    "tiff stack": (tiff, DECLARED_BYTES),
    "png colours": (png, 4 * 2**25),
    "mp4 h264": (mp4, 40 * 4096 * 2176),
    "clarius lines": (clarius_parameters, 0),
    "prior architecture": (absurd_prior, 0),
    "checkpoint repeated": (repeated_checkpoint, 0),
}
"""Makers, and the bytes of what they declare: pixels as float32."""
