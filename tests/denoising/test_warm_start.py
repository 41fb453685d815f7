"""Frames that start from other frames: what moves, what does not, what is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.cli import main
from napari_usflow.denoising.algorithms.flow.latent_map import _misfit
from napari_usflow.denoising.algorithms.flow.latent_solver import LatentSolver
from napari_usflow.denoising.algorithms.flow.patching import Blend, PatchGrid
from napari_usflow.denoising.contract import Denoiser, Run
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.warm_start import Started, Trail, explained, followed
from napari_usflow.denoising.working_pixel import WorkingPixel
from napari_usflow.jobs import CancelToken, FrameDone, Progress, result_of
from napari_usflow.prior import load_prior
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

SIGMA = 0.1
SETTINGS = Settings(sigma_db=60 * SIGMA)


def waves(dz: float = 0.0, dx: float = 0.0, n: int = 48) -> np.ndarray:
    """A scene that is known between its pixels, moved by (dz, dx) pixels."""
    z, x = np.mgrid[:n, :n].astype(float)
    z, x = z - dz, x - dx
    return (0.5 + 0.1 * np.sin(0.5 * z + 0.2 * x) + 0.1 * np.cos(0.6 * x)).astype("f4")


def noise(shape: tuple[int, ...], seed: int, sigma: float = SIGMA) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, shape).astype(np.float32)


def as_image(frames: np.ndarray) -> UltrasoundImage:
    grid = PixelGrid(frames.shape[1:], (0.4375, 0.4375), (0.0, 0.0))
    return UltrasoundImage((60 * frames - 60).astype(np.float32), "db", grid)


def frames_of(events) -> dict[int, tuple[np.ndarray, dict, int]]:
    """Of each frame its data, in [0, 1], its provenance and its steps."""
    found, steps = {}, 0
    for event in events:
        steps += isinstance(event, Progress)
        if isinstance(event, FrameDone):
            found[event.index] = (event.data / 60 + 1, event.info, steps)
            steps = 0
    return found


# ----------------------------------------------------------------- motion


def test_patches_are_taken_from_where_they_moved_to() -> None:
    grid = PatchGrid((48, 48), 32, 24)
    patches = grid.pick(grid.windows(waves(0.7, -1.4)), np.arange(len(grid)))
    noisy = patches + noise(patches.shape, 1)

    found = followed(waves(), noisy, grid, SIGMA, CancelToken())

    # Where patches reach beyond the frame its mirror does not move with it.
    inside = np.s_[4, 4:28, 4:28]
    stayed = grid.pick(grid.windows(waves()), np.arange(len(grid)))
    assert np.abs(stayed[inside] - patches[inside]).max() > 0.08
    assert np.abs(found[inside] - patches[inside]).max() < 0.03


def test_a_patch_with_nothing_to_follow_stays() -> None:
    grid = PatchGrid((48, 48), 32, 24)
    flat = np.full((48, 48), 0.4, np.float32)
    noisy = np.full((len(grid), 32, 32), 0.4, np.float32)

    found = followed(flat, noisy + noise(noisy.shape, 0), grid, SIGMA, CancelToken())

    np.testing.assert_allclose(found, 0.4, atol=1e-6)


def test_noise_is_explained_and_what_noise_cannot_be_is_not() -> None:
    clean = np.zeros((9, 32, 32), np.float32)
    frame = clean + noise(clean.shape, 0)
    assert explained(frame, clean, SIGMA).all()

    # An echo of 5 sigma on 64 of 1024 pixels: 25 / 16 of the noise's power on top.
    frame[2, 8:16, 8:16] += 5 * SIGMA
    frame[7] *= np.sqrt(1.5)

    np.testing.assert_array_equal(
        np.flatnonzero(~explained(frame, clean, SIGMA)), [2, 7]
    )


def test_where_most_patches_are_new_all_are() -> None:
    clean = np.zeros((9, 32, 32), np.float32)
    frame = clean + noise(clean.shape, 0)
    frame[:5] += 0.5

    assert not explained(frame, clean, SIGMA).any()


# ------------------------------------------------------------- flow-map


@pytest.fixture(scope="module")
def runs() -> tuple[np.ndarray, dict, dict]:
    """A frame that stands still, then a cut to another scene: clean, cold, warm."""
    z, x = np.mgrid[:64, :32]
    disc = np.where(np.hypot(z - 30, x - 16) < 9, 0.75, 0.3)
    stripes = np.where((z // 9) % 2, 0.7, 0.2)
    clean = np.stack([disc, disc, stripes]).astype(np.float32)
    image = as_image(clean + noise(clean.shape, 2)[[0, 0, 1]])
    few = {"iterations": 10, "stride": 32, "device": "cpu"}
    cold, warm = (
        frames_of(
            denoise_events(image, create("flow-map", warm_start=on, **few), SETTINGS)
        )
        for on in (False, True)
    )
    return clean, cold, warm


def test_where_nothing_moves_four_steps_are_nearly_as_good_as_all(runs) -> None:
    clean, cold, warm = runs

    def psnr(run: dict) -> float:
        return float(-10 * np.log10(np.square(run[1][0] - clean[1]).mean()))

    # Each step reports, and each frame once more at its end.
    assert (cold[1][2], warm[1][2]) == (10 + 1, 4 + 1)
    # Four steps more on the same noise: the search fits some of it (as in 200 cold
    # steps), and begins from what lies between the patches as well.
    assert psnr(warm) > psnr(cold) - 0.5


def test_a_cut_starts_all_patches_anew(runs) -> None:
    _, cold, warm = runs
    np.testing.assert_array_equal(warm[2][0], cold[2][0])
    np.testing.assert_array_equal(warm[0][0], cold[0][0])
    assert not np.array_equal(warm[1][0], cold[1][0])


def test_provenance_says_how_each_frame_began(runs) -> None:
    _, cold, warm = runs
    told = [
        [info[key] for key in ("warm_from", "warm_patches", "patches")]
        for _, info, _ in warm.values()
    ]
    assert told == [[None, 0, 2], [0, 2, 2], [None, 0, 2]]
    assert not any("warm_patches" in info for _, info, _ in cold.values())


def test_without_it_patches_are_solved_batch_by_batch_as_ever(tiny_prior: Path) -> None:
    frame = waves() + noise((48, 48), 3)
    prior = load_prior(tiny_prior, device="cpu")
    grid = PatchGrid((48, 48), 32, 24)
    blend = Blend(grid)
    import torch

    for patches in grid.batches(frame, 4):
        y = torch.from_numpy(patches)[:, None]
        solver = LatentSolver(
            prior.flow,
            y,
            weight=0.75 * SIGMA**2,
            misfit=_misfit(None, SIGMA),
            prior_sigma=0.03,
            learning_rate=0.005,
        )
        solver.start_from(prior.flow.posterior_mean(y, SIGMA)[0])
        for _ in range(3):
            solver.step()
        blend.add(solver.result()[:, 0].numpy())
    denoiser = create(
        "flow-map", weights=tiny_prior, device="cpu", iterations=3, batch_size=4
    )

    result = result_of(denoiser.run(frame, Run(SIGMA)))

    np.testing.assert_array_equal(result, blend.frame())


# --------------------------------------------------------------- sequences


class Following(Denoiser):
    """Gives back the frame it was given, and notes what it might have started from."""

    name = title = "following"
    Params = type(create("tv").params)
    starts_warm, needs_noise = True, False

    def __init__(self, steps: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.steps = steps
        self.seen: list[float | None] = []

    def working_pixel(self, noise):
        return WorkingPixel(self.steps)

    def run(self, frame, run):
        raise AssertionError("it starts warm")

    def follow(self, previous, frame, run):
        self.seen.append(None if previous is None else round(float(previous[0, 0]), 3))
        yield Started(3, 5)
        return frame


def test_a_frame_follows_the_nearest_of_the_last_two() -> None:
    frames = 0.1 * np.arange(6)[:, None, None] + np.zeros((6, 8, 8))
    frames[:, 1] += 0.01  # not flat
    denoiser = Following()

    # From the middle outwards, as the window does it.
    list(denoise_events(as_image(frames), denoiser, SETTINGS, order=[2, 1, 3, 0, 4, 5]))

    assert denoiser.seen == [None, 0.2, 0.2, 0.1, 0.3, 0.4]


def test_each_part_of_a_frame_follows_its_own() -> None:
    frames = np.zeros((2, 16, 8))
    frames[:, 0::2], frames[:, 1::2] = 0.3, 0.6
    denoiser = Following(steps=(2, 1))

    found = frames_of(denoise_events(as_image(frames), denoiser, SETTINGS))

    assert found[0][1]["steps"] == (2, 1)
    assert denoiser.seen == [None, None, 0.3, 0.6]
    assert (found[1][1]["warm_patches"], found[1][1]["patches"]) == (6, 10)


def test_a_trail_goes_on_from_call_to_call() -> None:
    frames = 0.1 * np.arange(3)[:, None, None] + np.zeros((3, 8, 8))
    frames[:, 1] += 0.01
    denoiser, trail = Following(), Trail()

    for index in (0, 1):
        events = denoise_events(
            as_image(frames), denoiser, SETTINGS, order=[index], trail=trail
        )
        list(events)

    assert denoiser.seen == [None, 0.0]


def test_what_is_done_in_any_order_cannot_start_warm() -> None:
    da = pytest.importorskip("dask.array")
    lazy = da.zeros((3, 32, 32), chunks=(1, -1, -1), dtype=np.float32)

    with pytest.raises(ValueError, match="warm_start off"):
        usf.denoise(lazy, method="flow-map", warm_start=True, value_range=(0, 1))


def test_a_streamed_output_is_refused_before_anything_is_written(
    tmp_path: Path, capsys
) -> None:
    pytest.importorskip("zarr")
    np.save(tmp_path / "clip.npy", np.zeros((2, 32, 32), np.float32))
    output = tmp_path / "out.zarr"

    options = ["--method", "flow-map", "--warm-start"]
    code = main(["denoise", str(tmp_path / "clip.npy"), str(output), *options])

    assert code == 2
    assert "warm_start" in capsys.readouterr().err
    assert not output.exists()
