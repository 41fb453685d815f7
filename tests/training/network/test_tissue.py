"""Enlarged MRI: the size of anatomy and the edges are those that were asked for."""

from __future__ import annotations

import pytest
import torch

from napari_usflow.training.network import tissue
from napari_usflow.training.network.tissue import LARGEST_SCALE, enlarged

COUNT, SIZE = 600, 32


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramps() -> torch.Tensor:
    """Grey that rises across the patch, by 1 / SIZE a pixel."""
    return ((torch.arange(SIZE) + 0.5) / SIZE).expand(COUNT, SIZE, SIZE)


def random_patches() -> torch.Tensor:
    return torch.rand(COUNT, SIZE, SIZE, generator=generator())


def test_result_is_grey_of_the_same_size() -> None:
    """Also of black and white, where an interpolation or an edge may overshoot."""
    patches = random_patches().round()

    result = enlarged(patches, generator(1))

    assert result.shape == patches.shape
    assert result.min() >= 0 and result.max() <= 1


def test_some_patches_keep_their_pixel() -> None:
    patches = random_patches()

    result = enlarged(patches, generator(1))

    same = (result - patches).abs().amax(dim=(1, 2)) < 1e-4
    # An eighth of the scales, and of these the 0.6 that are not sharpened.
    expected = 0.12 * 0.6
    tolerance = 3 * (expected * (1 - expected) / COUNT) ** 0.5
    assert float(same.double().mean()) == pytest.approx(expected, abs=tolerance)


def test_scale_is_even_and_parts_lie_within_the_patch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tissue, "_NATIVE_SHARE", 0.0)
    monkeypatch.setattr(tissue, "_SHARP_SHARE", 0.0)

    slope = enlarged(ramps(), generator(2)).diff(dim=2)

    # Enlarged by s, the ramp is s times less steep, and nowhere mirrored. Cubic
    # interpolation makes it a little uneven.
    assert slope.min() > 0
    scale = 1 / (SIZE * slope[:, :, 4:-4].mean(dim=(1, 2)))
    assert scale.min() > 0.9 and scale.max() < 1.1 * LARGEST_SCALE
    width = LARGEST_SCALE - 1
    assert float(scale.mean()) == pytest.approx(1 + width / 2, abs=0.1)
    assert float(scale.std()) == pytest.approx(width / 12**0.5, rel=0.1)


def test_parts_with_edges_are_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """One quarter of a patch has an edge; a random part often misses it."""
    patches = torch.zeros(COUNT, SIZE, SIZE)
    patches[:, :8, :8] = 1.0

    def share_with_edges() -> float:
        result = enlarged(patches, generator(3))
        contrast = result.amax(dim=(1, 2)) - result.amin(dim=(1, 2))
        return float((contrast > 0.5).double().mean())

    of_three = share_with_edges()
    monkeypatch.setattr(tissue, "_CANDIDATES", 1)
    assert of_three > share_with_edges() + 0.1


def test_sharp_tissue_has_plateaus_and_keeps_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tissue, "LARGEST_SCALE", 1.0)
    monkeypatch.setattr(tissue, "_SHARP_SHARE", 1.0)

    result = enlarged(ramps(), generator(4))

    assert (result.diff(dim=2) > -1e-4).all()
    # Two steps at least: no grey is moved by more than half of one.
    assert float((result - ramps()).abs().max()) < 0.25 + 0.02
    # Most pixels are flatter than the ramp, and few much steeper.
    steepness = SIZE * result.diff(dim=2)
    assert float((steepness < 0.5).double().mean()) > 0.5
    assert float(steepness.amax(dim=(1, 2)).median()) > 2


def test_generator_decides_everything() -> None:
    patches = random_patches()[:8]
    first, again, other = (enlarged(patches, generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
