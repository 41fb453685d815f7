"""Who takes part in the benchmark, said so that any process can make them."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms import methods as our_methods
from napari_usflow.jobs import CancelToken, Event, Progress
from napari_usflow.lab.contest.contestants import (
    Contestant,
    Denoised,
    Registered,
    kind_of_noise,
)
from napari_usflow.lab.contest.peers import (
    FITTED,
    PEERS,
    available_peers,
    check_peers,
    peer_events,
)

__all__ = ["REFERENCE", "Entrant", "SkimageNlm", "default_names", "entrants"]

Float = npt.NDArray[np.float32]

REFERENCE = "skimage-nlm"
"""Whose time the others' are multiples of."""


@dataclass(frozen=True)
class Entrant:
    """A method under test: what is needed to make it, in plain values.

    Attributes
    ----------
    method : str
        A registered method, a peer, or :data:`REFERENCE`.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    train_data : str
        Folder of MRI that a peer is fitted on; empty for none.
    fits : str
        Folder where fits are kept.
    """

    method: str
    device: str = "auto"
    train_data: str = ""
    fits: str = ""

    def events(
        self, token: CancelToken, *, noise: str = "speckle"
    ) -> Generator[Event, None, Contestant]:
        """Make it with its default parameters; what it has learned is loaded.

        Parameters
        ----------
        token : CancelToken
        noise : {"speckle", "white"}
            What the method is told of the noise, if it can be told.

        Yields
        ------
        Event
            Of the fit of a peer, the first time.
        """
        if self.method == REFERENCE:
            return SkimageNlm()
        if self.method in PEERS:
            return (
                yield from peer_events(
                    self.method,
                    train_data=Path(self.train_data) if self.train_data else None,
                    folder=Path(self.fits),
                    device=self.device,
                    token=token,
                )
            )
        told = kind_of_noise(self.method, noise)
        return Registered(self.method, device=self.device, **told)


class SkimageNlm(Contestant):
    """Scikit-image's fast NLM called by itself, as :class:`NonLocalMeans` calls it."""

    method = REFERENCE

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        from skimage.restoration import denoise_nl_means

        start, result = time.perf_counter(), np.empty_like(crops)
        for i, crop in enumerate(crops):
            token.raise_if_cancelled()
            result[i] = denoise_nl_means(
                crop,
                patch_size=5,
                patch_distance=6,
                h=0.8 * sigma,
                sigma=sigma,
                fast_mode=True,
            )
            yield Progress(i + 1, len(crops))
        return Denoised(result, (time.perf_counter() - start) / len(crops))


def default_names(train_data: Path | None) -> tuple[str, ...]:
    """Every registered method, and the peers that are installed and can be fitted.

    PatchNR takes minutes for every picture and takes part only when it is named.
    """
    peers = (p for p in available_peers() if p not in FITTED or train_data is not None)
    return (*our_methods(), *(p for p in peers if p != "patchnr"))


def entrants(
    names: Sequence[str], *, device: str, train_data: Path | None, fits: Path
) -> list[Entrant]:
    """Name those who take part, the reference first.

    Raises
    ------
    ValueError
        When one is unknown, or is a peer that cannot take part.
    """
    known = (*our_methods(), *PEERS)
    for name in names:
        if name not in known:
            raise ValueError(
                f"there is no method {name!r}; choose from {', '.join(known)}"
            )
    if not names:
        raise ValueError("name at least one method")
    check_peers([name for name in names if name in PEERS], train_data)
    folder = "" if train_data is None else str(train_data)
    return [
        Entrant(name, device, folder, str(fits))
        for name in (REFERENCE, *dict.fromkeys(names))
    ]
