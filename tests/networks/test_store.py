"""Files of networks: they come back as they were, and nothing else is taken."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

from napari_usflow.errors import PriorError
from napari_usflow.networks import precision
from napari_usflow.networks.store import (
    available_networks,
    load_network,
    read_network_card,
    save_network,
)
from napari_usflow.networks.unet import UNet


@pytest.fixture
def path(toy_network: UNet, tmp_path: Path) -> Path:
    file = tmp_path / "toy.safetensors"
    save_network(toy_network, file, {"pixel_mm": 0.4375, "licence": "CC0-1.0"})
    return file


def rewritten(path: Path, architecture: object) -> Path:
    """The same weights under a header that says something else."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header["__metadata__"]["usflow"])
    header["__metadata__"]["usflow"] = json.dumps(
        {**card, "architecture": architecture}
    )
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    other = path.with_name("other.safetensors")
    other.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return other


def test_network_comes_back_to_half_precision(toy_network: UNet, path: Path) -> None:
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.2])

    network = load_network(path, device="cpu")

    with torch.no_grad():
        torch.testing.assert_close(
            network.unet(x, sigma), toy_network(x, sigma), atol=2e-3, rtol=0
        )
    assert (network.name, len(network.sha256)) == ("toy", 64)
    assert not any(p.requires_grad for p in network.unet.parameters())


def test_bfloat16_is_that_of_autocast_and_made_once(path: Path, monkeypatch) -> None:
    """Bit by bit: converted once, or each time, weights are the same."""
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: True)
    network = load_network(path, device="cpu")
    x = torch.rand(2, 1, 17, 24, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.2])

    with torch.inference_mode():
        converted = network.in_fast_type()(x, sigma)
        with torch.autocast("cpu", torch.bfloat16):
            expected = network.unet(x, sigma)

    assert torch.equal(converted, expected) and converted.dtype == torch.float32
    assert network.in_fast_type() is network.in_fast_type()
    assert network.unet.head.weight.dtype == torch.float32


def test_processors_without_bfloat16_keep_the_weights(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: False)
    network = load_network(path, device="cpu")
    assert network.in_fast_type() is network.unet


def test_card_says_what_it_is_without_loading_it(path: Path) -> None:
    card = read_network_card(path)
    assert card["licence"] == "CC0-1.0"
    assert card["architecture"] == {
        "channels": [6, 8],
        "blocks": [1, 1],
        "antialias": True,
    }


def test_file_that_training_has_written_again_is_read_again(
    toy_network: UNet, path: Path
) -> None:
    before = load_network(path, device="cpu").sha256
    with torch.no_grad():
        toy_network.tail.bias += 1
    save_network(toy_network, path, {})
    assert load_network(path, device="cpu").sha256 != before


def test_shipped_networks_have_names() -> None:
    for name in available_networks():
        assert read_network_card(name)["architecture"]


def test_network_that_is_not_there_names_the_shipped_ones() -> None:
    with pytest.raises(PriorError, match="nowhere: no such network; choose a"):
        load_network("nowhere", device="cpu")


def test_prior_is_no_network(tmp_path: Path) -> None:
    from napari_usflow.prior.glow import Glow, GlowConfig
    from napari_usflow.prior.store import save_prior

    file = tmp_path / "prior.safetensors"
    save_prior(Glow(GlowConfig(patch_size=8, steps=(1,), hidden=(4,))), file, {})
    with pytest.raises(PriorError, match="not a network of this program"):
        load_network(file, device="cpu")


def test_network_is_no_prior(path: Path) -> None:
    from napari_usflow.prior.store import read_card

    with pytest.raises(PriorError, match="not a prior of this program"):
        read_card(path)


def test_foreign_and_truncated_files_are_refused(path: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    for content in (b"", b"not at all", path.read_bytes()[:-100]):
        foreign.write_bytes(content)
        with pytest.raises(PriorError, match=r"foreign\.safetensors: not a readable"):
            load_network(foreign, device="cpu")


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ({"channels": [6, 10], "blocks": [1, 1]}, "do not fit"),
        ({"channels": [6, 8], "blocks": [1]}, "one entry a scale"),
        ({"channels": ["a", "b"], "blocks": [1, 1]}, "do not fit"),
        ({"channels": [6.5, 8], "blocks": [1, 1]}, "do not fit"),
        ({"channels": [6, 8], "blocks": [1, 1], "depth": 3}, "do not fit"),
        ({"channels": None, "blocks": None}, "do not fit"),
        ({"channels": [10**7], "blocks": [1]}, "absurd"),
        ({"channels": [4096], "blocks": [200]}, "more than the file"),
        ({"channels": [4, 4], "blocks": [1000, 1]}, "absurd"),
        # Its weights fit into any file, and no memory holds what it pads images to.
        ({"channels": [1] * 30, "blocks": [0] * 30}, "at most 8"),
        ("unet", "header is damaged"),
    ],
)
def test_architecture_that_is_not_that_of_the_weights_is_refused(
    path: Path, architecture: object, said: str
) -> None:
    with pytest.raises(PriorError, match=said):
        load_network(rewritten(path, architecture), device="cpu")
