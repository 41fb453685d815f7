"""Fig. 3: PSNR and SSIM against white Gaussian noise, on knees and on brains."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from napari_usflow.denoising.algorithms.flow.plain_start import start_for
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.lab.contest.peers import available_peers
from napari_usflow.lab.gaussian.figures import write_gaussian
from napari_usflow.lab.gaussian.run import gaussian_events
from napari_usflow.lab.gaussian.scores import GaussianTest, Score
from napari_usflow.lab.reproduce.folders import Folders
from napari_usflow.prior import load_prior

__all__ = ["gaussian_figure_events", "papers_prior_events"]


_SEARCHES = (
    ("zero", ("flow-map.preset=paper",), ", plateau"),
    ("zero", (), ""),
    ("posterior-mean", (), ""),
)
"""Start, parameters that are set, and what that adds to the prior's name."""

OURS = ("flow", "best")
"""Methods shown beside the paper's."""


def gaussian_figure_events(
    folders: Folders,
    prior: str | os.PathLike[str],
    out: Path,
    *,
    count: int,
    sigmas: Sequence[float],
    device: str,
    token: CancelToken,
) -> Generator[Event, None, list[Path]]:
    """Write ``fig3.csv`` and ``fig3.png``.

    The paper's method, NLM with the best of a grid in every cell, and ours.

    Parameters
    ----------
    count : int
        Crops an anatomy; the paper has 16 together.
    sigmas : sequence of float
        Noise levels.
    """
    test = folders.need(folders.test, "MRI to score on")
    proposed = yield from papers_prior_events(
        test, [prior], count=count, sigmas=sigmas, device=device, token=token
    )
    peers = [name for name in available_peers() if name == "bm3d"]
    others = yield from gaussian_events(
        test,
        fits=out / "peers",
        methods=["nlm", *peers, *OURS],
        count=count,
        sigmas=sigmas,
        device=device,
        token=token,
    )
    scores = [*proposed.scores, *others.scores]
    return write_gaussian(GaussianTest(scores, []), out, name="fig3")


def papers_prior_events(
    test: Path,
    priors: Sequence[str | os.PathLike[str]],
    *,
    count: int,
    sigmas: Sequence[float],
    device: str,
    token: CancelToken,
) -> Generator[Event, None, GaussianTest]:
    """Score the paper's method with some priors, lambda = 0.75 sigma^2.

    A prior that knows noise levels is searched from its posterior mean, as it is by
    default. One of the paper's kind takes part twice: with the preset ``paper``, to the
    plateau, and by default, until the residual is as small as the noise.
    """
    starts = [start_for(load_prior(prior, device=device), "auto") for prior in priors]
    scores: list[Score] = []
    for start, changes, said in _SEARCHES:
        alike = [p for p, own in zip(priors, starts, strict=True) if own == start]
        if not alike:
            continue
        made = yield from gaussian_events(
            test,
            fits=test,
            methods=["flow-map"],
            priors=alike,
            count=count,
            sigmas=sigmas,
            changes=changes,
            device=device,
            token=token,
        )
        scores += [replace(s, prior=f"{s.prior}{said}") for s in made.scores]
    return GaussianTest(scores, [])
