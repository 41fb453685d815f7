"""Denoise an image or a stack, by the name of a method."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.arguments import near_zero, stack_and_settings
from napari_usflow.denoising.array_kinds import plain_array
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.frame_loop import values_of
from napari_usflow.denoising.lazy import is_lazy, lazy_denoised
from napari_usflow.denoising.on_lines import SectorChoice, sector_plan
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.jobs import CancelToken, Event, Note, stack_of
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["create", "denoise"]

ImageT = TypeVar("ImageT", UltrasoundImage, npt.NDArray[Any])

_SETTINGS_OF_METHODS = ("mix_back", "strength")


def create(
    method: str = "best",
    *,
    preset: str | None = None,
    weights: Any = None,
    device: str = "auto",
    **params: Any,
) -> Denoiser:
    """Make a denoiser by name.

    Parameters
    ----------
    method : str
        One of :func:`methods`.
    preset : str, optional
        Name of parameters of the method, such as ``paper``; its defaults when omitted.
    weights : str or path, optional
        Prior or network to use: a shipped name or a file; the method's own by default.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    **params
        Parameters of the method, in place of the preset's.

    Returns
    -------
    Denoiser

    Raises
    ------
    ValueError
        When there is no such method or preset, or a parameter is out of its limits.
    TypeError
        When the method has no such parameter.
    """
    cls = method_class(method)
    known = [field.name for field in fields(cls.Params)]
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise TypeError(
            f"method {method!r} has no parameter {', '.join(unknown)}; "
            f"it has {', '.join(known) or 'none'}"
        )
    return cls(
        replace(cls.preset(preset), **params),
        weights=weights,
        device=device,
    )


def denoise(
    image: ImageT,
    *,
    method: str = "best",
    sigma: float | None = None,
    pixel_size_mm: float | tuple[float, float] | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    dynamic_range_db: float = 60.0,
    bias_correction: bool = False,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    seed: int = 0,
    sector: SectorChoice = None,
    mask_outside: bool = False,
    on_event: Callable[[Event], object] | None = None,
    token: CancelToken | None = None,
    **method_params: Any,
) -> ImageT:
    """Remove the speckle of an image or a stack.

    Parameters
    ----------
    image : ndarray or dask array, shape (Z, X) or (T, Z, X), or UltrasoundImage
        An UltrasoundImage says what its numbers are. Of an array decibels, 8-bit grey,
        floats in [0, 1], RF of both signs and complex IQ are recognised, see
        :mod:`napari_usflow.ultrasound.value_rule`; of others ``values`` or
        ``value_range`` says it. NaN is outside of the image and given back as NaN;
        -Inf, the logarithm of zero, is the lowest level of its frame.
        A picture in colours, (Z, X, 3) or (T, Z, X, 3), becomes grey and is given back
        in three equal channels.
        Tensors of torch and arrays of xarray are taken too, and masked arrays, whose
        masked pixels are outside of the image and given back as they are.
        What is lazy (a dask array) stays so, see :mod:`napari_usflow.denoising.lazy`;
        an active dask client computes it.
    method : str
        One of :func:`methods`.
    sigma : float, optional
        Noise standard deviation as a fraction of the dynamic range (speckle over
        60 dB: 5.57 / 60). When omitted, networks do without it, and for the other
        methods it is measured in the middle frame.
    pixel_size_mm : float or (float, float), optional
        Pixel size in mm (axial, lateral); needed only where a parameter is a length
        in mm. An UltrasoundImage may know its own, which cannot be replaced.
    values : {"db", "envelope", "display", "rf"}, optional
        What the numbers of an array are, where they do not tell. Of ``rf`` the envelope
        along depth is denoised, in decibels.
    value_range : (float, float), optional
        What is mapped to [0, 1]: by default (-dynamic_range_db, 0) for dB, (0, 255)
        for 8-bit, (0, 1) for floats in it.
    dynamic_range_db : float
        How many decibels that range spans; taken from ``value_range`` when the
        values are dB.
    bias_correction : bool
        Add the 2.507 dB by which the mean of log-compressed speckle lies below the
        logarithm of its mean intensity.
    weights : str or path, optional
        Prior or network to use: a shipped name or a file; the method's own by default.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    seed : int
        Makes whatever is random repeatable.
    sector : Sector, "auto" or None
        Of a scan-converted picture or clip: its speckle is removed on the lines of the
        sector. With "auto" the sector is found (:func:`find_sector`), and where none is
        sure enough the picture is denoised as it is; a note says which.
    mask_outside : bool
        Give what is around the sector no echo: no text, no name. Otherwise what is
        around a sector that is denoised on its lines stays as it is.
    on_event : callable, optional
        Called with each :class:`~napari_usflow.jobs.Event`: notes, progress within a
        frame, finished frames. Not for what is lazy.
    token : CancelToken, optional
        Cancel it, from ``on_event`` or another thread, to stop between two batches. Not
        for what is lazy.
    **method_params
        ``strength`` (0 to 2; 1 takes away what is measured), ``mix_back`` (0 to 1, the
        share of the removed speckle that is added back), and the parameters of the
        method or its ``preset``: ``help(usf.method_class("nlm"))`` lists those of
        ``nlm``, ``docs/methods.md`` those of all.

    Returns
    -------
    ndarray, dask array or UltrasoundImage
        Of the input's type, shape and values; integers are rounded. RF and IQ become
        decibels, float32.

    Raises
    ------
    ValueError
        When the image has pixels of +Inf, is of another shape, shows colour Doppler, or
        its values cannot be told; when an argument is of another type or out of its
        limits; when ``pixel_size_mm`` is given for an image that knows its own; when
        what is around a sector is to be masked and none is found.
    TypeError
        When the method has no such parameter.
    Cancelled
        When the token was cancelled.

    Examples
    --------
    A bright square under log-compressed speckle, in decibels:

    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> tissue = np.full((64, 64), -40.0)
    >>> tissue[16:48, 16:48] = -20
    >>> rng = np.random.default_rng(0)
    >>> noisy = tissue + 10 * np.log10(rng.exponential(size=(64, 64)))
    >>> clean = usf.denoise(noisy, method="nlm", value_range=(-60, 0))
    >>> bool(np.std(clean - tissue) < np.std(noisy - tissue) / 2)
    True

    A stack of 8-bit grey, with its progress; another method with a parameter:

    >>> grey = np.clip(255 * (noisy / 60 + 1), 0, 255).astype(np.uint8)
    >>> frames = np.stack([grey, grey])
    >>> done = []
    >>> def report(event):
    ...     if isinstance(event, usf.FrameDone):
    ...         done.append(event.index)
    >>> clean = usf.denoise(frames, method="tv", weight=1.5, on_event=report)
    >>> clean.shape, clean.dtype.name, done
    ((2, 64, 64), 'uint8', [0, 1])
    """
    common = {
        name: method_params.pop(name)
        for name in _SETTINGS_OF_METHODS
        if name in method_params
    }
    denoiser = create(method, weights=weights, device=device, **method_params)
    plain, back = _plain(image)
    stack, settings = stack_and_settings(
        plain,
        sigma=sigma,
        pixel_size_mm=pixel_size_mm,
        values=values,
        value_range=value_range,
        dynamic_range_db=dynamic_range_db,
        bias_correction=bias_correction,
        seed=seed,
        **common,
    )
    stack, settings, offset = near_zero(stack, settings)
    low = values_of(stack, settings).low
    scene = sector_plan(stack, sector, mask_outside=mask_outside, low=low)
    result: Any
    if is_lazy(stack.data):
        if on_event is not None or token is not None:
            raise ValueError(
                "a lazy image is denoised when it is computed: on_event and token do "
                "not reach it; compute the image first, or use dask's ProgressBar"
            )
        result = scene.lazy_pictures(lazy_denoised(scene.work, denoiser, settings))
    else:
        if on_event is not None and scene.sentence():
            on_event(Note(scene.sentence()))
        events = denoise_events(scene.work, denoiser, settings, token=token)
        events = scene.pictures(events)
        result = stack_of(events, stack.data.shape, on_event)
    if offset:
        result = result.astype(np.float64) + offset
    if isinstance(image, UltrasoundImage):
        return image.with_data(back(result))
    if stack.metadata.get("signal"):
        result = result.reshape(plain.shape)
    else:
        result = _as_type_of(plain, result)
    typed: ImageT = back(result)
    return typed


def _plain(image: Any) -> tuple[Any, Any]:
    """Return the input as an array or image, and a function for the way back."""
    if isinstance(image, UltrasoundImage):
        data, back = plain_array(image.data)
        return (image if data is image.data else image.with_data(data)), back
    return plain_array(image)


def _as_type_of(array: Any, result: Any) -> Any:
    array = array if is_lazy(array) else np.asarray(array)
    result = result.reshape(array.shape)
    if np.issubdtype(array.dtype, np.integer):
        limits = np.iinfo(array.dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
    return result.astype(array.dtype)
