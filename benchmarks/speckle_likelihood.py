"""What it is worth to know speckle: likelihoods under one prior, on simulated speckle.

    python benchmarks/speckle_likelihood.py MRI_FOLDER [--weights FILE] [--count 4]

The most structured crops of each anatomy serve as display maps of simulated speckle
(60 dB). Each row is one way to use the same prior; BM3D (of the ``bench`` extra) on the
log image is the best of three assumed noise levels. PSNR in dB and SSIM with the mean
level fitted for every row alike, values clipped to [0, 1]; seconds of processor time
for a crop. Tune on training subjects, report on others.

``splitting`` is half-quadratic splitting: the pixelwise minimum of the tempered
likelihood plus (x - v)^2 / (2 b^2), found by Newton's method, then the posterior mean v
at noise level b, for b of 5.6, 4.2 and 3 dB.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from napari_usflow.denoising.algorithms.flow.speckle_likelihood import SpeckleLikelihood
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.contest.mri_crops import mean_psnr, mean_ssim, pick_crops
from napari_usflow.ultrasound.simulate.speckle import simulate_speckle
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

RANGE_DB = 60.0
SIGMA = SPECKLE_DB / RANGE_DB
SPLITTING_DB = (5.6, 4.2, 3.0)
BM3D_FACTORS = (1.0, 1.2, 1.4)

Way = Callable[[np.ndarray], np.ndarray]


def registered(method: str, prior: str | None, factor: float = 1.0, **params) -> Way:
    denoiser = create(method, weights=prior, device="cpu", **params)

    def way(frame: np.ndarray) -> np.ndarray:
        token = CancelToken()
        run = denoiser.run(frame, Run(factor * SIGMA, token=token))
        return result_of(run)

    return way


def splitting(prior: str | None, weight: float) -> Way:
    rate = SpeckleLikelihood.of_noise(SIGMA, RANGE_DB).rate
    gaussian = registered("flow", prior, stride=15)

    def way(frame: np.ndarray) -> np.ndarray:
        v = gaussian(frame) + np.euler_gamma / rate
        for level in SPLITTING_DB:
            b = level / RANGE_DB
            t = np.zeros_like(v)  # x = v + t
            for _ in range(12):
                ratio = np.exp(rate * (frame - v - t))
                slope = weight * rate * (1 - ratio) + t / b**2
                t -= slope / (weight * rate**2 * ratio + 1 / b**2)
            v = registered("flow", prior, b / SIGMA, stride=15)((v + t).astype("f4"))
        return v

    return way


def ways(prior: str | None) -> dict[str, Way]:
    rows = {
        "input": lambda frame: frame,
        "flow": registered("flow", prior, stride=15),
        "flow, 1.2 sigma": registered("flow", prior, 1.2, stride=15),
        "splitting, w = 0.5": splitting(prior, 0.5),
        "splitting, w = 1": splitting(prior, 1.0),
        "flow-speckle": registered("flow-speckle", prior),
        "  no deconvolution": registered("flow-speckle", prior, deconvolve=False),
        "  no coarse passes": registered("flow-speckle", prior, coarse_smoothing=0.0),
        "  2 passes": registered("flow-speckle", prior, passes=2),
        "  8 passes": registered("flow-speckle", prior, passes=8),
    }
    if find_spec("bm3d"):
        import bm3d

        for factor in BM3D_FACTORS:
            rows[f"bm3d, {factor:g} sigma"] = lambda frame, factor=factor: bm3d.bm3d(
                frame, factor * SIGMA
            )
    return rows


def fitted(clean: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Shift each crop to the reference's mean, as it is after clipping."""
    for _ in range(4):
        shift = np.mean(clean - np.clip(result, 0, 1), axis=(1, 2), keepdims=True)
        result = result + shift
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", help="prior file; the shipped one by default")
    parser.add_argument("--anatomies", nargs="+", default=["knee", "brain"])
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--only", nargs="+", help="rows whose name begins so")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    rows = {
        name: way
        for name, way in ways(args.weights).items()
        if not args.only or name.strip().startswith(tuple(args.only))
    }
    for anatomy in args.anatomies:
        clean = pick_crops(args.data, anatomy, count=args.count, size=args.size)
        frames = [
            (simulate_speckle(crop, seed=100 + i) / RANGE_DB + 1).astype(np.float32)
            for i, crop in enumerate(clean)
        ]
        print(f"{anatomy}: {args.count} crops of {args.size} x {args.size}")
        for name, way in rows.items():
            begin = time.process_time()
            result = np.stack([way(frame) for frame in frames])
            seconds = (time.process_time() - begin) / len(frames)
            result = fitted(clean, result)
            psnr, ssim = mean_psnr(clean, result), mean_ssim(clean, result)
            print(f"  {name:22s} {psnr:6.2f}  {ssim:.3f}  {seconds:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
