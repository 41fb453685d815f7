"""What a denoiser is: the contract every method keeps, and their registry."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import asdict
from importlib import import_module
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
    "method",
    "method_class",
    "methods",
]

PRIOR_PIXEL = (PRIOR_PIXEL_MM, PRIOR_PIXEL_MM)
"""The prior's pixel (axial, lateral) in mm."""


class Denoiser(ABC):
    """Takes a noisy frame, gives a clean one.

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
    uses_prior: ClassVar[bool] = False
    baseline: ClassVar[bool] = False
    """Whether it is classical: nothing about it was learned."""
    uncertainties: ClassVar[tuple[UncertaintyKind, ...]] = ()
    """What :func:`napari_usflow.uncertainty` tells of its result, the usual first."""
    blind: ClassVar[bool] = False
    """Whether a noise level of 0 lets the method find it by itself."""
    returns_detail: ClassVar[bool] = False
    """Whether :func:`~.working_pixel.detail_returned` completes the result."""
    presets: ClassVar[Mapping[str, Any]] = {}
    """Parameters that have a name, such as a paper's, beside the defaults."""

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
        """Tell whether the noise has to be measured even where a level is given."""
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
    def run(
        self,
        frame: Frame,
        *,
        sigma: float,
        seed: int,
        token: CancelToken,
        dynamic_range_db: float = 60.0,
        pixel_mm: tuple[float, float] = PRIOR_PIXEL,
    ) -> Generator[Event, None, Frame]:
        """Denoise one frame.

        Parameters
        ----------
        frame : ndarray, shape (Z, X), float32, nominally in [0, 1]
        sigma : float
            Noise standard deviation in the frame's values; 0 lets a :attr:`blind`
            method find it out.
        seed : int
            Makes whatever is random repeatable.
        token : CancelToken
            Looked at between two batches; :class:`~napari_usflow.errors.Cancelled`
            is raised when it was set.
        dynamic_range_db : float
            Decibels from 0 to 1 of the frame's values; for the methods that work on
            the envelope or know the statistics of speckle.
        pixel_mm : (float, float)
            The frame's pixel (axial, lateral), for the methods that are told lengths.

        Yields
        ------
        Event
            Progress within the frame.

        Returns
        -------
        ndarray, shape (Z, X), float32
            The denoised frame, in the same range.
        """

    @property
    def starts_warm(self) -> bool:
        """Whether it was asked to start a frame from the result of another."""
        return False

    def follow(
        self, previous: Frame | None, frame: Frame, **facts: Any
    ) -> Generator[Event, None, Frame]:
        """Denoise one frame of a sequence, where :attr:`starts_warm`.

        Parameters
        ----------
        previous : ndarray, shape (Z, X), float32, optional
            What it gave for another frame of the sequence, if there is one.
        frame, **facts
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
        """Give what must be stored to do this again."""
        return {"method": self.name, "parameters": asdict(self.params)}


_REGISTRY: dict[str, type[Denoiser]] = {}


def method(cls: type[Denoiser]) -> type[Denoiser]:
    """Register a denoiser under its name (class decorator).

    Its docstring gets the parameters of the method, from their dataclass.
    """
    _REGISTRY[cls.name] = cls
    title = "Parameters of the method"
    cls.__doc__ = (
        f"{inspect.cleandoc(cls.__doc__ or cls.title)}\n\n{title}\n{'-' * len(title)}\n"
        f"{parameter_help(cls.Params)}\n"
    )
    return cls


def methods() -> tuple[str, ...]:
    """Return the names of the denoising methods, the default first.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import napari_usflow as usf
    >>> usf.methods()[:3]
    ('best', 'realtime', 'flow')
    """
    return tuple(_registered())


def method_class(name: str) -> type[Denoiser]:
    """Return the class of a method, whose help lists its parameters.

    Parameters
    ----------
    name : str
        One of :func:`methods`.

    Returns
    -------
    type
        A subclass of :class:`Denoiser`.

    Raises
    ------
    ValueError
        When there is no such method.

    Examples
    --------
    >>> import napari_usflow as usf
    >>> nlm = usf.method_class("nlm")
    >>> nlm.title, nlm.Params().h
    ('Non-local means', 0.8)
    """
    try:
        return _registered()[name]
    except KeyError:
        raise ValueError(
            f"there is no method {name!r}; choose one of {', '.join(_registered())}"
        ) from None


def _registered() -> dict[str, type[Denoiser]]:
    """Import the modules of the methods, once; each registers what it holds.

    The order is that of the list, whichever module was imported first.
    """
    from napari_usflow.denoising.algorithms import MODULES

    places = {name: place for place, name in enumerate(MODULES)}
    for module in MODULES:
        import_module(module)
    return dict(
        sorted(
            _REGISTRY.items(),
            key=lambda entry: places.get(entry[1].__module__, len(places)),
        )
    )
