"""A denoiser of a test, registered for one test."""

from __future__ import annotations

import pytest

from napari_usflow.denoising.algorithms import METHODS
from napari_usflow.denoising.contract import Denoiser, registered

__all__ = ["register"]


def register(monkeypatch: pytest.MonkeyPatch, cls: type[Denoiser]) -> None:
    """Have a class found by its name, as the last of all methods."""
    monkeypatch.setitem(METHODS, cls.name, "napari_usflow.denoising.contract")
    monkeypatch.setitem(registered, cls.name, cls)
