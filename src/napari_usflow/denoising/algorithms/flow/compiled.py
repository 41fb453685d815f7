"""The inverse of a flow, compiled for where it runs.

A step of the latent MAP is some hundred small operations. On a graphics card it takes
longer to start them than to do them; ``torch.compile`` merges them, and in its mode
``reduce-overhead`` records what is left as a CUDA graph that is started at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from napari_usflow.prior.glow import Glow

    Decode = Callable[..., torch.Tensor]

__all__ = ["compiled_inverse"]


@lru_cache(maxsize=2)
def compiled_inverse(flow: Glow, sigma: float, count: int) -> tuple[Decode, str]:
    """Compile the inverse of a flow, and its gradient, once.

    Parameters
    ----------
    flow : Glow
    sigma : float
        Noise level it is asked for.
    count : int
        Patches worked on at once; other numbers are compiled when they come.

    Returns
    -------
    decode : callable
        Takes what :meth:`Glow.inverse` does; that itself where it cannot be compiled.
    reason : str
        Why it cannot; empty where it can.
    """
    import torch

    decode: Any = torch.compile(flow.inverse, mode="reduce-overhead")
    device = next(flow.parameters()).device
    z = torch.zeros(count, flow.dimension, device=device, requires_grad=True)
    try:
        decode(z, sigma).sum().backward()
    # No compiler, no Triton, too little memory: each has its own error.
    except RuntimeError as error:
        return flow.inverse, f"{type(error).__name__}: {error}".partition("\n")[0]
    return decode, ""
