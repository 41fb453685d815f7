"""An edge that was taken from a shadow: mirrored from the opposite one, or left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_usflow.ultrasound.sectors.geometry import Sector
from napari_usflow.ultrasound.sectors.shadowed_edge import out_of_shadow

SHAPE = (420, 560)
TRUTH = Sector((10.0, 280.0), (-0.6, 0.6), (60.0, 380.0))


def _tissue(fan: Sector, edge: float, begins: float) -> np.ndarray:
    """Tissue of a fan without what lies left of an angle below a radius."""
    radius, angle = fan.polar(*np.indices(SHAPE))
    return fan.mask(SHAPE) & ~((angle < edge) & (radius > begins))


@pytest.fixture
def everywhere() -> np.ndarray:
    return np.ones(SHAPE, bool)


def test_the_true_edge_is_found_beyond_the_shadow(everywhere: np.ndarray) -> None:
    tissue = _tissue(TRUTH, -0.45, 170.0)
    taken = replace(TRUTH, angles=(-0.45, 0.6))

    fan = out_of_shadow(tissue, everywhere, taken)

    assert fan is not None
    np.testing.assert_allclose(fan.angles, TRUTH.angles, atol=0.005)
    np.testing.assert_allclose(fan.apex, TRUTH.apex, atol=3.0)
    np.testing.assert_allclose(fan.radii, TRUTH.radii, atol=3.0)


def test_an_apex_that_the_shadow_moved_goes_back(everywhere: np.ndarray) -> None:
    tissue = _tissue(TRUTH, -0.45, 170.0)
    # Along the edge that is right.
    back = -12.0
    apex = (10 + back * np.cos(0.6), 280 + back * np.sin(0.6))
    taken = replace(TRUTH, apex=apex, angles=(-0.44, 0.6), radii=(72.0, 392.0))

    fan = out_of_shadow(tissue, everywhere, taken)

    assert fan is not None
    np.testing.assert_allclose(fan.apex, TRUTH.apex, atol=3.0)


def test_an_edge_without_tissue_beyond_it_stays(everywhere: np.ndarray) -> None:
    assert out_of_shadow(TRUTH.mask(SHAPE), everywhere, TRUTH) is None


def test_tissue_that_a_mirrored_edge_does_not_explain_moves_nothing(
    everywhere: np.ndarray,
) -> None:
    # A fan that is turned, with a text beside its left edge.
    turned = replace(TRUTH, angles=(-0.45, 0.6))
    tissue = turned.mask(SHAPE)
    tissue[200:230, 40:200] = True

    assert out_of_shadow(tissue, everywhere, turned) is None
