"""The registry of the user's own priors."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_usflow._napari.denoise.own_weights import OwnWeights, weights_label

pytestmark = pytest.mark.gui


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "knees" / "checkpoints" / "step-0001200.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return path


def test_kept_prior_outlives_its_checkpoint(qapp, checkpoint):
    priors, told = OwnWeights(), []
    priors.chosen.connect(told.append)
    kept = priors.keep(checkpoint)
    checkpoint.unlink()
    assert kept.name == "knees-step-1200.safetensors"
    assert kept.read_bytes() == b"weights"
    assert told == [str(kept)]
    assert priors.current() == str(kept)
    assert priors.paths() == [str(kept)]


def test_newest_choice_comes_first_and_none_twice(qapp, tmp_path):
    priors = OwnWeights()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"")
    for name in ("a", "b", "a"):
        priors.choose(tmp_path / name)
    assert priors.paths() == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_file_that_is_gone_is_no_longer_offered(qapp, checkpoint):
    priors = OwnWeights()
    kept = priors.keep(checkpoint)
    kept.unlink()
    assert priors.paths() == []
    assert priors.current() == ""


def test_choice_is_offered_but_not_chosen_in_the_next_session(qapp, checkpoint):
    kept = OwnWeights().keep(checkpoint)
    later = OwnWeights()
    assert later.paths() == [str(kept)]
    assert later.current() == ""


def test_network_and_prior_are_each_chosen(qapp, checkpoint, network_file):
    priors = OwnWeights()
    kept = priors.keep(checkpoint)
    priors.choose(network_file)
    assert priors.current() == str(kept)
    assert priors.current(network=True) == str(network_file)
    assert priors.paths() == [str(network_file), str(kept)]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/runs/knees/kept/knees-step-1200.safetensors", "knees-step-1200"),
        ("/runs/knees/prior.safetensors", "knees"),
        ("/runs/knees/network.safetensors", "knees"),
        ("/data/knees.safetensors", "knees.safetensors"),
    ],
)
def test_label_tells_priors_of_different_runs_apart(path, label):
    assert weights_label(path) == label
