"""Contract of a denoiser, and the registry of methods."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from napari_usflow.denoising.array_types import Frame, UncertaintyKind
from napari_usflow.jobs import CancelToken, Event
from napari_usflow.parameters import check_parameters, parameter_help
from napari_usflow.prior import PRIOR_PIXEL_MM

if TYPE_CHECKING:
    from napari_usflow.denoising.noise_estimation import Noise
    from napari_usflow.denoising.working_pixel import WorkingPixel

__all__ = [
    "PRIOR_PIXEL",
    "Denoiser",
    "Run",
    "method",
    "registered",
]

PRIOR_PIXEL = (PRIOR_PIXEL_MM, PRIOR_PIXEL_MM)
"""The prior's pixel (axial, lateral) in mm."""


@dataclass(frozen=True)
class Run:
    """Settings of one frame's denoising that all methods share.

    Attributes
    ----------
    sigma : float
        Noise standard deviation in the frame's values; 0 lets a blind method
        (:attr:`Denoiser.blind`) estimate it.
    seed : int
        Makes whatever is random repeatable.
    token : CancelToken
        Looked at between two batches.
    dynamic_range_db : float
        Decibels from 0 to 1 of the frame's values; for the methods that work on the
        envelope or know the statistics of speckle.
    pixel_mm : (float, float)
        The frame's pixel (axial, lateral), for the methods that are told lengths.
    """

    sigma: float
    seed: int = 0
    token: CancelToken = field(default_factory=CancelToken)
    dynamic_range_db: float = 60.0
    pixel_mm: tuple[float, float] = PRIOR_PIXEL


class Denoiser(ABC):
    """Denoise frames: the contract of all methods.

    A subclass names itself, lists its parameters in a frozen dataclass and writes
    :meth:`run`. Frames are float32, nominally in [0, 1] (values outside are kept:
    clipping noise costs a decibel), at the pixel of :meth:`working_pixel`.

    The result is deterministic for a seed, whatever the order of frames.

    Parameters
    ----------
    params : Params, optional
        Parameters of the method; its defaults when omitted.
    weights : str or path, optional
        Prior or network to use, for the methods that have one.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Params: ClassVar[type]
    params: Any
    uses_prior: ClassVar[bool] = False
    baseline: ClassVar[bool] = False
    """Whether it is classical: nothing about it was learned."""
    uncertainties: ClassVar[tuple[UncertaintyKind, ...]] = ()
    """Kinds that :func:`napari_usflow.uncertainty` offers for it, the default first."""
    blind: ClassVar[bool] = False
    """Whether a noise level of 0 lets the method find it by itself."""
    returns_detail: ClassVar[bool] = False
    """Whether :func:`~.working_pixel.detail_returned` completes the result."""
    presets: ClassVar[Mapping[str, Any]] = {}
    """Parameters that have a name, such as a paper's, beside the defaults."""
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Search grid of *Tune*: values of parameters, the filter strength last. Empty
    where *Tune* does not apply."""

    def __init__(
        self, params: Any = None, *, weights: Any = None, device: str = "auto"
    ) -> None:
        self.params = self.Params() if params is None else params
        check_parameters(self.params)
        self.weights = weights
        self.device = device

    @classmethod
    def preset(cls, name: str | None) -> Any:
        """Return named parameters, the defaults without a name.

        Raises
        ------
        ValueError
            When there is no such preset.
        """
        if name is None:
            return cls.Params()
        if name not in cls.presets:
            raise ValueError(
                f"method {cls.name} has no preset {name!r}; "
                f"it has {', '.join(cls.presets) or 'none'}"
            )
        return cls.presets[name]

    @property
    def needs_noise(self) -> bool:
        """Return whether the noise has to be measured even where a level is given."""
        return not self.blind

    def suited(self, noise: Noise) -> Denoiser:
        """Return the variant of this method for a noise; itself by default."""
        return self

    def working_pixel(self, noise: Noise) -> WorkingPixel:
        """Return the pixel to work at; the image's own by default."""
        from napari_usflow.denoising.working_pixel import WorkingPixel

        return WorkingPixel()

    def working_sigma(self, noise: Noise, pixel: WorkingPixel) -> float:
        """Return the noise level to work with at a working pixel."""
        return noise.sigma

    @abstractmethod
    def run(self, frame: Frame, run: Run) -> Generator[Event, None, Frame]:
        """Denoise one frame.

        Parameters
        ----------
        frame : ndarray, shape (Z, X), float32, nominally in [0, 1]
        run : Run
            Noise level, seed, cancel token, and what the frame's values and pixels are.

        Yields
        ------
        Event
            Progress within the frame.

        Returns
        -------
        ndarray, shape (Z, X), float32
            The denoised frame, in the same range.

        Raises
        ------
        Cancelled
            When the token was set; it is looked at between two batches.
        """

    @property
    def starts_warm(self) -> bool:
        """Whether warm start is enabled."""
        return False

    def follow(
        self, previous: Frame | None, frame: Frame, run: Run
    ) -> Generator[Event, None, Frame]:
        """Denoise one frame of a sequence, where :attr:`starts_warm`.

        Parameters
        ----------
        previous : ndarray, shape (Z, X), float32, optional
            What it gave for another frame of the sequence, if there is one.
        frame, run
            See :meth:`run`.

        Yields
        ------
        Event
            Progress within the frame, and
            :class:`~napari_usflow.denoising.warm_start.Started` once.

        Returns
        -------
        ndarray, shape (Z, X), float32
        """
        raise NotImplementedError

    def provenance(self) -> dict[str, Any]:
        """Return the provenance: method and parameters."""
        return {"method": self.name, "parameters": asdict(self.params)}


registered: dict[str, type[Denoiser]] = {}
"""The methods whose modules were imported, by name."""


def method(cls: type[Denoiser]) -> type[Denoiser]:
    """Register a denoiser under its name (class decorator).

    Its docstring gets the parameters of the method, from their dataclass.
    """
    registered[cls.name] = cls
    title = "Parameters of the method"
    cls.__doc__ = (
        f"{inspect.cleandoc(cls.__doc__ or cls.title)}\n\n{title}\n{'-' * len(title)}\n"
        f"{parameter_help(cls.Params)}\n"
    )
    return cls
