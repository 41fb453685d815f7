"""Configurations of a network's run: shared out, stored, and named apart."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from napari_usflow.training.flow.configs import CONFIGS
from napari_usflow.training.network.configs import (
    MARGIN,
    NETWORK_CONFIGS,
    NetworkConfig,
    read_network_config,
)


def test_named_configurations_are_not_those_of_flows() -> None:
    assert set(NETWORK_CONFIGS) == {"realtime", "realtime-white", "best-network"}
    assert not set(NETWORK_CONFIGS) & set(CONFIGS)
    assert NETWORK_CONFIGS["realtime"].network.channels == (64, 128, 256)


def test_each_kind_of_noise_has_a_configuration_of_one_size() -> None:
    speckle, white = (NETWORK_CONFIGS[name] for name in ("realtime", "realtime-white"))
    # A little white noise is shown to the one for speckle as well.
    assert speckle.gaussian_fraction <= 0.1 and white.gaussian_fraction == 1.0
    assert speckle.network == white.network


def test_pairs_are_shared_out_over_processes() -> None:
    config = NetworkConfig(batch_size=10)
    assert [config.share(n) for n in (1, 3, 20)] == [10, 3, 1]
    assert [config.patches_per_step(n) for n in (1, 3, 20)] == [10, 9, 20]


def test_patches_are_drawn_with_what_is_simulated_around_them() -> None:
    assert NetworkConfig(crop=40).drawn_size == 40 + 2 * MARGIN


def test_crop_is_of_whole_blocks() -> None:
    with pytest.raises(ValueError, match="crop is 20 pixels; it must be a multiple of"):
        NetworkConfig(crop=20)


@pytest.mark.parametrize("name", sorted(NETWORK_CONFIGS))
def test_configuration_survives_the_way_through_its_file(tmp_path, name) -> None:
    config = replace(NETWORK_CONFIGS[name], seed=7)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"kind": "network", **asdict(config)}))
    assert read_network_config(path) == config


def test_run_of_a_flow_is_not_read_as_one_of_a_network(tmp_path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"flow": {"patch_size": 16}}))
    with pytest.raises(ValueError, match="a flow training run, but a network was"):
        read_network_config(path)
