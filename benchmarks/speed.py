"""How long every method takes, against scikit-image's fast NLM in the same run.

    python benchmarks/speed.py [--methods flow nlm ...] [--threads 1] [--repeats 3]

Speckle over a few discs at the prior's pixel: one frame of 96 x 96, one of 384 x 384,
and a stack of 32 frames of 96 x 96, through ``denoise_events`` as the window and the
command line run them, with default parameters and the noise level given. Scikit-image
is called by itself (patch 5, distance 6). All take turns, and the smallest time of each
counts: it is the one that other work on the machine disturbed least. Prints a table in
Markdown: seconds, and how many times the time of NLM.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from skimage.restoration import denoise_nl_means

import napari_usflow as usf
from napari_usflow.denoise import Settings, create, denoise_events
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

SIZES = {
    "96 x 96": (1, 96, 96),
    "384 x 384": (1, 384, 384),
    "32 frames of 96 x 96": (32, 96, 96),
}
PEER = "scikit-image NLM"
RANGE_DB = 60.0
PIXEL_MM = 0.4375


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


def ours(method: str, image: UltrasoundImage, device: str) -> Callable[[], None]:
    denoiser = create(method, device=device)
    settings = Settings(sigma_db=SPECKLE_DB)
    # Loads the prior and whatever else is loaded once.
    first = image.with_data(image.data[:1])
    for _ in denoise_events(first, denoiser, settings):
        pass

    def run() -> None:
        for _ in denoise_events(image, denoiser, settings):
            pass

    return run


def best(runs: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Smallest time of each, in seconds."""
    seconds = dict.fromkeys(runs, float("inf"))
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=usf.methods())
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    methods = args.methods or [m for m in usf.methods() if m != "flow-map"]
    columns = {}
    for size in args.sizes:
        image = stack(SIZES[size])
        runs = {PEER: peer(image)}
        runs |= {name: ours(name, image, args.device) for name in methods}
        columns[size] = best(runs, args.repeats)
    print(f"{args.device}, {args.threads} thread(s) of torch, best of {args.repeats}\n")
    print(f"| method | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name in (PEER, *methods):
        cells = [f"{t[name]:.3g} s ({t[name] / t[PEER]:.3g})" for t in columns.values()]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
