"""How far the flow's standard deviation is the size of its errors.

    python benchmarks/uncertainty.py MRI [--count 2] [--size 64]

Crops of held-out knees and brains with white Gaussian noise of 5.57 dB of 60 dB, and
with simulated speckle. A line each: the root mean square error of the posterior mean
over the root mean square of what it was said to be, on all pixels and in each quarter
of them, from the surest to the least sure. 1 is calibrated, more is overconfident.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import napari_usflow as usf
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.contest.mri_crops import noisy, pick_crops_of
from napari_usflow.lab.speckle.run import speckled_events
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

SIGMA = SPECKLE_DB / 60


def ratios(clean: np.ndarray, frames: np.ndarray) -> list[float]:
    """Error over what was said: of all pixels, then of the quarters."""
    told = {"method": "flow", "sigma": SIGMA, "value_range": (0.0, 1.0)}
    error = np.square(usf.denoise(frames, **told) - clean)
    said = np.square(usf.uncertainty(frames, **told))
    quarters = np.array_split(np.argsort(said, axis=None), 4)
    everywhere = np.arange(said.size)
    return [
        float(np.sqrt(error.flat[where].mean() / said.flat[where].mean()))
        for where in (everywhere, *quarters)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mri", type=Path)
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    print("anatomy, subjects, noise: all, quarters from the surest to the least sure")
    for anatomy in ("knee", "brain"):
        taken = pick_crops_of([args.mri], anatomy, count=args.count, size=args.size)
        clean, subjects = taken.images, len(set(taken.subjects))
        speckled = result_of(
            speckled_events(anatomy, "display", clean, 0, CancelToken())
        )
        # The mean of log-compressed speckle lies below the level of the map.
        level = speckled.clean + (speckled.noisy - speckled.clean).mean()
        for noise, frames, truth in (
            ("white", noisy(clean, SIGMA), clean),
            ("speckle", speckled.noisy, level),
        ):
            found = "  ".join(f"{ratio:.2f}" for ratio in ratios(truth, frames))
            print(f"{anatomy}, {subjects}, {noise}: {found}", flush=True)


if __name__ == "__main__":
    main()
