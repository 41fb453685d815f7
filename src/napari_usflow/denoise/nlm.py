"""Non-local means, the classical method to beat."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial

import numpy as np

from napari_usflow.denoise.contract import Denoiser, Frame, method
from napari_usflow.jobs import CancelToken, Event, Note, Progress
from napari_usflow.parameters import parameter

__all__ = ["NonLocalMeans", "NonLocalMeansParams"]

POLL_S = 0.05


@dataclass(frozen=True)
class NonLocalMeansParams:
    """Parameters of :class:`NonLocalMeans`."""

    patch_size: int = parameter(
        5, minimum=3, maximum=31, unit="px", help="Side of the compared patches (odd)"
    )
    patch_distance: int = parameter(
        6,
        minimum=1,
        maximum=50,
        unit="px",
        help="How far away similar patches are sought",
    )
    h: float = parameter(
        0.8,
        minimum=0.05,
        maximum=10.0,
        help="Filter strength in multiples of the noise level",
    )


@method
class NonLocalMeans(Denoiser):
    """Non-local means with flat patches, computed by scikit-image.

    A pixel becomes the mean of its neighbourhood weighted by
    w = exp(-max(0, mean((P_i - P_j)^2) - 2 sigma^2) / (h sigma)^2), where P are the
    patches around the two pixels (Buades, Coll and Morel 2005; the fast form of
    Darbon et al. 2008). With sigma subtracted, h of 0.6 to 0.8 is best for white
    noise.
    """

    name = "nlm"
    title = "Non-local means"
    Params = NonLocalMeansParams

    def run(
        self, frame: Frame, *, sigma: float, seed: int, token: CancelToken
    ) -> Generator[Event, None, Frame]:
        """Denoise one frame; see :meth:`Denoiser.run`. Nothing in it is random."""
        del seed
        from skimage.restoration import denoise_nl_means

        params: NonLocalMeansParams = self.params
        patch_size = params.patch_size | 1
        if patch_size != params.patch_size:
            yield Note(
                f"a patch needs a centre: {patch_size} px are used "
                f"instead of {params.patch_size} px"
            )
        yield Progress(0, 1)
        # scikit-image drops axes of length one: a tiny frame is mirrored to a patch.
        missing = [(0, max(0, patch_size - length)) for length in frame.shape]
        clean = _in_thread(
            partial(
                denoise_nl_means,
                np.pad(frame, missing, mode="symmetric"),
                patch_size=patch_size,
                patch_distance=params.patch_distance,
                h=params.h * sigma,
                sigma=sigma,
                fast_mode=True,
                preserve_range=True,
            ),
            token,
        )
        yield Progress(1, 1)
        inside = np.asarray(clean, dtype=np.float32)[: frame.shape[0], : frame.shape[1]]
        return np.ascontiguousarray(inside)


def _in_thread(call: Callable[[], Frame], token: CancelToken) -> Frame:
    """Run a call that cannot be interrupted, and abandon it when asked to stop."""
    outcome: list[Frame] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            failure.append(error)

    thread = threading.Thread(target=work, name="usflow-nlm", daemon=True)
    thread.start()
    while thread.is_alive():
        token.raise_if_cancelled()
        thread.join(POLL_S)
    token.raise_if_cancelled()
    if failure:
        raise failure[0]
    return outcome[0]
