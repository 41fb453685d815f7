"""Fields set by text: the right field, the right type, one clear error."""

from __future__ import annotations

import pytest

from napari_usflow.parameter_changes import changed, field_names
from napari_usflow.training.flow.configs import CONFIGS
from napari_usflow.training.network.configs import NETWORK_CONFIGS

PAPER = CONFIGS["paper"]


def test_a_field_gets_the_type_of_its_default() -> None:
    config = changed(
        PAPER,
        [
            "patches.only=brain, knee",
            "batch_size=8",
            "learning_rate=3e-4",
            "checkpointing=no",
            "flow.hidden=16,16,16",
        ],
    )
    assert config.patches.only == "brain, knee"
    assert (config.batch_size, config.learning_rate) == (8, 3e-4)
    assert config.checkpointing is False
    assert config.flow.hidden == (16, 16, 16)
    # What is not named stays.
    assert config.flow.steps == PAPER.flow.steps
    assert config.patches.tenengrad_power == PAPER.patches.tenengrad_power


def test_the_last_of_two_counts_and_a_text_may_be_empty() -> None:
    config = changed(PAPER, ["patches.only=heart", "patches.only="])
    assert config.patches.only == ""


def test_every_field_of_every_configuration_can_be_named() -> None:
    for config in (*CONFIGS.values(), *NETWORK_CONFIGS.values()):
        for name in field_names(config):
            value = config
            for part in name.split("."):
                value = getattr(value, part)
            text = ",".join(map(str, value)) if isinstance(value, tuple) else value
            assert changed(config, [f"{name}={text}"]) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("patches.onyl=knee", r"no field 'patches.onyl' to set; perhaps patches\.only"),
        ("patches=knee", "no field 'patches' to set"),
        ("zzz=1", "no field 'zzz' to set; there are .*patches.pixel_mm"),
        ("batch_size", "'batch_size' sets no field; write FIELD=VALUE"),
        ("batch_size=many", "batch_size is 'many'; it must be a whole number"),
        ("batch_size=1.5", "batch_size is '1.5'; it must be a whole number"),
        ("learning_rate=fast", "learning_rate is 'fast'; it must be a number"),
        ("checkpointing=maybe", "checkpointing is 'maybe'; it must be true or false"),
        ("flow.hidden=a,b", "whole numbers with commas between"),
        ("flow.hidden=16,16", r"flow.hidden=16,16: steps .* need one entry a level"),
    ],
)
def test_what_cannot_be_set_is_said_in_one_line(change: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        changed(PAPER, [change])
    assert "\n" not in str(error.value)


def test_fields_that_only_fit_together_are_set_together() -> None:
    config = changed(PAPER, ["flow.steps=2,2", "flow.hidden=8,8"])
    assert (config.flow.steps, config.flow.hidden) == ((2, 2), (8, 8))


def test_a_number_that_may_be_left_out_is_none_when_it_is_empty() -> None:
    from napari_usflow.denoising.algorithms.flow.latent_map import FlowMapParams

    params = FlowMapParams(iterations=5)
    assert changed(params, ["iterations=7"]).iterations == 7
    assert changed(params, ["iterations="]).iterations is None
