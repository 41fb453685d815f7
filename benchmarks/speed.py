"""How long every method takes, against scikit-image's fast NLM in the same run.

    python benchmarks/speed.py [--methods flow nlm ...] [--csv FILE] [--clock wall]

Speckle over a few discs at the prior's pixel: one frame of 96 x 96, one of 384 x 384,
and a stack of 32 frames of 96 x 96, through ``denoise_events`` as the window and the
command line run them, with default parameters and the noise level given. Scikit-image
is called by itself (patch 5, distance 6), and so is BM3D where it is installed. All
take turns, and the smallest time of each counts: it is the one that other work on the
machine disturbed least. On a machine that others use as well, ``--clock processor``
counts the processor's time in place of the wall clock's. What takes long is repeated
less often, so that the whole takes under ten minutes on one core; ``flow-map`` is timed
at 96 x 96 only, where it takes as long as others at 384 x 384. Prints a table in
Markdown, seconds and how many times the time of NLM, and writes it as CSV.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from skimage.restoration import denoise_nl_means

import napari_usflow as usf
from napari_usflow.denoise import Settings, create, denoise_events
from napari_usflow.evaluate.peers import Bm3d, available_peers
from napari_usflow.io.writing import write_beside
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

SIZES = {
    "96 x 96": (1, 96, 96),
    "384 x 384": (1, 384, 384),
    "32 frames of 96 x 96": (32, 96, 96),
}
SMALLEST = "96 x 96"
PEER = "scikit-image NLM"
ONLY_SMALLEST = ("flow-map",)
RANGE_DB = 60.0
PIXEL_MM = 0.4375
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
TURN_S = 0.5
"""What is quick is repeated for this long in its turn."""

LONG_S = 8.0
"""What takes longer than this is run once."""


def stack(shape: tuple[int, int, int]) -> UltrasoundImage:
    """Fully developed speckle over discs, in decibels."""
    rng = np.random.default_rng(0)
    _, rows, columns = shape
    z, x = np.mgrid[:rows, :columns]
    discs = np.full((rows, columns), -30.0)
    for _ in range(6):
        r, c, radius = rng.uniform(0.1, 0.9, 3) * (rows, columns, rows / 6)
        discs[np.hypot(z - r, x - c) < radius] = rng.uniform(-50, -10)
    speckle = 10 * np.log10(rng.exponential(size=shape))
    grid = PixelGrid((rows, columns), (PIXEL_MM, PIXEL_MM), (0.0, 0.0))
    return UltrasoundImage((discs + speckle).astype(np.float32), "db", grid)


def peer(image: UltrasoundImage) -> Callable[[], None]:
    """Scikit-image's NLM, frame by frame."""
    unit, sigma = 1 + image.data / RANGE_DB, SPECKLE_DB / RANGE_DB

    def run() -> None:
        for frame in unit:
            denoise_nl_means(
                frame,
                patch_size=5,
                patch_distance=6,
                h=0.8 * sigma,
                sigma=sigma,
                fast_mode=True,
            )

    return run


def bm3d(image: UltrasoundImage) -> Callable[[], None]:
    """BM3D by its authors' package, frame by frame."""
    from bm3d import bm3d as denoise

    def run() -> None:
        for frame in 1 + image.data / RANGE_DB:
            denoise(frame, SPECKLE_DB / RANGE_DB)

    return run


def ours(method: str, image: UltrasoundImage, device: str) -> Callable[[], None]:
    """A registered method, its prior and whatever else is loaded once loaded before."""
    denoiser = create(method, device=device)
    settings = Settings(sigma_db=SPECKLE_DB)
    for _ in denoise_events(stack((1, 32, 32)), denoiser, settings):
        pass

    def run() -> None:
        for _ in denoise_events(image, denoiser, settings):
            pass

    return run


def best(
    runs: dict[str, Callable[[], None]], repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Smallest time of each, in seconds."""
    seconds: dict[str, float] = {}
    for _ in range(repeats):
        for name, run in runs.items():
            if seconds.get(name, 0.0) > LONG_S:
                continue
            turn = clock()
            while True:
                start = clock()
                run()
                end = clock()
                seconds[name] = min(seconds.get(name, end - start), end - start)
                if end - turn > TURN_S:
                    break
    return seconds


def write(path: Path, columns: dict[str, dict[str, float]]) -> None:
    """Write one line a method and size."""
    with write_beside(path) as beside, beside.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "size", "seconds", "times_nlm"])
        for size, seconds in columns.items():
            for name, took in seconds.items():
                ratio = took / seconds[PEER]
                writer.writerow([name, size, f"{took:.4g}", f"{ratio:.4g}"])


def main() -> None:
    extra = [name for name in available_peers() if name == Bm3d.method]
    known = (*usf.methods(), *extra)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=known, default=known)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, at most")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--csv", type=Path, help="file for the table")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    columns: dict[str, dict[str, float]] = {}
    for size in args.sizes:
        image = stack(SIZES[size])
        runs: dict[str, Callable[[], None]] = {PEER: peer(image)}
        for name in args.methods:
            if name in extra:
                runs[name] = bm3d(image)
            elif size == SMALLEST or name not in ONLY_SMALLEST:
                runs[name] = ours(name, image, args.device)
        columns[size] = best(runs, args.repeats, CLOCKS[args.clock])
        if args.csv is not None:
            write(args.csv, columns)
    print(
        f"{args.device}, {args.threads} thread(s) of torch, {args.clock} clock, "
        f"best of {args.repeats} or, above {LONG_S:g} s, of one\n"
    )
    print(f"| method | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name in (PEER, *args.methods):
        cells = map(partial(cell, name), columns.values())
        print(f"| {name} | {' | '.join(cells)} |")


def cell(name: str, seconds: dict[str, float]) -> str:
    if name not in seconds:
        return ""
    return f"{seconds[name]:.3g} s ({seconds[name] / seconds[PEER]:.3g})"


if __name__ == "__main__":
    main()
