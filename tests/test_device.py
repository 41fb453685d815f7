"""What a device is told to do by itself."""

from __future__ import annotations

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
