"""What the default settings do to MRI with little noise, and with none.

    python benchmarks/weak_noise.py MRI [--anatomies knee brain] [--count 4] [--out CSV]

Crops of 56 mm in [0, 1] with white noise of 0 to 0.5, read as grey. The methods are
told nothing. PSNR in dB as a mean over the crops, and the least change of a crop.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

import napari_usflow as usf
from napari_usflow.lab.contest.mri_crops import pick_crops_of

LEVELS = (0.0, 0.003, 0.006, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
METHODS = ("best", "realtime")
PERFECT_DB = 99.0
"""Of an image that equals its truth."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--anatomies", nargs="+", default=["knee", "brain"])
    parser.add_argument("--count", type=int, default=4, help="crops an anatomy")
    parser.add_argument("--out", type=Path, default=Path("weak_noise.csv"))
    args = parser.parse_args()
    crops, subjects = [], 0
    for anatomy in args.anatomies:
        taken = pick_crops_of([args.data], anatomy, count=args.count, size=128)
        crops.extend(taken.images)
        subjects += len(set(taken.subjects))
    rows = []
    for sigma in LEVELS:
        for method in METHODS:
            pairs = [scores(crop, sigma, method, i) for i, crop in enumerate(crops)]
            before, after = np.mean(pairs, axis=0)
            least = min(b - a for a, b in pairs)
            rows.append([method, sigma, len(crops), subjects, before, after, least])
            print(f"{sigma:5g} {method:9s} {before:5.1f} {after:5.1f} {least:+5.2f}")
    with args.out.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            [
                "method",
                "sigma",
                "crops",
                "subjects",
                "input_db",
                "result_db",
                "least_change_db",
            ]
        )
        table.writerows([*row[:4], *(f"{v:.4g}" for v in row[4:])] for row in rows)


def scores(
    clean: np.ndarray, sigma: float, method: str, seed: int
) -> tuple[float, float]:
    """Return the PSNR of the noisy crop and of its result."""
    noise = np.random.default_rng(seed).standard_normal(clean.shape, np.float32)
    noisy = clean + np.float32(sigma) * noise
    result = usf.denoise(noisy, method=method, value_range=(0, 1))
    return psnr(noisy, clean), psnr(result, clean)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    error = float(np.mean((image - clean) ** 2))
    return min(PERFECT_DB, -10 * np.log10(max(error, 1e-12)))


if __name__ == "__main__":
    main()
