"""Where a network errs, and what tells: spread and disagreement against the truth.

    python benchmarks/disagreement.py TRAIN VAL [--crops 3]

On simulated speckle over MRI. First, over ``TRAIN``, what 99 % of the pixels lie below,
as a share of the dynamic range: ``STRONG`` in
``denoising/uncertainty/network_disagreement.py`` is that of the disagreement, a quarter
of it that of the spread. Then, over ``VAL`` and under the conditions of
``usflow.evaluate.generalisation``, the error, both signs of it, the share of pixels
above the limits, and over all of them together how well each sign finds the tenth and
the hundredth of the pixels with the largest error (area under the receiver operating
characteristic; 0.5 is chance) and its rank correlation with the error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr

from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import uncertainty_events, uncertainty_measure
from napari_usflow.evaluate.residuals import fitted_offset
from napari_usflow.jobs import CancelToken, FrameDone, result_of
from napari_usflow.lab.contest.mri_crops import pick_crops
from napari_usflow.lab.figures.generalisation import (
    CONDITIONS,
    CROP_SIZE,
    Condition,
    at_pixel,
    simulated_events,
)
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.simulate.speckle import SpeckleParams
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

NETWORK = "realtime"
KINDS = ("spread", "disagreement")
ANATOMIES = ("knee", "brain")
WIDE = 133  # pixel; enough for a crop at 0.6 mm


def crops_of(folder: Path, count: int) -> np.ndarray:
    return np.concatenate(
        [pick_crops(folder, name, count=count, size=WIDE) for name in ANATOMIES]
    )


def last(events) -> FrameDone:
    return next(event for event in events if isinstance(event, FrameDone))


def look(crops: np.ndarray, condition: Condition) -> dict[str, np.ndarray]:
    """Give squared errors and both signs of every pixel, in dB, and shares."""
    params = SpeckleParams(seed=1, **condition.changes)
    span, told = params.dynamic_range_db, condition.told
    clean = at_pixel(crops, params)
    noisy = result_of(simulated_events(clean, params, CancelToken()))
    settings = Settings(
        sigma_db=None if told is None else told * SPECKLE_DB,
        dynamic_range_db=span,
    )
    grid = PixelGrid((CROP_SIZE, CROP_SIZE), (PRIOR_PIXEL_MM,) * 2, (0.0, 0.0))
    found: dict[str, list] = {"error": [], **{kind: [] for kind in KINDS}}
    shares = {kind: [] for kind in KINDS}
    for frame, truth in zip(noisy, clean, strict=True):
        image = UltrasoundImage(span * (frame[None] - 1), "db", grid)
        result = 1 + last(denoise_events(image, create(NETWORK), settings)).data / span
        offset = fitted_offset(result, truth, truth > 0)
        error = span * (np.clip(result + offset, 0, 1) - truth)
        # A sign has done its work when it points at the neighbour of what is wrong.
        found["error"].append(gaussian_filter(error**2, 1.0))
        for kind in KINDS:
            measure = uncertainty_measure(NETWORK, kind)
            done = last(uncertainty_events(image, settings, measure))
            found[kind].append(done.data)
            shares[kind].append(done.info["strong"]["share"])
    stacked = {name: np.stack(frames) for name, frames in found.items()}
    return stacked | {f"{kind} share": np.array(shares[kind]) for kind in KINDS}


def area(sign: np.ndarray, error: np.ndarray, share: float) -> float:
    """Area under the curve of a sign that is to find the largest errors."""
    bad = error > np.quantile(error, 1 - share)
    count = int(bad.sum())
    ranks = rankdata(sign)[bad].sum() - count * (count + 1) / 2
    return float(ranks / (count * (len(bad) - count)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--crops", type=int, default=3, help="of an anatomy")
    args = parser.parse_args()
    found = look(crops_of(args.train, 2 * args.crops), CONDITIONS[0])
    for kind in KINDS:
        print(
            f"TRAIN: 99 % of the {kind} below {np.quantile(found[kind], 0.99) / 60:.4f}"
        )
    crops, everything = crops_of(args.val, args.crops), []
    print("condition, error dB, spread dB (% strong), disagreement dB (% strong)")
    for condition in CONDITIONS:
        everything.append(look(crops, condition))
        here = everything[-1]
        signs = "  ".join(
            f"{np.sqrt(np.mean(here[kind] ** 2)):5.2f} "
            f"({100 * here[f'{kind} share'].mean():4.1f})"
            for kind in KINDS
        )
        print(f"{condition.name:24} {np.sqrt(here['error'].mean()):5.2f}  {signs}")
    error = np.concatenate([here["error"].ravel() for here in everything])
    for kind in KINDS:
        sign = np.concatenate([here[kind].ravel() for here in everything])
        print(
            f"{kind}: area {area(sign, error, 0.1):.3f} (worst tenth), "
            f"{area(sign, error, 0.01):.3f} (worst hundredth), rank correlation "
            f"{spearmanr(sign, error)[0]:.3f}"
        )
        edges = np.quantile(sign, [0, 0.5, 0.9, 0.99, 1])
        bands = np.digitize(sign, edges[1:-1])
        errors = [np.sqrt(error[bands == band].mean()) for band in range(4)]
        print(
            "  error in its lowest 50 %, next 40, 9 and 1 %, dB:", np.round(errors, 2)
        )


if __name__ == "__main__":
    main()
