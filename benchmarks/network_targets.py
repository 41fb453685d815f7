"""What a network should learn from: MRI, the flow's answers, or the flow's samples.

    python benchmarks/network_targets.py TRAIN VAL [--patches 8192] [--steps 2000]

Three small networks of one kind take as many steps on as many patches with white noise.
The first is shown MRI and asked for the MRI; the second is shown the same and asked for
what the flow makes of it (its posterior mean, which costs the flow once a pair, so that
each patch has one noise for ever); the third is shown samples of the flow and asked for
these. All are judged on held-out MRI, beside the flow itself. PSNR in dB, mean over
patches; the levels are those that are trained.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_usflow.jobs import result_of
from napari_usflow.mri import find_files
from napari_usflow.mri.patch_config import PatchConfig
from napari_usflow.mri.patches import PatchSampler
from napari_usflow.mri.slices import prepare_slices
from napari_usflow.networks.architecture import UNetConfig
from napari_usflow.networks.unet import UNet
from napari_usflow.prior import load_prior

LEVELS = (0.1, 0.2, 0.4)
BATCH = 32
SMALL = UNetConfig(channels=(32, 64, 128), blocks=(1, 1, 2))
LEARNING_RATE = 1e-3


def mri_patches(folder: Path, count: int, size: int, seed: int) -> Tensor:
    """Draw patches (count, 1, size, size) as the flow was shown them."""
    config = PatchConfig(uniform_fraction=0.02, contrast_fraction=0.0)
    with tempfile.TemporaryDirectory() as cache:
        events = prepare_slices(find_files([folder]), config, size, Path(cache))
        sampler = PatchSampler(result_of(events), config)
        return torch.from_numpy(sampler.draw(count, np.random.default_rng(seed)))


def with_noise(patches: Tensor, levels: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(patches.shape, generator=generator)
    return patches + levels.view(-1, 1, 1, 1) * noise


def trained(clean: Tensor, wanted: Tensor | None, steps: int) -> UNet:
    """Train on fresh noise, or, where an answer is wanted, on the noise it is for."""
    torch.manual_seed(0)
    network = UNet(SMALL)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps)
    rng = np.random.default_rng(0)
    levels = levels_of(len(clean))
    fixed = with_noise(clean, levels, seed=0)
    for step in range(steps):
        pick = torch.from_numpy(rng.integers(len(clean), size=BATCH))
        sigma = levels[pick]
        noisy = fixed[pick] if wanted is not None else None
        if noisy is None:
            noisy = with_noise(clean[pick], sigma, seed=1 + step)
        target = (clean if wanted is None else wanted)[pick]
        error = (network(noisy, sigma) - target).square()
        loss = (error / sigma.view(-1, 1, 1, 1)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        optimizer.step()
        schedule.step()
    return network.eval()


def levels_of(count: int) -> Tensor:
    return torch.tensor(LEVELS).repeat(-(-count // len(LEVELS)))[:count]


def psnr_db(found: Tensor, clean: Tensor) -> float:
    squares = (found.clamp(0, 1) - clean).square().mean(dim=(1, 2, 3))
    return float((-10 * squares.log10()).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--patches", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--judged", type=int, default=1024, help="held-out patches")
    args = parser.parse_args()
    torch.set_num_threads(1)
    prior = load_prior(None, device="cpu")
    size = prior.patch_size

    def means(noisy: Tensor, levels: Tensor) -> Tensor:
        out = torch.empty_like(noisy)
        for level in levels.unique().tolist():
            some = levels == level
            found = prior.posterior_mean(noisy[some, 0].numpy(), level)
            out[some] = torch.from_numpy(found)[:, None]
        return out

    mri = mri_patches(args.train, args.patches, size, seed=0)
    levels = levels_of(args.patches)
    rows = {
        "MRI": lambda: trained(mri, None, args.steps),
        "the flow's posterior mean": lambda: trained(
            mri, means(with_noise(mri, levels, seed=0), levels), args.steps
        ),
        "samples of the flow": lambda: trained(
            torch.from_numpy(prior.sample(args.patches))[:, None].clamp(0, 1),
            None,
            args.steps,
        ),
    }
    held_out = mri_patches(args.val, args.judged, size, seed=1)

    def show(name: str, denoise) -> None:
        found = []
        for level in LEVELS:
            told = torch.full((len(held_out),), level)
            with torch.no_grad():
                noisy = with_noise(held_out, told, seed=1)
                found.append(psnr_db(denoise(noisy, told), held_out))
        print(f"| {name} |", " | ".join(f"{value:.2f}" for value in found), "|")

    print("| learned from |", " | ".join(f"{level:g}" for level in LEVELS), "|")
    print("|---" * (1 + len(LEVELS)) + "|")
    show("(the flow itself)", means)
    for name, train in rows.items():
        show(name, train())


if __name__ == "__main__":
    main()
