"""Denoising of MRI crops with white Gaussian noise: methods, priors and peers.

The protocol of the paper's Fig. 3 and 4 (van de Schaft and van Sloun,
arXiv:2112.13110): crops of 64 x 64 pixels of 0.4375 mm, noise that is not clipped,
results clipped to [0, 1], PSNR with a peak of 1. NLM is given the best of an exhaustive
grid for every noise level and anatomy, chosen on the very crops it is judged on, which
is more than a user could do.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms import methods as our_methods
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Event, Note, share_of
from napari_usflow.lab.contest.contestants import Contestant, attempt, registered
from napari_usflow.lab.contest.mri_crops import (
    half_interval,
    noisy,
    pick_crops_of,
    psnrs,
    ssims,
)
from napari_usflow.lab.contest.peers import (
    FITTED,
    GAUSSIAN_PEERS,
    available_peers,
    check_peers,
    peer_events,
)
from napari_usflow.lab.gaussian.scores import (
    Example,
    GaussianTest,
    Score,
)
from napari_usflow.prior.store import DEFAULT_PRIOR

Float = npt.NDArray[np.float32]

__all__ = [
    "SIGMAS",
    "default_methods",
    "gaussian_events",
]

SIGMAS = (0.1, 0.2, 0.3, 0.4)
"""Noise levels of the paper, as fractions of the value range."""

EXAMPLE_SIGMA = 0.2
EXAMPLE_COUNT = 3


def default_methods(train_data: Path | None) -> tuple[str, ...]:
    """``flow``, ``nlm``, and the peers that are installed and can be fitted.

    PatchNR takes minutes for every cell and takes part only when it is named.
    """
    installed = (p for p in available_peers() if p in GAUSSIAN_PEERS)
    peers = (p for p in installed if p not in FITTED or train_data is not None)
    return ("flow", "nlm", *(p for p in peers if p != "patchnr"))


def gaussian_events(
    data: Path | Sequence[Path],
    *,
    fits: Path,
    methods: Sequence[str] | None = None,
    priors: Sequence[str | os.PathLike[str]] = (DEFAULT_PRIOR,),
    sigmas: Sequence[float] = SIGMAS,
    anatomies: Sequence[str] = ("knee", "brain"),
    count: int = 16,
    each: int | None = None,
    train_data: Path | None = None,
    changes: Sequence[str] = (),
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, GaussianTest]:
    """Score methods on a folder of MRI.

    Parameters
    ----------
    data : Path, or a sequence of them
        MRI that nothing was trained on: folders, or files.
    fits : Path
        Folder where fitted peers are kept.
    methods : sequence of str, optional
        Names of registered methods and of peers; see :func:`default_methods`.
    priors : sequence of str or path
        A method that uses a prior takes part once with each.
    sigmas : sequence of float
        Noise standard deviations, fractions of the value range.
    anatomies : sequence of str
    count : int
        Crops an anatomy.
    each : int, optional
        Crops of every subject, in place of ``count``.
    train_data : Path, optional
        Folder of MRI that peers are fitted on.
    changes : sequence of str
        Parameters of methods that are set, see
        :func:`~napari_usflow.lab.contest.contestants.parameters_of`.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Notes, progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every
        cell.

    Raises
    ------
    ValueError
        When a method is unknown or its package is missing, or the folder does not
        hold enough.
    """
    token = token or CancelToken()
    names = default_methods(train_data) if methods is None else tuple(methods)
    if methods is None and (left := set(GAUSSIAN_PEERS) - set(names)):
        yield Note(
            f"without {', '.join(sorted(left))}: peers need the bench extra, "
            f"{' and '.join(FITTED)} training data, and patchnr to be named"
        )
    _check(names, sigmas, count if each is None else each, train_data)
    sources = [data] if isinstance(data, Path) else list(data)
    picked = {
        a: pick_crops_of(sources, a, count=count, each=each)
        for a in dict.fromkeys(anatomies)
    }
    contestants: list[Contestant] = []
    for name in dict.fromkeys(names):
        if name in GAUSSIAN_PEERS:
            contestants.append(
                (
                    yield from peer_events(
                        name,
                        train_data=train_data,
                        folder=fits,
                        device=device,
                        token=token,
                    )
                )
            )
        else:
            contestants += registered(
                name, priors, noise="white", changes=changes, device=device
            )
    cells = list(itertools.product(picked, sorted(set(sigmas)), contestants))
    shown = min(sigmas, key=lambda sigma: abs(sigma - EXAMPLE_SIGMA))
    examples = {a: _example(a, crops.images, shown) for a, crops in picked.items()}
    scores = []
    for number, (anatomy, sigma, contestant) in enumerate(cells):
        clean, subjects = picked[anatomy].images, picked[anatomy].subjects
        crops = noisy(clean, sigma)
        run = attempt(contestant, crops, sigma, clean=clean, token=token)
        label = f"{anatomy}, sigma {sigma:g}: {contestant.label}"
        made = yield from share_of(run, number, len(cells), label)
        if sigma == shown:
            places = _shown_places(len(clean))
            examples[anatomy].results[contestant.label] = made.crops[places]
        quality = psnrs(clean, made.crops), ssims(clean, made.crops)
        scores.append(
            Score(
                contestant.method,
                contestant.prior,
                anatomy,
                sigma,
                psnr_db=float(np.mean(quality[0])),
                ssim=float(np.mean(quality[1])),
                psnr_half_db=half_interval(quality[0], subjects),
                ssim_half=half_interval(quality[1], subjects),
                crops=len(clean),
                subjects=len(set(subjects)),
                seconds=made.seconds,
                setting=made.setting,
            )
        )
        yield Scored(scores[-1])
    return GaussianTest(scores, list(examples.values()))


def _example(anatomy: str, clean: Float, sigma: float) -> Example:
    places = _shown_places(len(clean))
    return Example(anatomy, sigma, clean[places], noisy(clean, sigma)[places], {})


def _shown_places(count: int) -> npt.NDArray[np.intp]:
    """Return which of the crops are shown."""
    return np.unique(np.linspace(0, count - 1, EXAMPLE_COUNT).round().astype(np.intp))


def _check(
    methods: Sequence[str],
    sigmas: Sequence[float],
    count: int,
    train_data: Path | None,
) -> None:
    """Refuse a test that cannot be made; ValueError says why."""
    known = (*our_methods(), *GAUSSIAN_PEERS)
    for name in methods:
        if name not in known:
            raise ValueError(
                f"there is no method {name!r}; choose from {', '.join(known)}"
            )
    if not methods or not sigmas:
        raise ValueError("name at least one method and one noise level")
    for sigma in sigmas:
        if not 0.001 <= sigma <= 1.0:
            raise ValueError(
                f"sigma is {sigma:g}; as a fraction of the value range it must lie in "
                "[0.001, 1]"
            )
    if count < 1:
        raise ValueError(f"the number of crops must be at least 1, got {count}")
    check_peers([name for name in methods if name in GAUSSIAN_PEERS], train_data)
