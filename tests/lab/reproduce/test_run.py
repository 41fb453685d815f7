"""The figures of the paper in small: which are made, of what, and what is said."""

from __future__ import annotations

import csv
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.challenge_files import write_challenge
from napari_usflow.cli import main
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.algorithms.flow.latent_map import FlowMap, FlowMapParams
from napari_usflow.denoising.algorithms.flow.plain_start import PlainStart
from napari_usflow.errors import JobError
from napari_usflow.jobs import CancelToken, Note, result_of
from napari_usflow.lab.contest.contestants import Registered
from napari_usflow.lab.gaussian.run import gaussian_events
from napari_usflow.lab.reproduce import (
    fig3_gaussian,
    fig4_examples,
    fig5_speckle,
    fig6_picmus,
    fig8_heart,
    priors,
)
from napari_usflow.lab.reproduce.fig8_heart import IN_SILICO
from napari_usflow.lab.reproduce.folders import Folders, find_hearts
from napari_usflow.lab.reproduce.rows import row_events
from napari_usflow.lab.reproduce.run import FIGURES, Request, reproduce_events
from napari_usflow.lab.reproduce.settings import (
    LAMBDA,
    LAMBDA_SIGMA,
    Job,
    Way,
    at_prior_pixel,
    papers,
)
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage


@pytest.fixture(scope="module")
def folders(mri_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    data = write_challenge(tmp_path_factory.mktemp("data"))
    # The experiment's cyst stands for the simulated one as well.
    shutil.copy(data / "4.hdf5", data / "2.hdf5")
    expe = data / "contrast_speckle_expe_phantom.hdf5"
    shutil.copy(expe, data / "contrast_speckle_simu_phantom.hdf5")
    return Folders(data, mri_folder, mri_folder)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tiny_prior: Path) -> None:
    """Few noise levels, few steps, and quick methods in the place of ours."""
    quick = FlowMapParams(iterations=2, batch_size=250, checkpointing=True)
    monkeypatch.setattr(FlowMap, "presets", {"paper": quick})
    few = partial(gaussian_events, anatomies=("knee",))
    monkeypatch.setattr(fig3_gaussian, "gaussian_events", few)
    monkeypatch.setattr(fig3_gaussian, "available_peers", tuple)
    monkeypatch.setattr(fig3_gaussian, "OURS", ("tv",))
    monkeypatch.setattr(fig5_speckle, "CROP_SIZE", 64)

    def contestants(prior, device):
        return {
            "NLM": Registered("nlm", preset="paper"),
            "proposed": Registered("flow-map", weights=prior, preset="paper"),
        }

    for module in (fig4_examples, fig5_speckle):
        monkeypatch.setattr(module, "_contestants", contestants)
    for module in (fig6_picmus, fig8_heart):
        monkeypatch.setattr(module, "ours", lambda: (Way("tv", "tv", is_papers=False),))

    def heart(data, job):
        yield Note("a heart")
        grid = PolarGrid((80, 40), (10.0, 0.4), (-0.6, 0.03))
        frame = np.random.default_rng(0).uniform(-50, 0, (1, 80, 40))
        return [UltrasoundImage(frame.astype(np.float32), "db", grid)], IN_SILICO

    monkeypatch.setattr(fig8_heart, "_hearts", heart)


def test_all_figures_are_written_with_what_they_show(
    small, folders: Folders, tiny_prior: Path, tmp_path: Path
) -> None:
    request = Request(
        folders,
        tmp_path,
        prior=tiny_prior,
        prior_all=tiny_prior,
        figures=[name for name in FIGURES if name != "anatomies"],
        count=2,
        sigmas=(0.2,),
        device="cpu",
    )

    made = result_of(reproduce_events(request))

    assert made.left_out == {}
    names = {path.name for path in made.files}
    assert names == {"fig3.csv", *(f"fig{n}.png" for n in range(2, 9))}
    for path in made.files:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 200
    with (tmp_path / "fig3.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["method"] for line in lines] == ["flow-map", "nlm", "tv"]
    assert {(line["crops"], line["subjects"]) for line in lines} == {("2", "1")}


def test_a_figure_without_its_data_is_left_out_and_that_is_said(
    small, folders: Folders, tiny_prior: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "empty").mkdir()
    argv = ["reproduce", "paper", "--data", str(tmp_path / "empty"), "--device", "cpu"]
    argv += ["--out", str(tmp_path / "out"), "--weights", str(tiny_prior)]

    assert main([*argv, "--figures", "4", "7", "8"]) == 2

    said = capsys.readouterr().err
    assert "figure 4 is left out:" in said and "is to hold MRI to score on" in said
    assert "figure 7 is left out:" in said and "no carotid" in said
    assert "left out: 4, 7" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["fig8.png"]


def test_priors_that_are_not_there_are_trained_and_gone_on_with(
    small, folders: Folders, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(priors, "available_priors", lambda: ["mri"])
    # Two steps of training and two of the search find no image.
    monkeypatch.setattr(PlainStart, "raise_if_worse", lambda *_: None)
    argv = ["reproduce", "paper", "--data", str(folders.data), "--figures", "anatomies"]
    argv += ["--train-data", str(folders.train), "--test-data", str(folders.test)]
    argv += ["--out", str(tmp_path), "--device", "cpu", "--count", "1"]
    argv += ["--sigmas", "0.2"]
    for change in (
        "flow.steps=1,1", "flow.hidden=8,8", "batch_size=4", "likelihood_steps=2",
        "validation_patches=4", "patches.tenengrad_power=0.5",
    ):  # fmt: skip
        argv += ["--set", change]

    assert main(argv) == 0
    said = capsys.readouterr().err
    assert "training paper-small on knee" in said
    assert "training paper-small on all body parts" in said
    assert "million weights" in said
    with (tmp_path / "anatomies.csv").open() as file:
        lines = list(csv.DictReader(file))
    names = {line["prior"] for line in lines}
    assert names == {
        "knees/prior", "knees/prior, plateau", "all/prior", "all/prior, plateau"
    }  # fmt: skip
    before = (tmp_path / "runs" / "knees" / "prior.safetensors").read_bytes()

    assert main(argv) == 0
    assert (tmp_path / "runs" / "knees" / "prior.safetensors").read_bytes() == before


def test_lambda_of_ten_is_read_as_decibels_squared() -> None:
    # 10 dB^2 over a range of 60 dB; lambda = 0.75 sigma^2.
    assert pytest.approx(10 / 3600) == LAMBDA
    assert pytest.approx(np.sqrt(10 / 0.75)) == 60 * LAMBDA_SIGMA
    ways = papers(None)
    assert ways["proposed"].params == {"preset": "paper", "lambda_weight": LAMBDA}
    assert {ways[name].params["preset"] for name in ("nlm", "obnlm")} == {"paper"}


def test_an_image_keeps_its_place_at_the_pixel_of_mri() -> None:
    z, x = np.mgrid[:60, :80]
    blob = np.exp(-((z - 30) ** 2 + (x - 50) ** 2) / 50.0)
    frame = (60 * blob - 60).astype(np.float32)
    image = UltrasoundImage(
        frame[None], "db", PixelGrid((60, 80), (0.2, 0.3), (5.0, -12.0))
    )

    coarse = at_prior_pixel(image)

    assert isinstance(coarse.grid, PixelGrid)
    assert coarse.spacing_mm == pytest.approx((0.4375, 0.4375), rel=0.03)
    assert centre_mm(coarse) == pytest.approx(centre_mm(image), abs=0.03)


def centre_mm(image: UltrasoundImage) -> list[float]:
    weight = np.asarray(image.data[0]) + 60
    return [
        float((weight.sum(axis=1 - n) * axis).sum() / weight.sum())
        for n, axis in enumerate(image.grid.axes_mm())
    ]


def test_mixing_back_returns_a_share_of_what_was_removed(tiny_prior: Path) -> None:
    grid = PixelGrid((32, 32), (0.4375, 0.4375), (5.0, -7.0))
    frame = np.random.default_rng(0).uniform(-50, -10, (1, 32, 32)).astype(np.float32)
    image, job = UltrasoundImage(frame, "db", grid), Job("cpu", CancelToken())
    way = papers(tiny_prior)["nlm"]

    none, some = (
        result_of(job.denoised(way, image, mix_back=share)).data[0]
        for share in (0.0, 0.2)
    )

    np.testing.assert_allclose(some, none + 0.2 * (frame[0] - none), atol=1e-3)


def test_hearts_are_four_acquisitions_of_oslo(tmp_path: Path, monkeypatch) -> None:
    for name in ("OSL010", "OSL011", "OSL014_2", "OSL015", "MYO011"):
        (tmp_path / f"{name}.hdf5").write_bytes(b"")
    monkeypatch.setattr(
        "napari_usflow.lab.reproduce.folders.detect", lambda path: "cubdl"
    )

    assert [path.stem for path in find_hearts(tmp_path)] == ["OSL011", "OSL014_2"]


def test_a_way_without_an_image_leaves_an_empty_panel(monkeypatch) -> None:
    def fail(*_):
        yield Note("about to fail")
        raise JobError("flow-map has not found its image")

    monkeypatch.setattr(method_class("tv"), "run", fail)
    image = UltrasoundImage(
        np.full((1, 40, 40), -20, np.float32),
        "db",
        PixelGrid((40, 40), (0.2, 0.2), (0.0, 0.0)),
    )
    ways = (Way("tv", "tv"), Way("nlm", "nlm", {"preset": "paper"}))
    notes: list[str] = []

    row = result_of(
        row_events(image, ways, Job("cpu", CancelToken())),
        lambda e: notes.append(e.text) if isinstance(e, Note) else None,
    )

    assert [panel.title for panel in row] == ["input", "tv", "nlm"]
    assert [bool(np.isfinite(panel.image).all()) for panel in row] == [1, 0, 1]
    assert row[1].note == "no image"
    assert "tv: no image: flow-map has not found its image" in notes
