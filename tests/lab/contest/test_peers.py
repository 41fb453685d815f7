"""Peers: refused with a reason, fitted once, and better than the noise."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Note, result_of
from napari_usflow.lab.contest import peers
from napari_usflow.lab.contest.mri_crops import mean_psnr, noisy, pick_crops
from napari_usflow.lab.contest.peers import Bm3d, check_peers, peer_events
from napari_usflow.lab.density.mixture import Mixture


def needs_deepinv() -> None:
    if "epll" not in peers.available_peers():
        pytest.skip("deepinv is not installed")


@pytest.fixture
def no_network(monkeypatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("a peer wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_peer_that_is_not_installed_is_named(monkeypatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"'bm3d' needs the package bm3d.*\[bench\]"):
        check_peers(["bm3d"], None)


def test_a_peer_that_learns_wants_training_data(monkeypatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: object())

    with pytest.raises(ValueError, match=r"'epll' is fitted .* --train-data"):
        check_peers(["epll"], None)


def test_bm3d_takes_the_noise_level_that_scores_best(
    mri_folder: Path, monkeypatch
) -> None:
    # Stands in for the package: shrinks towards the mean, the more the more noise.
    def shrink(crop: np.ndarray, sigma: float) -> np.ndarray:
        return crop + sigma * (crop.mean() - crop)

    monkeypatch.setitem(sys.modules, "bm3d", SimpleNamespace(bm3d=shrink))
    clean = pick_crops(mri_folder, "knee", count=2)
    crops = np.stack([shrink(crop, -0.5) for crop in clean])
    run = Bm3d((1.0, 1.5, 5.0)).denoise(crops, 0.2, clean=clean, token=CancelToken())

    made = result_of(run)

    # (1 + 0.5) (1 - 0.2 f) is nearest to 1 for f = 1.5 of the three: 1.2, 1.05, 0
    assert made.setting == "1.5 sigma; best of 3"
    np.testing.assert_array_equal(made.crops[0], shrink(crops[0], 0.3))


def test_bm3d_denoises(mri_folder: Path) -> None:
    pytest.importorskip("bm3d")
    clean = pick_crops(mri_folder, "knee", count=1)
    y = noisy(clean, 0.2)

    made = result_of(Bm3d().denoise(y, 0.2, clean=clean, token=CancelToken()))

    assert mean_psnr(clean, made.crops) > mean_psnr(clean, y) + 6


@pytest.mark.parametrize("name", ["epll", "patchnr"])
def test_a_fit_is_kept_and_used_again(
    name: str, mri_folder: Path, tmp_path: Path, monkeypatch, no_network: None
) -> None:
    needs_deepinv()
    from napari_usflow.lab.contest.epll import Epll
    from napari_usflow.lab.contest.patchnr import PatchNr

    recipe = {"components": 4, "iterations": 4, "first_share": 1.0}
    monkeypatch.setattr(Epll, "recipe", classmethod(lambda cls: recipe))
    monkeypatch.setattr(PatchNr, "STEPS", 40)
    monkeypatch.setattr(PatchNr, "ROUNDS", 20)
    monkeypatch.setattr(PatchNr, "STEP", 0.05)
    monkeypatch.setattr(PatchNr, "PATCHES", 300)
    monkeypatch.setattr(PatchNr, "WEIGHTS", (1e-6, 1.0))
    clean = pick_crops(mri_folder, "knee", count=1, size=32)
    y = noisy(clean, 0.2)

    def run() -> tuple[list, np.ndarray]:
        notes = []
        events = peer_events(
            name,
            train_data=mri_folder,
            folder=tmp_path / "peers",
            device="cpu",
            token=CancelToken(),
            patches=200,
        )
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                peer = stop.value
                break
            notes += [event.text] if isinstance(event, Note) else []
        made = peer.denoise(y, 0.2, clean=clean, token=CancelToken())
        return notes, result_of(made).crops

    first_notes, first = run()
    again_notes, again = run()

    (kept,) = (tmp_path / "peers").iterdir()
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(ValueError, match="the kept fit cannot be read"):
        run()
    assert "fitting" in first_notes[0] and "is used" in again_notes[0]
    np.testing.assert_allclose(again, first, atol=1e-4)
    assert mean_psnr(clean, first) > mean_psnr(clean, y) + 2


def test_epll_of_one_gaussian_is_a_wiener_filter_of_every_patch() -> None:
    # One component and one beta: x = (y + beta s^2 mean_i W P_i y) / (1 + beta s^2).
    needs_deepinv()
    import torch

    peers.load_deepinv()
    from deepinv.optim import EPLL
    from deepinv.physics import Denoising, GaussianNoise

    mixture = Mixture(*_white(64, 0.3))
    model = EPLL(None, 1, pretrained=None, patch_size=8)
    model.GMM.set_cov(torch.from_numpy(mixture.covariances))
    y = torch.from_numpy(np.random.default_rng(0).random((1, 1, 16, 16), np.float32))

    x = model(y, Denoising(GaussianNoise(0.5)), sigma=0.5, betas=[4.0])

    gain = 0.09 / (0.09 + 1 / 4.0)
    np.testing.assert_allclose(x, y * (1 + gain) / 2, atol=1e-4)


def _white(dimension: int, std: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    covariance = std**2 * np.eye(dimension, dtype=np.float32)[None]
    return np.ones(1, np.float32), np.zeros((1, dimension), np.float32), covariance


def test_a_fit_stops_when_asked(mri_folder: Path, tmp_path: Path) -> None:
    needs_deepinv()
    token = CancelToken()
    token.cancel()
    events = peer_events(
        "epll",
        train_data=mri_folder,
        folder=tmp_path / "peers",
        device="cpu",
        token=token,
        patches=100,
    )

    with pytest.raises(Cancelled):
        list(events)
    assert not (tmp_path / "peers").exists()
