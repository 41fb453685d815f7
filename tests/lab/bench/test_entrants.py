"""Who takes part, and that they are what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.denoising.algorithms import methods
from napari_usflow.denoising.denoise import denoise
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.bench import entrants as module
from napari_usflow.lab.bench.entrants import (
    REFERENCE,
    Entrant,
    default_names,
    entrants,
)


@pytest.fixture
def noisy() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.5 + 0.05 * rng.standard_normal((2, 40, 40))).astype(np.float32)


def denoised(entrant: Entrant, crops: np.ndarray, **how) -> np.ndarray:
    token = CancelToken()
    contestant = result_of(entrant.events(token, **how))
    return result_of(contestant.denoise(crops, 0.05, clean=crops, token=token)).crops


def test_everyone_takes_part_who_can(monkeypatch) -> None:
    monkeypatch.setattr(module, "available_peers", lambda: ("bm3d", "epll", "patchnr"))

    assert default_names(None) == (*methods(), "bm3d")
    assert default_names(Path("mri")) == (*methods(), "bm3d", "epll")


def test_the_reference_comes_first_and_none_comes_twice(tmp_path: Path) -> None:
    made = entrants(["tv", "nlm", "tv"], device="cpu", train_data=None, fits=tmp_path)

    assert [e.method for e in made] == [REFERENCE, "tv", "nlm"]


def test_the_reference_gives_what_our_nlm_gives(noisy) -> None:
    ours = denoised(Entrant("nlm"), noisy)

    np.testing.assert_allclose(denoised(Entrant(REFERENCE), noisy), ours, atol=1e-5)
    assert ours.std() < 0.5 * noisy.std()


@pytest.mark.parametrize("noise", ["speckle", "white"])
def test_a_network_is_told_the_kind_of_noise(noisy, noise: str) -> None:
    made = denoised(Entrant("realtime"), noisy, noise=noise)

    for crop, before in zip(made, noisy, strict=True):
        expected = denoise(
            before,
            method="realtime",
            noise=noise,
            sigma=0.05,
            value_range=(0.0, 1.0),
        )
        np.testing.assert_allclose(crop, expected, atol=1e-5)


def test_a_classical_filter_knows_of_no_kind_of_noise(noisy) -> None:
    np.testing.assert_array_equal(
        denoised(Entrant("nlm"), noisy, noise="speckle"),
        denoised(Entrant("nlm"), noisy, noise="white"),
    )


def test_a_fitted_peer_is_told_its_folders(monkeypatch, tmp_path: Path) -> None:
    told = {}

    def events(name, **how):
        yield from ()
        told.update(how, name=name)
        return "a contestant"

    monkeypatch.setattr(module, "peer_events", events)
    monkeypatch.setattr(module, "check_peers", lambda names, train_data: None)
    fits = tmp_path / "fits"
    (_, epll) = entrants(["epll"], device="cpu", train_data=tmp_path, fits=fits)

    assert result_of(epll.events(CancelToken())) == "a contestant"

    told.pop("token")
    assert told == {
        "name": "epll",
        "train_data": tmp_path,
        "folder": fits,
        "device": "cpu",
    }
