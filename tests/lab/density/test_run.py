"""Bits per dimension against closed forms, and the test as a whole."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_usflow.jobs import Note, Progress, result_of
from napari_usflow.lab.density.figures import write_density
from napari_usflow.lab.density.mixture_fit import fit_mixture
from napari_usflow.lab.density.run import bits_per_dim, density_events


def test_bits_of_a_fitted_gaussian_are_those_of_the_closed_form() -> None:
    # White noise of 0.02: log2(256 sigma sqrt(2 pi e)) bits a pixel.
    rng = np.random.default_rng(0)
    x = (0.5 + 0.02 * rng.standard_normal((40_000, 16))).astype(np.float32)
    expected = np.log2(256 * 0.02 * np.sqrt(2 * np.pi * np.e))

    gaussian = result_of(fit_mixture(x[:20_000], x[:2000], 1, iterations=1))
    bits, error = bits_per_dim(gaussian.log_prob(x[20_000:]), 16)

    assert bits == pytest.approx(expected, abs=0.01)
    # The entropy's spread is sqrt(1 / 2) nats a dimension.
    assert error == pytest.approx(np.sqrt(0.5 / 16 / 20_000) / np.log(2), rel=0.05)


def test_bits_of_a_coloured_gaussian_are_those_of_its_determinant() -> None:
    rng = np.random.default_rng(1)
    root = 0.05 * rng.standard_normal((9, 9))
    x = (0.5 + rng.standard_normal((40_000, 9)) @ root.T).astype(np.float32)
    _, log_det = np.linalg.slogdet(root @ root.T)
    nats = 0.5 * (9 * np.log(2 * np.pi * np.e) + log_det)

    gaussian = result_of(fit_mixture(x[:20_000], x[:2000], 1, iterations=1))

    bits, _ = bits_per_dim(gaussian.log_prob(x[20_000:]), 9)
    assert bits == pytest.approx(8 + nats / 9 / np.log(2), abs=0.02)


def test_table_and_figure_hold_every_model(
    mri_folder: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    events = list_and_result(
        density_events(
            mri_folder,
            train_data=mri_folder,
            priors=[tiny_prior],
            components=2,
            fit_count=600,
            count=100,
            device="cpu",
        )
    )
    kinds, test = {type(event) for event in events[0]}, events[1]
    files = write_density(test, tmp_path / "out")

    assert {Note, Progress} <= kinds
    assert [row.label for row in test.rows] == ["flow (tiny)", "gaussian", "mixture"]
    # An untrained flow is worse than a Gaussian that was fitted to the same files.
    assert test.rows[0].bits_per_dim > test.rows[1].bits_per_dim
    assert {p.shape for p in test.patches.values()} == {(36, 16, 16)}
    with files[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fitted"] for row in rows] == ["0", "600", "600"]
    assert rows[0]["setting"] == "7 steps"
    assert float(rows[1]["bits_per_dim"]) == pytest.approx(
        test.rows[1].bits_per_dim, abs=1e-4
    )
    with Image.open(files[1]) as figure:
        assert min(figure.size) > 300
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "density.csv",
        "density.png",
    ]


def test_too_few_patches_to_fit_are_refused(mri_folder: Path, tiny_prior: Path) -> None:
    events = density_events(
        mri_folder, train_data=mri_folder, priors=[tiny_prior], fit_count=200
    )
    with pytest.raises(ValueError, match=r"200 patches to fit .* give at least 256"):
        next(events)


def list_and_result(generator):
    seen = []
    while True:
        try:
            seen.append(next(generator))
        except StopIteration as stop:
            return seen, stop.value
