"""Graphics are drawn over some pictures, and are free of noise."""

from __future__ import annotations

import pytest
import torch

from napari_usflow.networks.graphics import draw_graphics
from napari_usflow.networks.pairs import speckle_pairs

COUNT, SIZE = 600, 40


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_some_pictures_have_graphics_and_most_have_none() -> None:
    where, _ = draw_graphics((COUNT, SIZE, SIZE), generator())
    # 0.15, of which few have nothing: three standard errors.
    share = float(where.any(dim=(1, 2)).double().mean())
    assert 0.05 < share < 0.15 + 3 * (0.15 * 0.85 / COUNT) ** 0.5


def test_they_are_black_or_one_grey() -> None:
    where, grey = draw_graphics((COUNT, SIZE, SIZE), generator(1))
    shades = [
        torch.unique(values[drawn])
        for values, drawn in zip(grey, where, strict=True)
        if drawn.any()
    ]
    assert all(len(shade[shade > 0]) <= 1 for shade in shades)
    assert any(len(shade) == 2 for shade in shades)
    white = torch.cat([shade[shade > 0] for shade in shades])
    assert white.min() >= 0.4 and white.max() <= 1


def test_no_noise_is_put_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_usflow.networks import pairs

    margin = pairs.MARGIN

    def frame(shape: tuple[int, ...], _: torch.Generator) -> tuple[torch.Tensor, ...]:
        where = torch.zeros(shape, dtype=torch.bool)
        where[:, margin + 3] = True
        return where, torch.full(shape, 0.8)

    monkeypatch.setattr(pairs, "draw_graphics", frame)
    patches = torch.rand(8, 16 + 2 * margin, 16 + 2 * margin, generator=generator())

    made = speckle_pairs(patches, generator(2))

    for image in (made.noisy, made.clean):
        assert torch.equal(image[:, 0, 3], torch.full((8, 16), 0.8))
    assert (made.noisy[:, 0, 4] != made.clean[:, 0, 4]).double().mean() > 0.8
