"""A search that fits its prior: from any start an image better than the input, or none.

The priors are trained here for seconds, on discs: one that knows noise levels, and one
of the paper's kind, with its couplings and without noise levels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.denoising.algorithms.flow.plain_start import start_for
from napari_usflow.denoising.contract import Run
from napari_usflow.denoising.denoise import create
from napari_usflow.errors import JobError, PriorError
from napari_usflow.jobs import result_of
from napari_usflow.mri import MriStack
from napari_usflow.parameter_changes import changed
from napari_usflow.prior import load_prior
from napari_usflow.training.flow.configs import CONFIGS
from napari_usflow.training.flow.train import train_prior

SIGMAS = (0.05, 0.1, 0.2, 0.3, 0.4)
SMALL = (
    "flow.patch_size=16", "flow.steps=2,2", "flow.hidden=16,16", "batch_size=32",
    "likelihood_steps=150", "denoising_steps=0", "validation_patches=8",
    "learning_rate=0.005", "validate_every=1000", "patches.only=", "bfloat16=no",
    "checkpointing=no", "noise_groups=1",
)  # fmt: skip


def discs(seed: int, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z, x = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, 0.1, np.float32)
    for _ in range(6):
        r, c, radius = rng.uniform((0, 0, 5), (*shape, 20))
        inside = (z - r) ** 2 + (x - c) ** 2 < radius**2
        image[inside] = rng.uniform(0.2, 0.9)
    return image


@pytest.fixture(scope="module")
def priors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("priors")
    slices = np.stack([discs(seed) for seed in range(8)])
    stacks = [
        MriStack(part, (0.4375, 0.4375), f"discs{number}")
        for number, part in enumerate(np.split(slices, 2))
    ]
    found = {}
    for kind, name in (("levels", "cpu"), ("none", "paper")):
        changes = SMALL if kind == "none" else (*SMALL, "flow.depth=")
        config = changed(CONFIGS[name], changes)
        out = folder / kind
        found[kind] = train_prior(stacks, out=out, config=config, device="cpu")
    return found


def psnr(result: np.ndarray, clean: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(result - clean).mean()))


def denoised(prior: Path, frame: np.ndarray, sigma: float, **params) -> np.ndarray:
    params = {"stride": 16, **params}
    denoiser = create("flow-map", weights=prior, device="cpu", **params)
    return result_of(denoiser.run(frame, Run(sigma)))


def noisy(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    clean = discs(100, (32, 48))
    noise = np.random.default_rng(7).standard_normal(clean.shape, dtype=np.float32)
    return clean, clean + np.float32(sigma) * noise


FEW = {"iterations": 40, "learning_rate": 0.005}


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("pace", [{}, FEW], ids=["its own pace", "few steps"])
@pytest.mark.parametrize(
    ("kind", "start"), [("levels", "auto"), ("levels", "zero"), ("none", "auto")]
)
def test_result_is_better_than_its_input_or_there_is_none(
    kind: str, start: str, pace: dict, sigma: float, priors: dict[str, Path]
) -> None:
    clean, frame = noisy(sigma)
    try:
        result = denoised(priors[kind], frame, sigma, start=start, **pace)
    except JobError:
        # Only a search that began with nothing and was cut short may end so.
        assert pace and (start == "zero" or kind == "none")
        return
    assert psnr(result, clean) > psnr(frame, clean)


@pytest.mark.parametrize("sigma", (SIGMAS[0], SIGMAS[-1]))
def test_search_to_the_plateau_is_better_than_its_input_too(
    sigma: float, priors: dict[str, Path]
) -> None:
    clean, frame = noisy(sigma)
    frame, clean = frame[:16, :32], clean[:16, :32]
    result = denoised(priors["none"], frame, sigma, preset="paper", iterations=200)
    assert psnr(result, clean) > psnr(frame, clean)


@pytest.mark.parametrize("kind", ["levels", "none"])
def test_a_search_that_has_found_nothing_gives_an_error_that_says_what_to_do(
    kind: str, priors: dict[str, Path]
) -> None:
    _, frame = noisy(0.05)
    with pytest.raises(
        JobError, match=r"after 40 steps of 0\.005 the objective is .* more iterations"
    ):
        denoised(priors[kind], frame, 0.05, start="zero", **FEW)


def test_start_and_pace_follow_the_prior(priors: dict[str, Path]) -> None:
    told = {
        kind: create("flow-map", weights=path, device="cpu").provenance()["parameters"]
        for kind, path in priors.items()
    }
    names = ("start", "iterations", "learning_rate", "discrepancy")
    pace = {kind: [found[name] for name in names] for kind, found in told.items()}
    assert pace == {
        "levels": ["posterior-mean", 40, 0.005, 0.0],
        "none": ["zero", 400, 0.05, 0.9],
    }


def test_a_posterior_mean_that_there_is_not_is_refused(
    priors: dict[str, Path],
) -> None:
    prior = load_prior(priors["none"], device="cpu")
    assert start_for(prior, "auto") == "zero"
    with pytest.raises(PriorError, match="without noise levels"):
        start_for(prior, "posterior-mean")


def test_patches_do_not_depend_on_what_else_is_in_the_batch(
    priors: dict[str, Path],
) -> None:
    _, frame = noisy(0.2)
    alone, together = (
        denoised(priors["none"], frame, 0.2, iterations=60, batch_size=size)
        for size in (1, 64)
    )
    np.testing.assert_allclose(alone, together, atol=1e-3)


def test_lambda_can_be_set_by_itself(priors: dict[str, Path]) -> None:
    _, frame = noisy(0.2)
    by_factor, by_weight = (
        denoised(priors["levels"], frame, 0.2, iterations=3, **given)
        for given in ({"lambda_factor": 0.5}, {"lambda_weight": 0.5 * 0.2**2})
    )
    np.testing.assert_allclose(by_factor, by_weight, atol=1e-6)


def test_preset_paper_is_what_the_paper_states() -> None:
    params = create("flow-map", preset="paper", iterations=7).params
    assert (params.start, params.batch_size, params.checkpointing) == (
        "zero",
        250,
        True,
    )
    assert (params.lambda_factor, params.likelihood) == (0.75, "gaussian")
    assert params.iterations == 7
    with pytest.raises(
        ValueError, match="flow-map has no preset 'papers'; it has paper"
    ):
        create("flow-map", preset="papers")
