"""What a device is told to do by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from napari_usflow.device import computes_bfloat16


@pytest.mark.parametrize(
    ("capability", "does"), [((7, 5), False), ((8, 0), True), ((9, 0), True)]
)
def test_graphics_cards_from_ampere_on_multiply_bfloat16(
    monkeypatch, capability, does
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    assert computes_bfloat16(torch.device("cuda", 0)) is does


FORKED = """
import multiprocessing, os, sys
import numpy as np
import torch
import napari_usflow as usf

torch.set_num_threads(2)
frame = np.random.default_rng(0).normal(-30, 5, (96, 96)).astype(np.float32)
method = sys.argv[1]

def work(number):
    return number, usf.denoise(frame, method=method, device="cpu", sigma=0.1)

_, here = work(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    for number, found in pool.map(work, range(2)):
        np.testing.assert_allclose(found, here, atol=0.05)
        print(number)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
@pytest.mark.parametrize("method", ["realtime", "flow"])
def test_a_process_that_was_forked_after_use_computes_the_same(method: str) -> None:
    """With more than one thread it used to wait for threads that are not there."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED, method],
        env=os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.stdout.split() == ["0", "1"], done.stderr[-2000:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
def test_a_process_that_did_not_compute_is_left_as_it_is() -> None:
    script = (
        "import os, torch, napari_usflow.device\n"
        "torch.set_num_threads(2)\n"
        "if os.fork() == 0:\n"
        "    print(torch.get_num_threads(), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "2\n"
