"""Scenes hold what MRI lacks, as often as they should, and within the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.networks.scenes import Scenes, draw_scenes

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
    # 0.5; 0.25 with any of two at 0.6; 3 standard errors.
    assert float(with_points) == pytest.approx(0.53 * (1 - 0.5**8), abs=0.06)
    assert float(with_lines) == pytest.approx(0.25 * (1 - 0.4**2), abs=0.05)


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


def test_flat_grey_gets_steps_slopes_and_shadows_in_some_scenes(grey: Scenes) -> None:
    spread = grey.level_db.flatten(1).amax(1) - grey.level_db.flatten(1).amin(1)
    share_flat = float((spread < 0.01).double().mean())
    # No ellipse, slope or shadow: at least 0.7 * 0.6 * 0.88, and a few more.
    assert 0.33 < share_flat < 0.5
    assert float((spread > 12).double().mean()) > 0.1


def test_tissue_stays_in_order() -> None:
    """More grey is more echo, in either reading, whatever contrast is drawn."""
    ramp = torch.linspace(0, 1, SIZE).expand(200, SIZE, SIZE).contiguous()
    flat = torch.full((200, SIZE, SIZE), 0.5)
    scenes, plain = (
        draw_scenes(patches, torch.Generator().manual_seed(1))
        for patches in (ramp, flat)
    )
    # The same draws: what is not tissue is in both.
    tissue = (scenes.level_db - plain.level_db)[:, 0]
    assert (tissue.diff(dim=1) > -1e-4).all()
    assert float((tissue[:, -1] - tissue[:, 0]).median()) > 15


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
