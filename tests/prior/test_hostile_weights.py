"""Weights that nobody vouches for: refused at loading, in one line, of both kinds."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import napari_usflow as usf
from napari_usflow.errors import PriorError, UsflowError
from napari_usflow.networks.store import FORMAT as NETWORK
from napari_usflow.networks.store import load_network, save_network
from napari_usflow.prior.store import FORMAT as PRIOR
from napari_usflow.prior.store import save_prior

Load = Callable[[Path], object]


@pytest.fixture(params=["prior", "network"])
def weights(request, toy_flow, toy_network, tmp_path: Path) -> tuple[Path, str, Load]:
    """A good file of each kind, its format, and what loads it."""
    path = tmp_path / "weights.safetensors"
    if request.param == "prior":
        save_prior(toy_flow, path, {"pixel_mm": 0.4375})
        return path, PRIOR, lambda found: usf.load_prior(found, device="cpu")
    save_network(toy_network, path, {"pixel_mm": 0.4375})
    return path, NETWORK, lambda found: load_network(found, device="cpu")


def _card(path: Path) -> dict:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["usflow"])


def _again(path: Path, kind: str, tensors: dict, note: str | None = None) -> None:
    note = json.dumps(_card(path)) if note is None else note
    save_file(tensors, path, {"format": kind, "usflow": note})


def _refused(load: Load, path: Path, said: str) -> None:
    with pytest.raises(PriorError, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(weights, value: float) -> None:
    path, kind, load = weights
    tensors = load_file(path)
    name = next(k for k, v in tensors.items() if v.is_floating_point())
    tensors[name].view(-1)[-1] = value
    _again(path, kind, tensors)

    _refused(load, path, "has values that are not finite")


def test_weights_too_large_for_float32_are_refused(weights) -> None:
    path, kind, load = weights
    tensors = {k: v.double() for k, v in load_file(path).items()}
    next(iter(tensors.values())).view(-1)[0] = 1e300
    _again(path, kind, tensors)

    _refused(load, path, "has values that are not finite")


@pytest.mark.parametrize("depth", [10**4, 10**6])
def test_a_deeply_nested_header_is_refused(weights, depth: int) -> None:
    path, kind, load = weights
    _again(path, kind, load_file(path), "[" * depth + "]" * depth)

    _refused(load, path, "header is damaged")


@pytest.mark.parametrize("pixel_mm", [None, "wide", -1, 0, True, [1], float("nan")])
def test_a_pixel_size_that_is_none_is_refused(weights, pixel_mm: object) -> None:
    path, kind, load = weights
    note = json.dumps({**_card(path), "pixel_mm": pixel_mm})
    _again(path, kind, load_file(path), note)

    _refused(load, path, r"header is damaged \(pixel_mm is")


@pytest.mark.parametrize("change", ["missing", "renamed", "reshaped"])
def test_a_tensor_that_does_not_fit_is_named(weights, change: str) -> None:
    path, kind, load = weights
    tensors = load_file(path)
    name = max(tensors, key=lambda key: tensors[key].numel())
    found = tensors.pop(name)
    if change == "renamed":
        tensors["other"] = found
    elif change == "reshaped":
        tensors[name] = found.reshape(-1)
    _again(path, kind, tensors)

    _refused(load, path, "do not fit")


CHILD = """
import resource, sys
from pathlib import Path
import napari_usflow as usf
from napari_usflow.errors import PriorError
from napari_usflow.networks.store import load_network
kind, good, *bad = sys.argv[1:]
load = usf.load_prior if kind == "prior" else load_network
load(good, device="cpu")
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for path in bad:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        load(path, device="cpu")
    except PriorError as error:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""

PRIORS = [
    {"hidden": [4096] * 3, "steps": [2] * 3},
    {"hidden": [64] * 3, "steps": [4096] * 3},
    {"hidden": [4096] * 3, "steps": [4096] * 3},
    {"hidden": [64], "steps": [2], "embedding": 1024, "patch_size": 256},
]
NETWORKS = [
    {"channels": [4096], "blocks": [200]},
    {"channels": [1] * 8, "blocks": [256, 0, 0, 0, 0, 0, 0, 0]},
]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kB on Linux")
@pytest.mark.parametrize("kind", ["prior", "network"])
def test_an_architecture_larger_than_its_file_asks_for_no_memory(
    kind: str, toy_flow, toy_network, tmp_path: Path
) -> None:
    good = tmp_path / "good.safetensors"
    if kind == "prior":
        save_prior(toy_flow, good, {})
        stated, architectures = PRIOR, [{"patch_size": 32, **p} for p in PRIORS]
    else:
        save_network(toy_network, good, {})
        stated, architectures = NETWORK, NETWORKS
    bad = [tmp_path / f"{n}.safetensors" for n in range(len(architectures))]
    for path, architecture in zip(bad, architectures, strict=True):
        note = json.dumps({"architecture": architecture})
        save_file(load_file(good), path, {"format": stated, "usflow": note})

    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind, good, *bad],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    lines = done.stdout.splitlines()
    assert len(lines) == len(bad)
    for line in lines:
        kilobytes, said = line.split(" ", 1)
        assert int(kilobytes) < 100 * 1024
        assert "more than the file" in said


@pytest.mark.parametrize("method", ["flow", "realtime", "best"])
def test_a_result_that_is_not_finite_is_an_error(method: str, monkeypatch) -> None:
    """Of weights that are finite and still overflow, as a diverged training leaves."""
    from napari_usflow.denoising.working_pixel import WorkingPixel

    monkeypatch.setattr(
        WorkingPixel,
        "averaged",
        lambda self, parts, shape: np.full(shape, np.nan, np.float32),
    )
    frame = np.random.default_rng(0).normal(-30, 5, (40, 40)).astype(np.float32)

    with pytest.raises(UsflowError, match=rf"{method}, frame 1/1: 1600 of 1600 pixels"):
        usf.denoise(frame, method=method, device="cpu", sigma=0.1)
