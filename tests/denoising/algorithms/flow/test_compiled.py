"""A compiled inverse is the inverse; where it cannot be had, the search goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.denoising.algorithms.flow.compiled import compiled_inverse
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.jobs import Note
from napari_usflow.prior.glow import Glow, GlowConfig

COMPILE = torch.compile


@pytest.fixture(autouse=True)
def fresh():
    """No compiled flow is left from test to test."""
    compiled_inverse.cache_clear()
    yield
    compiled_inverse.cache_clear()


def test_compiled_patches_and_gradients_are_those_of_the_inverse(
    device, monkeypatch
) -> None:
    # On a processor all but the last stage, which needs a C++ compiler.
    if device == "cpu":
        monkeypatch.setattr(
            torch, "compile", lambda f, mode: COMPILE(f, backend="aot_eager")
        )
    torch.manual_seed(0)
    flow = Glow(GlowConfig(patch_size=8, steps=(1,), hidden=(4,)))
    flow = flow.to(device).eval().requires_grad_(False)
    z = torch.randn(3, 64, device=device, requires_grad=True)
    expected = flow.inverse(z, 0.03)
    (slope,) = torch.autograd.grad(expected.square().sum(), z)

    decode, reason = compiled_inverse(flow, 0.03, 3)
    found = decode(z, 0.03)
    (found_slope,) = torch.autograd.grad(found.square().sum(), z)

    assert reason == ""
    assert decode != flow.inverse
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found_slope, slope, rtol=1e-4, atol=1e-5)


def test_where_nothing_compiles_the_search_goes_on_and_says_so(
    tiny_prior, monkeypatch
) -> None:
    def fails(*args, **kwargs):
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler\nin a cache")

    frame = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    method = {"weights": tiny_prior, "device": "cpu", "iterations": 2, "stride": 32}

    def run(**params):
        events, told = create("flow-map", **method, **params).run(frame, Run(0.1)), []
        while True:
            try:
                told.append(next(events))
            except StopIteration as stop:
                return stop.value, [e.text for e in told if isinstance(e, Note)]

    expected, silent = run()
    monkeypatch.setattr(torch, "compile", lambda f, mode: fails)
    result, told = run(compiled=True)

    np.testing.assert_array_equal(result, expected)
    assert silent == []
    assert len(told) == 1
    assert "no working C++ compiler" in told[0]
    assert "in a cache" not in told[0]
