"""Scenes hold what MRI lacks, as often as they should, and within the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.training.network import scenes
from napari_usflow.training.network.scenes import Scenes, draw_scenes

COUNT, SIZE = 600, 24


@pytest.fixture(scope="module")
def grey() -> Scenes:
    """Scenes of flat grey: whatever is in them was put there."""
    patches = torch.full((COUNT, SIZE, SIZE), 0.5)
    return draw_scenes(patches, torch.Generator().manual_seed(0))


def test_arrays_have_the_shapes_that_are_promised(grey: Scenes) -> None:
    assert grey.level_db.shape == (COUNT, SIZE, SIZE)
    assert grey.positions.shape[::2] == (COUNT, 2)
    assert grey.amplitudes.shape == grey.positions.shape[:2]
    assert grey.lines.shape[::2] == (COUNT, 6)
    assert grey.dynamic_range_db.shape == (COUNT,)
    assert all(torch.isfinite(torch.view_as_real(grey.amplitudes)).flatten())
    assert torch.isfinite(grey.level_db).all() and torch.isfinite(grey.lines).all()


def test_points_lie_within_the_picture(grey: Scenes) -> None:
    present = grey.positions[grey.amplitudes.abs() > 0]
    assert present.min() >= 2 and present.max() <= SIZE - 3


def test_some_scenes_have_points_and_lines_and_most_have_none(grey: Scenes) -> None:
    with_points = (grey.amplitudes.abs() > 0).any(1).double().mean()
    with_lines = (grey.lines[..., 5] > 0).any(1).double().mean()
    # Half of those without water, and all of the 0.06 with it, with any of eight at
    # 0.5; 0.3 with any of two at 0.6; 3 standard errors.
    assert float(with_points) == pytest.approx(0.53 * (1 - 0.5**8), abs=0.06)
    assert float(with_lines) == pytest.approx(0.3 * (1 - 0.4**2), abs=0.055)


def test_points_are_brighter_than_what_is_around_them(grey: Scenes) -> None:
    shown, which = torch.nonzero(grey.amplitudes.abs() > 0, as_tuple=True)
    near = grey.positions[shown, which].round().long()
    around = grey.level_db[shown, near[:, 0], near[:, 1]]
    echo = 20 * grey.amplitudes[shown, which].abs().log10()
    # By 6 dB, but where that is whiter than what is shown.
    assert ((echo - around >= 6 - 1e-3) | (echo >= 12 - 1e-3)).all()


def test_wires_in_water_stand_out_of_black(grey: Scenes) -> None:
    black = -0.9 * grey.dynamic_range_db
    lowest, highest = grey.level_db.amin(dim=(1, 2)), grey.level_db.amax(dim=(1, 2))
    water = (highest == lowest) & (highest <= black + 1e-3)
    assert 0.03 < float(water.double().mean()) < 0.1
    echo = grey.amplitudes[water].abs()
    assert (echo > 0).any(1).double().mean() > 0.9
    shown = 20 * echo[echo > 0].log10()
    # A cyst may fill a picture, and its points stand out less.
    seen = (shown >= -34 - 1e-3) & (shown <= 1e-3)
    assert seen.double().mean() > 0.95


def _spread(made: Scenes) -> torch.Tensor:
    level = made.level_db.flatten(1)
    return level.amax(dim=1) - level.amin(dim=1)


def test_few_scenes_of_flat_grey_stay_flat(grey: Scenes) -> None:
    share_flat = float((_spread(grey) < 0.01).double().mean())
    # 0.06 are water; of the others no ellipse, slope, shadow, texture, or layer (the
    # bright ones and the dark ones: 0.5 each, with any of three at 0.7); and a few
    # that miss the picture.
    without_layers = (1 - 0.5 * (1 - 0.3**3)) ** 2
    expected = 0.06 + 0.94 * 0.7 * 0.6 * 0.88 * 0.6 * without_layers
    tolerance = 3 * (expected * (1 - expected) / COUNT) ** 0.5
    assert expected - tolerance < share_flat < expected + tolerance + 0.04
    assert float((_spread(grey) > 12).double().mean()) > 0.4


EXTRAS = ("_ellipses_db", "_slope_db", "_shadow_db", "_texture_db", "_with_layers")


def added_db(monkeypatch: pytest.MonkeyPatch, extra: str) -> torch.Tensor:
    """What one of the extras alone changes in scenes of flat grey without water."""
    with_it, plain = (_flat_scenes(monkeypatch, only) for only in (extra, ""))
    # What is drawn before the extras is the same.
    return with_it.level_db - plain.level_db


def _flat_scenes(monkeypatch: pytest.MonkeyPatch, extra: str) -> Scenes:
    size = 48

    def nothing(_: object, shape: torch.Size) -> torch.Tensor:
        return torch.zeros(shape)

    def unchanged(_: object, level: torch.Tensor) -> torch.Tensor:
        return level.expand(-1, size, size)

    for name in EXTRAS:
        if name != extra:
            without = unchanged if name == "_with_layers" else nothing
            monkeypatch.setattr(scenes, name, without)
    monkeypatch.setattr(scenes, "_WATER_SHARE", 0.0)
    patches = torch.full((COUNT, size, size), 0.5)
    return draw_scenes(patches, torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("extra", "share", "most_db"),
    [
        # The share that is drawn; how far apart the levels of one scene may be.
        ("_ellipses_db", 0.3 * (1 - 0.4**3), 3 * 60 + 3 * 15),
        ("_slope_db", 0.4, 15 + 5),
        ("_shadow_db", 0.12, 40),
        ("_texture_db", 0.4, 2 * 4),
        (
            "_with_layers",
            1 - (1 - 0.5 * (1 - 0.3**3)) * (1 - 0.65 * (1 - 0.2**3)),
            3 * 30 + 3 * 25,
        ),
    ],
)
def test_each_extra_is_in_some_scenes(
    monkeypatch: pytest.MonkeyPatch, extra: str, share: float, most_db: float
) -> None:
    change = added_db(monkeypatch, extra).flatten(1)
    spread = change.amax(dim=1) - change.amin(dim=1)
    found = float((spread > 0.05).double().mean())
    tolerance = 3 * (share * (1 - share) / COUNT) ** 0.5
    # A tenth may miss the picture.
    assert 0.9 * share - tolerance < found < share + tolerance
    assert 0.1 * most_db < float(spread.max()) < most_db + 0.01


def test_layers_are_thin_and_bright_or_dark(monkeypatch: pytest.MonkeyPatch) -> None:
    change = added_db(monkeypatch, "_with_layers")
    bright, dark = change > 1, change < -1
    for kind, share in ((bright, 0.5), (dark, 0.65)):
        assert abs(float(kind.any(dim=(1, 2)).double().mean()) - share) < 0.15
        # Even of three layers most of the picture is free.
        assert float(kind.double().mean(dim=(1, 2)).quantile(0.95)) < 0.4
    # Along depth a layer covers at most 5 pixels of its own and shares two, so that
    # longer runs are those of layers that touch or cross.
    for kind, thickest in ((bright, 5), (dark, 3)):
        longer = kind.unfold(1, thickest + 3, 1).all(dim=-1)
        assert float(longer.double().mean()) < 0.15 * float(kind.double().mean())


def test_texture_is_weak_stripes_about_the_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = added_db(monkeypatch, "_texture_db").flatten(1)
    textured = change[change.abs().amax(dim=1) > 1]
    assert len(textured) > 100
    assert float(textured.abs().max()) <= 4 + 1e-4
    # As much above as below.
    assert float(textured.mean(dim=1).median()) == pytest.approx(0.0, abs=0.2)


def test_more_grey_is_more_echo() -> None:
    """In either reading, whatever contrast is drawn, and under all that is added."""
    darkest_to_brightest = torch.stack(
        [
            draw_scenes(
                torch.full((200, SIZE, SIZE), grey), torch.Generator().manual_seed(1)
            ).level_db
            for grey in torch.linspace(0, 1, 6).tolist()
        ]
    )
    assert (darkest_to_brightest.diff(dim=0) > -1e-4).all()
    rise = darkest_to_brightest[-1] - darkest_to_brightest[0]
    assert float(rise.median()) > 15


def test_dynamic_ranges_are_those_of_scanners(grey: Scenes) -> None:
    assert grey.dynamic_range_db.min() >= 45 and grey.dynamic_range_db.max() <= 80
    assert float(grey.dynamic_range_db.mean()) == pytest.approx(62.5, abs=1.5)


def test_generator_decides_everything() -> None:
    patches = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    first, again, other = (
        draw_scenes(patches, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.level_db, again.level_db)
    np.testing.assert_array_equal(first.amplitudes, again.amplitudes)
    assert not torch.equal(first.level_db, other.level_db)
