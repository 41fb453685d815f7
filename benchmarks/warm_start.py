"""What starting from the frame before is worth, on a moving scene with a cut.

    python benchmarks/warm_start.py [--size 64] [--frames 10] [--speed 0.35]

Soft-edged discs over a smooth texture, known between the pixels, move by a fraction of
a pixel a frame; in the middle of the clip another scene follows. Each frame has noise
of its own: white (standard deviation 0.1), or simulated speckle over 60 dB. Every row
runs the whole clip by ``flow-map`` on one thread, in turn: as it is by default, with as
few steps as a warm start takes, and warm. PSNR in dB with the mean level fitted
(speckle shifts it), on average, and of the frame after the cut by itself; frames a
second of processor time, and how many times those of the first row; steps a patch.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from napari_usflow.denoising.algorithms.flow.latent_map import FlowMapParams
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.jobs import FrameDone
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.simulate.speckle import simulate_speckle
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

RANGE_DB = 60.0
WHITE_DB = 6.0
PIXEL_MM = 0.4375

FEW = FlowMapParams.warm_iterations
ROWS = {
    "cold": {},
    f"cold, {FEW} steps": {"iterations": FEW},
    "warm": {"warm_start": True},
}


def scene(seed: int, size: int, moved_by: tuple[float, float]) -> np.ndarray:
    """A scene in [0, 1] whose content was moved by so many pixels."""
    rng = np.random.default_rng(seed)
    z, x = np.mgrid[:size, :size].astype(float)
    z, x = z - moved_by[0], x - moved_by[1]
    frame = np.full((size, size), 0.45)
    for _ in range(7):
        row, column = rng.uniform(0, size, 2)
        radius, level = rng.uniform(4, 14), rng.uniform(-0.35, 0.35)
        edge = (np.hypot(z - row, x - column) - radius) / 0.5
        frame += level / (1 + np.exp(np.clip(edge, -50, 50)))
    for _ in range(30):
        along, phase = rng.normal(0, 0.25, 2), rng.uniform(0, 2 * np.pi)
        wave = np.cos(along[0] * z + along[1] * x + phase)
        frame += rng.uniform(0, 0.03) * wave
    return np.clip(frame, 0, 1)


def clips(size: int, frames: int, speed: float) -> tuple[np.ndarray, dict]:
    """The clean clip, and with each kind of noise its image and noise level in dB."""
    direction = np.array([0.86, 0.51])
    clean = np.stack(
        [
            scene(2 * t // frames, size, tuple(speed * t * direction))
            for t in range(frames)
        ]
    )
    white = np.random.default_rng(1).normal(0, WHITE_DB / RANGE_DB, clean.shape)
    speckle = [simulate_speckle(frame, seed=t) for t, frame in enumerate(clean)]
    grid = PixelGrid((size, size), (PIXEL_MM, PIXEL_MM), (0.0, 0.0))
    noisy = {
        "white noise": (RANGE_DB * (clean + white - 1), WHITE_DB),
        "speckle": (np.stack(speckle), SPECKLE_DB),
    }
    return clean, {
        name: (UltrasoundImage(data.astype(np.float32), "db", grid), sigma_db)
        for name, (data, sigma_db) in noisy.items()
    }


def psnr(result: np.ndarray, clean: np.ndarray) -> float:
    result = result + (clean - result).mean()
    return float(-10 * np.log10(np.square(result - clean).mean()))


def run(
    image: UltrasoundImage, clean: np.ndarray, sigma_db: float, params: dict
) -> tuple[list[float], float, float]:
    """PSNR of each frame; seconds of a frame; mean steps of a patch."""
    denoiser = create("flow-map", device="cpu", **params)
    settings = Settings(sigma_db=sigma_db)
    quality, steps, begin = [], [], time.process_time()
    for event in denoise_events(image, denoiser, settings):
        if isinstance(event, FrameDone):
            quality.append(psnr(event.data / RANGE_DB + 1, clean[event.index]))
            share = event.info.get("warm_patches", 0) / event.info.get("patches", 1)
            most = denoiser.params.iterations
            steps.append(most + share * (denoiser.params.warm_iterations - most))
    return quality, (time.process_time() - begin) / len(clean), float(np.mean(steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=64, help="pixels of a side")
    parser.add_argument("--stride", type=int, default=FlowMapParams.stride)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--speed", type=float, default=0.35, help="pixels a frame")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    clean, noisy = clips(args.size, args.frames, args.speed)
    cut = (args.frames + 1) // 2
    # The prior is loaded before the first row.
    create("flow-map", device="cpu").provenance()
    print("| noise | start | PSNR | after the cut | frames/s | times cold | steps |")
    print("|---" * 7 + "|")
    for noise, (image, sigma_db) in noisy.items():
        first = 0.0
        for row, params in ROWS.items():
            quality, seconds, steps = run(
                image, clean, sigma_db, {**params, "stride": args.stride}
            )
            first = first or seconds
            print(
                f"| {noise} | {row} | {np.mean(quality):.2f} | {quality[cut]:.2f} | "
                f"{1 / seconds:.3g} | {first / seconds:.3g} | {steps:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
