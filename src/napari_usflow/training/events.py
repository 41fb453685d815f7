"""Events of a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import Event

__all__ = [
    "CheckpointWritten",
    "Estimated",
    "Previewed",
    "TrainStep",
    "Validated",
]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Estimated(Event):
    """Estimated cost of a run, from a trial step before the first one.

    Attributes
    ----------
    parameters : int
        Weights of the flow or network.
    seconds : float
        From here to the last step.
    patches_per_second : float
        Over the whole run.
    memory_bytes : int
        Weights, their average, the optimizer's state and the activations of a step,
        on the device; the patches are on disk.
    """

    parameters: int
    seconds: float
    patches_per_second: float
    memory_bytes: int


@dataclass(frozen=True)
class TrainStep(Event):
    """A step was taken.

    ``epoch`` is how often the training pixels have been drawn so far, on average;
    ``patches_per_second`` is of all processes together; ``seconds_left`` is to the
    end of the run, or of the time it was given.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    patches_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validated(Event):
    """Quality of the averaged weights on held-out patches.

    Attributes
    ----------
    step : int
    bits_per_dim : float or None
        Of a flow, at the smallest noise level, on a scale of 256 grey levels.
    psnr_db : dict
        Of the posterior mean, or of a network's result, one for each level of
        Gaussian noise (none for a flow without levels).
    speckle_psnr_db : float or None
        Of a network's result, on simulated speckle, after the offset that suits each
        patch best.
    """

    step: int
    bits_per_dim: float | None
    psnr_db: dict[float, float]
    speckle_psnr_db: float | None = None

    def record(self) -> dict[str, Any]:
        """Return what there is, for the log and the card."""
        return {k: v for k, v in asdict(self).items() if v is not None}


@dataclass(frozen=True)
class Previewed(Event):
    """Pictures of what is known so far, patches (N, S, S) in [0, 1].

    Attributes
    ----------
    step : int
    sigma : float
        Noise level of ``noisy``.
    real, generated : ndarray
        Held-out patches beside samples of the flow (the paper's Fig. 2); a network
        generates none.
    noisy, denoised : ndarray
        The same held-out patches with noise, and their posterior mean; both empty
        for a flow without noise levels. Of a network the second half has speckle
        instead, and ``real`` what it should give there.
    """

    step: int
    sigma: float
    real: Float
    generated: Float
    noisy: Float
    denoised: Float


@dataclass(frozen=True)
class CheckpointWritten(Event):
    """The state to go on from was written, and the weights as they are now."""

    step: int
    path: Path
    weights: Path
