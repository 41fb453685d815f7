"""Fig. 2: patches of the training data, and patches that the flow makes."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import numpy as np

from napari_usflow.evaluate.figures import new_figure, save_figure
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.lab.reproduce.folders import Folders
from napari_usflow.mri import find_files
from napari_usflow.mri.patches import PatchSampler
from napari_usflow.mri.slices import prepare_slices
from napari_usflow.prior import load_prior
from napari_usflow.training.flow.configs import CONFIGS
from napari_usflow.training.montage import montage

__all__ = ["patches_events"]

_COUNT = 64
# Nothing bounds the inverse of a flow of the paper's kind.
_FAR = 5.0


def patches_events(
    folders: Folders,
    prior: str | os.PathLike[str],
    out: Path,
    *,
    device: str,
    token: CancelToken,
) -> Generator[Event, None, list[Path]]:
    """Draw ``fig2.png``: 64 patches as the training draws them, and 64 samples.

    Yields
    ------
    Event
        Progress in slices.
    """
    config = CONFIGS["paper"].patches
    files = find_files([folders.need(folders.train, "MRI to train on")])
    store = yield from prepare_slices(files, config, 32, out / "slices", token=token)
    real = PatchSampler(store, config).draw(_COUNT, np.random.default_rng(0))[:, 0]
    flow = load_prior(prior, device=device)
    sampled = flow.sample(_COUNT)
    # NaN is no less than the limit either.
    whole = (np.abs(sampled) < _FAR).all(axis=(1, 2))
    made = np.clip(np.nan_to_num(sampled, nan=1.0), 0.0, 1.0)
    lost = (
        f"; {np.count_nonzero(~whole)} of {_COUNT} overflow" if not whole.all() else ""
    )
    figure = new_figure(9.0, 4.8)
    for axis, patches, title in zip(
        figure.subplots(1, 2),
        (real, made),
        ("training data, knees", f"samples of the flow ({flow.name}{lost})"),
        strict=True,
    ):
        axis.imshow(montage(patches), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    path = out / "fig2.png"
    save_figure(figure, path)
    return [path]
