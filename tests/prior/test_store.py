"""Prior files: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import napari_usflow as usf
from napari_usflow.errors import PriorError
from napari_usflow.prior.glow import Glow
from napari_usflow.prior.store import FORMAT, available_priors, read_card, save_prior

CARD = {"pixel_mm": 0.4375}


@pytest.fixture
def saved(toy_flow: Glow, tmp_path: Path) -> Path:
    path = tmp_path / "toy.safetensors"
    save_prior(toy_flow, path, CARD)
    return path


def test_prior_survives_a_round_trip_to_half_precision(
    saved: Path, toy_flow: Glow
) -> None:
    prior = usf.load_prior(saved, device="cpu")
    x = np.random.default_rng(0).random((2, 8, 8), dtype=np.float32)
    with torch.no_grad():
        expected = toy_flow.log_prob(torch.from_numpy(x)[:, None]).numpy()
    np.testing.assert_allclose(prior.log_prob(x), expected, rtol=5e-3)
    assert bool(prior.flow.levels[0][0].actnorm.initialised)


def test_public_api_encodes_decodes_and_samples(saved: Path) -> None:
    prior = usf.load_prior(saved, device="cpu")
    x = np.random.default_rng(0).random((70, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(prior.decode(prior.encode(x)), x, atol=1e-5)
    assert prior.sample(3, temperature=0.7).shape == (3, 8, 8)
    np.testing.assert_array_equal(prior.sample(2, seed=4), prior.sample(2, seed=4))
    with pytest.raises(ValueError, match=r"patches must be \(N, 8, 8\)"):
        prior.log_prob(np.zeros((8, 8)))


def test_shipped_prior_has_a_card_and_denoises() -> None:
    assert available_priors()[0] == "mri"
    card = read_card()
    assert card["architecture"]["patch_size"] == 32
    assert card["pixel_mm"] == pytest.approx(14 / 32)
    prior = usf.load_prior(device="cpu")
    noise = np.random.default_rng(0).standard_normal((8, 32, 32), dtype=np.float32)
    flat = prior.posterior_mean(0.5 + 0.1 * noise, 0.1)
    assert flat.std() < 0.02


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_truncated_file_is_refused(saved: Path, keep: float) -> None:
    content = saved.read_bytes()
    length = int(keep * len(content)) if isinstance(keep, float) else keep
    saved.write_bytes(content[:length])
    with pytest.raises(PriorError, match="not a readable safetensors"):
        usf.load_prior(saved, device="cpu")


def test_safetensors_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(3)}, path)
    with pytest.raises(PriorError, match="not a prior of this program"):
        read_card(path)


@pytest.mark.parametrize(
    "architecture",
    [
        {"patch_size": 8, "steps": [2, 2], "hidden": [8, 16]},
        {"patch_size": 8, "steps": [2, 2], "hidden": [8, 10**9]},
        {"patch_size": 10**12, "steps": [2, 2], "hidden": [8, 8]},
        {"patch_size": 8, "levels": 3},
        {"patch_size": "eight"},
    ],
)
def test_architecture_that_does_not_fit_is_refused(
    saved: Path, architecture: dict
) -> None:
    header = {**CARD, "architecture": architecture}
    save_file(load_file(saved), saved, {"format": FORMAT, "usflow": json.dumps(header)})
    with pytest.raises(PriorError, match=r"do not fit|damaged"):
        usf.load_prior(saved, device="cpu")


def test_samples_of_the_shipped_prior_stay_in_the_range_of_images() -> None:
    samples = usf.load_prior(device="cpu").sample(64, seed=3)
    # Grain and overshoot may leave [0, 1]; a coupling that blows up leaves it by far.
    assert samples.min() > -1.0 and samples.max() < 3.0
    assert samples.std() > 0.1


def test_missing_prior_names_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="one of mri"):
        usf.load_prior("nothing-of-that-name")


def test_prior_file_written_again_is_read_again(saved: Path, toy_flow: Glow) -> None:
    before = usf.load_prior(saved, device="cpu").sha256
    with torch.no_grad():
        next(toy_flow.parameters()).add_(0.5)
    save_prior(toy_flow, saved, CARD)
    assert usf.load_prior(saved, device="cpu").sha256 != before
