"""Make a smaller network of a trained one, for training to go on from.

    python benchmarks/smaller_network.py MRI/val OUT.safetensors [--network best]
        [--channels 48 128 256] [--blocks 1 1 2]

Keeps the residual blocks that change their input most on pairs with speckle, and, of a
scale that becomes narrower, the channels that vary most, weighted with what reads them.
The result is worse than the network it is made of until it has been trained:

    usflow train MRI/train --validation MRI/val --config realtime --start OUT
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.contest.mri_crops import draw_events
from napari_usflow.mri import find_files
from napari_usflow.networks import load_network
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.store import save_network
from napari_usflow.networks.unet import UNet
from napari_usflow.training.network.configs import MARGIN
from napari_usflow.training.network.pairs import speckle_pairs

PAIRS, CROP = 32, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of MRI")
    parser.add_argument("out", type=Path, help="network file to write")
    parser.add_argument("--network", default="best", help="name or file")
    parser.add_argument("--channels", type=int, nargs="+", default=[48, 128, 256])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 1, 2])
    args = parser.parse_args()
    large = load_network(args.network, device="cpu")
    small = smaller(
        large.unet,
        UNetConfig(channels=tuple(args.channels), blocks=tuple(args.blocks)),
        noisy_crops(args.data),
    )
    card = {**large.card, "made_of": {"network": large.name, "sha256": large.sha256}}
    save_network(small, args.out, card)


def noisy_crops(folder: Path) -> Tensor:
    """Draw crops with speckle, (N, 1, Z, X)."""
    patches = result_of(
        draw_events(
            find_files([folder]),
            PAIRS,
            CROP + 2 * MARGIN,
            seed=11,
            token=CancelToken(),
        )
    )
    generator = torch.Generator().manual_seed(12)
    return speckle_pairs(torch.from_numpy(patches), generator).noisy


@torch.no_grad()
def smaller(large: UNet, config: UNetConfig, noisy: Tensor) -> UNet:
    """Copy into a smaller network what matters most on these images."""
    changes: dict[str, float] = {}
    seen: dict[int, Tensor] = {}
    hooks = []
    for name, module in large.named_modules():
        if type(module).__name__ == "_Block":
            hooks.append(module.register_forward_hook(_recorder(name, changes)))
    for scale, blocks in enumerate([*large.before, large.middle]):
        hooks.append(blocks.register_forward_hook(_variance(scale, seen)))
    large(noisy, torch.zeros(len(noisy)))
    for hook in hooks:
        hook.remove()
    channels = [
        _strongest(_importance(large, scale, seen[scale]), count)
        for scale, count in enumerate(config.channels)
    ]
    small = UNet(config)
    for name in ("head", "tail"):
        into = {"head": (channels[0], None), "tail": (None, channels[0])}[name]
        _copy(getattr(large, name), getattr(small, name), *into)
    for scale in range(len(config.channels) - 1):
        fine, coarse = channels[scale], channels[scale + 1]
        _copy(large.down[scale], small.down[scale], coarse, fine)
        _copy(large.up[scale], small.up[scale], fine, coarse)
        for side in ("before", "after"):
            _copy_blocks(
                getattr(large, side)[scale],
                getattr(small, side)[scale],
                f"{side}.{scale}",
                changes,
                fine,
            )
    _copy_blocks(large.middle, small.middle, "middle", changes, channels[-1])
    return small


def _recorder(name: str, changes: dict[str, float]):
    def record(_: nn.Module, given: tuple, result: Tensor) -> None:
        change = (result - given[0]).square().mean()
        changes[name] = float(change / given[0].square().mean())

    return record


def _variance(scale: int, seen: dict[int, Tensor]):
    def record(_: nn.Module, __: tuple, result: Tensor) -> None:
        seen[scale] = result.std(dim=(0, 2, 3))

    return record


def _importance(large: UNet, scale: int, spread: Tensor) -> Tensor:
    """Weigh how much a channel of a scale varies with the weights that read it."""
    readers = [large.tail.weight] if scale == 0 else [large.up[scale - 1].weight.mT]
    if scale == 0:
        readers += [b.first.weight for b in [*large.before[0], *large.after[0]]]
        readers += [large.down[0].weight]
        return spread * sum(w.square().sum(dim=(0, 2, 3)) for w in readers).sqrt()
    return spread


def _strongest(importance: Tensor, count: int) -> Tensor:
    return importance.topk(count).indices.sort().values


def _copy_blocks(large, small, name: str, changes, channels: Tensor) -> None:
    ranked = sorted(range(len(large)), key=lambda i: -changes[f"{name}.{i}"])
    for index, block in zip(sorted(ranked[: len(small)]), small, strict=True):
        _copy(large[index].first, block.first, channels, channels)
        _copy(large[index].second, block.second, channels, channels)


def _copy(source, target, outputs: Tensor | None, inputs: Tensor | None) -> None:
    """Copy a convolution's weights for some of its channels."""
    weight, bias = source.weight, source.bias
    # A transposed convolution has its inputs first.
    rows, columns = (
        (inputs, outputs)
        if isinstance(source, nn.ConvTranspose2d)
        else (outputs, inputs)
    )
    if rows is not None:
        weight = weight[rows]
    if columns is not None:
        weight = weight[:, columns]
    target.weight.copy_(weight)
    target.bias.copy_(bias if outputs is None else bias[outputs])


if __name__ == "__main__":
    main()
