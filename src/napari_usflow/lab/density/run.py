"""Bits per dimension of held-out patches: a flow beside Gaussian mixtures.

A Gaussian with a full covariance and a mixture of sixty are what a flow has to pass to
be worth its name. All see the same patches with the same noise, the prior's smallest,
which keeps the density finite where MRI is exactly black::

    bits/dim = -mean log p(x) / (D ln 2) + 8

in units of 256 grey levels. Shrinkage is chosen on every tenth training file; the
held-out folder is only judged on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.lab.contest.contestants import prior_names
from napari_usflow.lab.contest.mri_crops import draw_events
from napari_usflow.lab.density.mixture_fit import fit_mixture
from napari_usflow.mri import find_files
from napari_usflow.prior.store import DEFAULT_PRIOR

if TYPE_CHECKING:
    from napari_usflow.prior import FlowPrior

__all__ = [
    "COMPONENTS",
    "Density",
    "DensityTest",
    "bits_per_dim",
    "density_events",
]

Float = npt.NDArray[np.float32]

COMPONENTS = 60
_GREY_BITS = 8
_HELD_OUT_EVERY = 10
_HELD_OUT_COUNT = 2048
_SHOWN = 36
_AT_ONCE = 64


@dataclass(frozen=True)
class Density:
    """One line of the table.

    Attributes
    ----------
    model : str
        ``flow``, ``gaussian`` or ``mixture``.
    prior : str
        Name of the flow's prior, else empty.
    bits_per_dim, error : float
        Mean over the patches and its standard error, as if patches were independent.
    fitted, judged : int
        Number of patches; a flow's card says what it was trained on.
    seconds : float
        To fit, or for a flow to judge.
    setting : str
    """

    model: str
    prior: str
    bits_per_dim: float
    error: float
    fitted: int
    judged: int
    seconds: float
    setting: str

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return f"{self.model} ({self.prior})" if self.prior else self.model


@dataclass(frozen=True)
class DensityTest:
    """The table, and patches (N, S, S) to look at: real ones and each model's own."""

    rows: Sequence[Density]
    patches: dict[str, Float]


def bits_per_dim(log_p: npt.ArrayLike, dimension: int) -> tuple[float, float]:
    """Mean and standard error in bits per dimension of log-densities in nats.

    ``log_p`` (N,) are of vectors whose values in [0, 1] stand for 256 grey levels.
    """
    bits = _GREY_BITS - np.asarray(log_p, np.float64) / (dimension * np.log(2))
    return float(bits.mean()), float(bits.std() / np.sqrt(bits.size))


def density_events(
    data: Path,
    *,
    train_data: Path,
    priors: Sequence[str | os.PathLike[str]] = (DEFAULT_PRIOR,),
    components: int = COMPONENTS,
    fit_count: int = 100_000,
    count: int = 2048,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, DensityTest]:
    """Judge priors, a Gaussian and a mixture of Gaussians on held-out patches.

    Parameters
    ----------
    data : Path
        Folder of MRI that nothing was trained on.
    train_data : Path
        Folder of MRI that the Gaussian and the mixture are fitted on.
    priors : sequence of str or path
        All of one patch size and smallest noise level.
    components : int
        Of the mixture.
    fit_count, count : int
        Patches to fit and to judge on.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Notes and progress.

    Raises
    ------
    ValueError
        When the priors differ, or the counts are too small.
    """
    from napari_usflow.prior import load_prior

    token, names = token or CancelToken(), prior_names(priors)
    kinds = {}
    for path, name in zip(priors, names, strict=True):
        prior = load_prior(path, device=device)
        kinds[name] = (prior.patch_size, prior.sigma_range[0])
    if len(set(kinds.values())) > 1:
        said = ", ".join(f"{n}: {s} px, noise {g:g}" for n, (s, g) in kinds.items())
        raise ValueError(
            f"the priors differ in patch size or smallest noise level ({said}); judge "
            "them in separate runs"
        )
    size, noise = next(iter(kinds.values()))
    if fit_count < max(size**2, components) or components < 1 or count < 2:
        raise ValueError(
            f"{fit_count} patches to fit {components} components on, {count} to judge "
            f"on; give at least {max(size**2, components)}, 1 and 2"
        )
    files = find_files([train_data])
    choosing = files[::_HELD_OUT_EVERY] if len(files) > 1 else files
    fitting = [file for file in files if file not in choosing] or files
    sets = []
    for seed, (some, number) in enumerate(
        (
            (fitting, fit_count),
            (choosing, min(_HELD_OUT_COUNT, fit_count)),
            (find_files([data]), count),
        )
    ):
        clean = yield from draw_events(some, number, size, seed=seed, token=token)
        rng = np.random.default_rng([seed, 1])
        clean += np.float32(noise) * rng.standard_normal(clean.shape, np.float32)
        sets.append(clean.reshape(number, -1))
    train, chosen_on, held_out = sets
    rows, patches = [], {"held-out patches": held_out[:_SHOWN].reshape(-1, size, size)}
    for path, name in zip(priors, names, strict=True):
        prior, start = load_prior(path, device=device), time.perf_counter()
        yield Note(f"judging {name}")
        log_p = _log_prob(prior, held_out, token)
        took = time.perf_counter() - start
        steps = prior.card.get("training", {}).get("steps_done")
        setting = "" if steps is None else f"{steps} steps"
        row = Density(
            "flow", name, *bits_per_dim(log_p, size**2), 0, count, took, setting
        )
        rows.append(row)
        patches[row.label] = prior.sample(_SHOWN)
    for model, parts in (("gaussian", 1), ("mixture", components)):
        yield Note(f"fitting {parts} Gaussian{'s' if parts > 1 else ''}")
        start = time.perf_counter()
        mixture = yield from fit_mixture(
            train,
            chosen_on,
            parts,
            iterations=8 if parts > 1 else 1,
            first_share=0.3,
            token=token,
            label=model,
        )
        took = time.perf_counter() - start
        rows.append(
            Density(
                model,
                "",
                *bits_per_dim(mixture.log_prob(held_out), size**2),
                fit_count,
                count,
                took,
                f"{parts} x full covariance, shrinkage {mixture.shrinkage:g} patches",
            )
        )
        drawn = mixture.sample(_SHOWN, np.random.default_rng(0))
        patches[model] = drawn.reshape(-1, size, size)
    return DensityTest(rows, patches)


def _log_prob(prior: FlowPrior, x: Float, token: CancelToken) -> Float:
    """Log-density of vectors (N, S * S), with a look at the token between batches."""
    parts = []
    for i in range(0, len(x), _AT_ONCE):
        token.raise_if_cancelled()
        part = x[i : i + _AT_ONCE].reshape(-1, prior.patch_size, prior.patch_size)
        parts.append(prior.log_prob(part))
    return np.concatenate(parts)
