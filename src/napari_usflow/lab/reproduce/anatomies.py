"""Knees alone against all body parts: two priors of the paper's kind, on both."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

from napari_usflow.jobs import CancelToken, Event
from napari_usflow.lab.gaussian.figures import write_gaussian
from napari_usflow.lab.reproduce.fig3_gaussian import papers_prior_events
from napari_usflow.lab.reproduce.folders import Folders

__all__ = ["anatomies_events"]


def anatomies_events(
    folders: Folders,
    knees: str | os.PathLike[str],
    everything: str | os.PathLike[str],
    out: Path,
    *,
    count: int,
    sigmas: Sequence[float],
    device: str,
    token: CancelToken,
) -> Generator[Event, None, list[Path]]:
    """Write ``anatomies.csv`` and ``anatomies.png``: Fig. 3 for both priors.

    The paper's central claim is that a prior of knees serves brains; what it loses
    there is the difference of the two lines.
    """
    test = folders.need(folders.test, "MRI to score on")
    made = yield from papers_prior_events(
        test,
        [knees, everything],
        count=count,
        sigmas=sigmas,
        device=device,
        token=token,
    )
    return write_gaussian(made, out, name="anatomies")
