"""A method as a denoiser of deepinv, to be plugged into its solvers.

deepinv (https://deepinv.github.io) expects images (B, C, H, W) in [0, 1] under white
Gaussian noise whose standard deviation is given. It is imported where it is installed,
and not needed otherwise.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

__all__ = ["DeepinvDenoiser", "load_deepinv"]

_libraries: list[Any] = []


def load_deepinv() -> Any:
    """Import deepinv.

    torchvision's usual wheel is built for CUDA. Beside a CPU build of torch its
    compiled operators do not load, and its import fails where it describes two of
    them. deepinv uses neither here: declaring them lets it load.

    Raises
    ------
    ValueError
        When it is installed but does not load.
    """
    try:
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise
            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(
                    f"{name}(Tensor boxes, Tensor scores, float t) -> Tensor"
                )
            _libraries.append(library)  # declarations live as long as their library
        import deepinv
    except (ImportError, RuntimeError) as error:
        raise ValueError(
            f"deepinv is installed but does not load ({error}); check that torchvision "
            "fits torch"
        ) from error
    return deepinv


def _base() -> Any:
    """Return deepinv's class of denoisers, or torch's of modules without deepinv."""
    return load_deepinv().models.Denoiser if find_spec("deepinv") else torch.nn.Module


class DeepinvDenoiser(_base()):  # type: ignore[misc]
    """A method of this package under deepinv's contract for denoisers.

    Without deepinv it is a :class:`torch.nn.Module` that is called in the same way.

    Parameters
    ----------
    method : str
        One of :func:`~napari_usflow.methods`. Networks take the one for white noise.
    **params
        Parameters of the method, and ``prior``.

    Raises
    ------
    ValueError
        When there is no such method.

    Examples
    --------
    >>> import torch
    >>> import napari_usflow as usf
    >>> denoiser = usf.DeepinvDenoiser("nlm")
    >>> denoiser(torch.full((1, 1, 32, 32), 0.5), 0.1).shape
    torch.Size([1, 1, 32, 32])
    """

    def __init__(self, method: str = "best", **params: Any) -> None:
        import napari_usflow as usf

        super().__init__()
        if method not in usf.methods():
            raise ValueError(
                f"there is no method {method!r}; choose one of "
                f"{', '.join(usf.methods())}"
            )
        if method in ("best", "realtime"):
            params = {"noise": "white", **params}
        self.method, self.params = method, params

    def forward(
        self, x: torch.Tensor, sigma: float | torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        """Denoise a batch of images; no gradient passes through.

        Parameters
        ----------
        x : tensor, shape (B, C, H, W), nominally in [0, 1]
            Each channel is denoised by itself.
        sigma : float or tensor, shape () or (1,) or (B,) or (B, 1, 1, 1)
            Standard deviation of the noise, >= 0; an image with 0 comes back as it is.
        **kwargs
            Ignored, as deepinv's solvers pass on what only some denoisers take.

        Returns
        -------
        tensor
            Of the shape, type and device of ``x``.

        Raises
        ------
        ValueError
            When ``x`` has no four axes, or ``sigma`` is negative or of another shape.
        """
        import napari_usflow as usf

        if x.ndim != 4:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, C, H, W)")
        levels = _levels(sigma, len(x))
        images = x.detach().to(torch.float32).cpu()
        result = images.clone()
        for level in sorted({level for level in levels if level > 0}):
            alike = [i for i, other in enumerate(levels) if other == level]
            stack = images[alike].flatten(0, 1).numpy()
            clean = usf.denoise(
                stack,
                method=self.method,
                sigma=level,
                value_range=(0.0, 1.0),
                device=str(x.device),
                **self.params,
            )
            result[alike] = torch.from_numpy(clean).view_as(images[alike])
        return result.to(x)


def _levels(sigma: float | torch.Tensor, images: int) -> list[float]:
    """Noise level of each image; ValueError when they are too few, or negative."""
    given = [float(level) for level in torch.as_tensor(sigma).flatten()]
    if len(given) not in (1, images) or min(given) < 0:
        raise ValueError(
            f"sigma is {given}; expected one number >= 0, or one for each of the "
            f"{images} images"
        )
    return given if len(given) == images else given * images
