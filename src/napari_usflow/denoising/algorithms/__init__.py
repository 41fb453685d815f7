"""The denoising methods, one module each; a new one is a line in :data:`METHODS`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_usflow.denoising.contract import Denoiser

__all__ = ["METHODS", "method_class", "methods"]

METHODS = {
    "best": f"{__name__}.network",
    "realtime": f"{__name__}.network",
    "flow": f"{__name__}.flow.posterior_mean",
    "flow-map": f"{__name__}.flow.latent_map",
    "flow-speckle": f"{__name__}.flow.speckle_scoring",
    "nlm": f"{__name__}.nlm",
    "obnlm": f"{__name__}.obnlm",
    "srad": f"{__name__}.srad",
    "tv": f"{__name__}.tv",
}
"""Names of methods and their modules, as they are listed; the default comes first."""


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
    return tuple(METHODS)


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
    if name not in METHODS:
        raise ValueError(
            f"there is no method {name!r}; choose one of {', '.join(METHODS)}"
        )
    import_module(METHODS[name])
    from napari_usflow.denoising.contract import registered

    return registered[name]
