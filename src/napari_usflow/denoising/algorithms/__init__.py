"""The denoising methods, one module each; a new one is a line in :data:`MODULES`."""

from __future__ import annotations

__all__ = ["MODULES"]

MODULES = (
    f"{__name__}.network",
    f"{__name__}.flow.posterior_mean",
    f"{__name__}.flow.latent_map",
    f"{__name__}.flow.speckle_scoring",
    f"{__name__}.nlm",
    f"{__name__}.obnlm",
    f"{__name__}.srad",
    f"{__name__}.tv",
)
"""Where methods are, in the order in which they are listed; the default comes first."""
