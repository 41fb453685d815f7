"""Image in, image out.

The methods are in :mod:`~napari_usflow.denoise.algorithms`; what they need (torch,
scikit-image) is loaded when they run.
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise.arguments import stack_and_settings
from napari_usflow.denoise.contract import Denoiser, method_class, methods
from napari_usflow.denoise.lazy import is_lazy, lazy_denoised
from napari_usflow.denoise.pipeline import Settings, denoise_events
from napari_usflow.jobs import FrameDone
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["Denoiser", "Settings", "create", "denoise", "denoise_events", "methods"]

ImageT = TypeVar("ImageT", UltrasoundImage, npt.NDArray[Any])

_SETTINGS_OF_METHODS = ("mix_back", "strength")


def create(
    method: str = "best",
    *,
    preset: str | None = None,
    prior: Any = None,
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
    prior : str or path, optional
        Prior to use; the shipped one by default.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    **params
        Parameters of the method, in place of the preset's.

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
        prior=prior,
        device=device,
    )


def denoise(
    image: ImageT,
    *,
    method: str = "best",
    sigma: float | None = None,
    pixel_size_mm: float | tuple[float, float] | None = None,
    value_range: tuple[float, float] | None = None,
    dynamic_range_db: float = 60.0,
    bias_correction: bool = False,
    prior: Any = None,
    device: str = "auto",
    seed: int = 0,
    **method_params: Any,
) -> ImageT:
    """Remove the speckle of an image or a stack.

    Parameters
    ----------
    image : ndarray or dask array, shape (Z, X) or (T, Z, X), or UltrasoundImage
        Decibels, 8-bit grey or floats in [0, 1]; an UltrasoundImage says what it is.
        What is lazy (a dask array) stays so, see :mod:`napari_usflow.denoise.lazy`;
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
    value_range : (float, float), optional
        What is mapped to [0, 1]: by default (-dynamic_range_db, 0) for dB, (0, 255)
        for 8-bit, (0, 1) for floats in it.
    dynamic_range_db : float
        How many decibels that range spans; taken from ``value_range`` when the
        values are dB.
    bias_correction : bool
        Add the 2.507 dB by which the mean of log-compressed speckle lies below the
        logarithm of its mean intensity.
    prior : str or path, optional
        Prior to use; the shipped one by default.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    seed : int
        Makes whatever is random repeatable.
    **method_params
        Parameters of the method, or its ``preset``, see :func:`create`; also
        ``strength`` (0 to 2) and ``mix_back``, see :class:`Settings`.

    Returns
    -------
    ndarray, dask array or UltrasoundImage
        Of the input's type, shape and values; integers are rounded.

    Raises
    ------
    ValueError
        When the image has NaN or infinite pixels, is of another shape, or its
        values cannot be told; when an argument is of another type or out of its
        limits; when ``pixel_size_mm`` is given for an image that knows its own.
    """
    common = {
        name: method_params.pop(name)
        for name in _SETTINGS_OF_METHODS
        if name in method_params
    }
    denoiser = create(method, prior=prior, device=device, **method_params)
    stack, settings = stack_and_settings(
        image,
        sigma=sigma,
        pixel_size_mm=pixel_size_mm,
        value_range=value_range,
        dynamic_range_db=dynamic_range_db,
        bias_correction=bias_correction,
        seed=seed,
        **common,
    )
    result: Any
    if is_lazy(stack.data):
        result = lazy_denoised(stack, denoiser, settings)
    else:
        result = np.empty(stack.data.shape, dtype=np.float32)
        for event in denoise_events(stack, denoiser, settings):
            if isinstance(event, FrameDone):
                result[event.index] = event.data
    if isinstance(image, UltrasoundImage):
        return image.with_data(result)
    typed: ImageT = _as_type_of(image, result)
    return typed


def _as_type_of(array: Any, result: Any) -> Any:
    array = array if is_lazy(array) else np.asarray(array)
    result = result.reshape(array.shape)
    if np.issubdtype(array.dtype, np.integer):
        limits = np.iinfo(array.dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
    return result.astype(array.dtype)


class _CallableModule(ModuleType):
    """Lets ``napari_usflow.denoise`` be called once the package of that name is loaded.

    Importing a submodule binds its name on the parent package, where the function
    of the same name is public.
    """

    __call__ = staticmethod(denoise)


sys.modules[__name__].__class__ = _CallableModule
