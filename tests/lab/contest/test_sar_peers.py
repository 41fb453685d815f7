"""Peers from radar, and deepinv's BM3D: less noise, and the level where it was."""

from __future__ import annotations

from importlib.util import find_spec
from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.contest.mri_crops import mean_psnr, noisy, pick_crops
from napari_usflow.lab.contest.peers import PEERS, check_peers, peer_events
from napari_usflow.lab.contest.sar_peers import looks_of

SPECKLE_DB = 10 / np.log(10) * pi / sqrt(6)


def needs(name: str) -> None:
    if not all(map(find_spec, PEERS[name])):
        pytest.skip(f"{name} is not installed")


def peer(name: str):
    return result_of(
        peer_events(
            name,
            train_data=None,
            folder=Path("unused"),
            device="cpu",
            token=CancelToken(),
        )
    )


def test_one_look_has_the_standard_deviation_of_speckle() -> None:
    # trigamma(1) = pi^2 / 6; of many looks the variance of the logarithm is 1 / L.
    assert looks_of(SPECKLE_DB / 60) == pytest.approx(1, rel=1e-6)
    many = 10 / np.log(10) / sqrt(1000) / 60
    assert looks_of(many) == pytest.approx(1000.5, rel=1e-4)


@pytest.mark.parametrize("name", ["sar2sar", "mulog"])
def test_missing_package_is_named_with_its_own_command(name: str, monkeypatch) -> None:
    from napari_usflow.lab.contest import peers

    monkeypatch.setattr(peers, "find_spec", lambda package: None)

    with pytest.raises(ValueError, match=rf"pip install .*{PEERS[name][0]}, or leave"):
        check_peers([name], None)


@pytest.mark.parametrize("name", ["sar2sar", "mulog"])
def test_speckle_is_removed_and_the_step_is_kept(name: str) -> None:
    needs(name)
    rng = np.random.default_rng(0)
    tissue = np.full((1, 70, 64), 0.7, np.float32)
    tissue[:, :, 32:] -= 15 / 60
    speckle = 10 * np.log10(rng.exponential(size=tissue.shape)) / 60
    crops = (tissue + speckle).astype(np.float32)

    run = peer(name).denoise(crops, SPECKLE_DB / 60, clean=tissue, token=CancelToken())

    made = result_of(run).crops
    assert made.shape == crops.shape and made.dtype == np.float32
    left, right = made[0, 6:-6, 6:26], made[0, 6:-6, 38:58]
    assert max(left.std(), right.std()) < 0.5 * SPECKLE_DB / 60
    assert left.mean() - right.mean() == pytest.approx(15 / 60, abs=2 / 60)


def test_bm3d_of_deepinv_denoises(mri_folder: Path) -> None:
    needs("deepinv-bm3d")
    clean = pick_crops(mri_folder, "knee", count=1)
    y = noisy(clean, 0.2)

    run = peer("deepinv-bm3d").denoise(y, 0.2, clean=clean, token=CancelToken())

    assert mean_psnr(clean, result_of(run).crops) > mean_psnr(clean, y) + 6
