"""Peak memory against the number of frames of a clip.

    python benchmarks/memory.py [--frames 100 1000] [--size 96] [--method realtime]

Fully developed speckle is written frame by frame into an OME-Zarr stack, and denoised
from there in processes of their own: by ``usflow denoise`` in one process and on two
workers, and by a napari layer that is denoised lazily (dask), looked at frame by frame
with the slider of a viewer without a window. napari keeps what dask computed, up to a
tenth of the memory of the machine, unless its cache is off. The peak is that of the
resident memory of a process and all its children together, looked at twenty times a
second; what processes share is counted for each. Prints a table in Markdown, MB and
seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from napari_usflow.io.zarr_stack import ZarrStack
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

PIXEL_MM = 0.4375
LOOK_EVERY_S = 0.05
MB = 1e6
WAYS = {
    "usflow denoise": (),
    "usflow denoise --workers 2": ("--workers", "2"),
    "lazy layer in napari": None,
    "lazy layer, napari's dask cache off": None,
}


def write_clip(path: Path, frames: int, size: int) -> None:
    """Write speckle of -30 dB, one frame in memory at a time."""
    shape = (frames, size, size)
    like = UltrasoundImage(
        np.broadcast_to(np.float32(0), shape),
        "db",
        PixelGrid((size, size), (PIXEL_MM, PIXEL_MM), (0.0, 0.0)),
        frame_interval_s=0.04,
    )
    store = ZarrStack(path, like, {})
    rng = np.random.default_rng(0)
    for index in range(frames):
        intensity = rng.exponential(size=shape[1:])
        store.write(index, np.float32(-30 + 10 * np.log10(intensity)))


def look_at_layer(path: Path, method: str, cached: bool) -> None:
    """Look at every frame of a lazy layer; what a process of its own does."""
    from napari.components import ViewerModel
    from napari.utils import resize_dask_cache

    import napari_usflow as usf

    (image,) = usf.read(path)
    sigma = SPECKLE_DB / 60
    if not cached:
        resize_dask_cache(0)
    viewer = ViewerModel()
    viewer.add_image(usf.denoise(image, method=method, sigma=sigma).data)
    for index in range(image.data.shape[0]):
        viewer.dims.set_current_step(0, index)


def peak_and_seconds(command: list[str]) -> tuple[float, float]:
    """Run a command; give its peak memory in bytes and how long it took."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    tree = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, resident(tree))
        time.sleep(LOOK_EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{process.stderr.read()}")
    return peak, time.perf_counter() - start


def resident(process: psutil.Process) -> int:
    """Resident memory of a process and all its children, in bytes."""
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def command_of(way: str, clip: Path, method: str) -> list[str]:
    options = WAYS[way]
    if options is None:
        look = [sys.executable, __file__, "--look-at", str(clip), "--method", method]
        return look + ["--no-cache"] * way.endswith("off")
    output = clip.with_name(f"out-{clip.stem}-{len(options)}.zarr")
    return [
        *(sys.executable, "-m", "napari_usflow.cli", "denoise", str(clip)),
        *(str(output), "--method", method, "--sigma-db", str(SPECKLE_DB), *options),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--size", type=int, default=96, help="pixels of a side")
    parser.add_argument("--method", default="realtime")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--look-at", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--no-cache", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.look_at is not None:
        look_at_layer(args.look_at, args.method, not args.no_cache)
        return
    print(f"| {args.method}, {args.size} x {args.size} | ", end="")
    print(" | ".join(f"{count} frames" for count in args.frames), "|")
    print("|---" * (len(args.frames) + 1) + "|")
    with tempfile.TemporaryDirectory() as folder:
        clips = [Path(folder) / f"{count}.zarr" for count in args.frames]
        for clip, count in zip(clips, args.frames, strict=True):
            write_clip(clip, count, args.size)
        for way in args.ways:
            print(f"| {way} ", end="", flush=True)
            for clip in clips:
                peak, took = peak_and_seconds(command_of(way, clip, args.method))
                print(f"| {peak / MB:.0f} MB, {took:.0f} s ", end="", flush=True)
            print("|")


if __name__ == "__main__":
    main()
