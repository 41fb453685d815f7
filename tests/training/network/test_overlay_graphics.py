"""Graphics are drawn over some pictures, and are free of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.training.network.overlay_graphics import draw_graphics
from napari_usflow.training.network.pairs import speckle_pairs

COUNT, SIZE = 600, 40


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_some_pictures_have_graphics_and_most_have_none() -> None:
    where, _ = draw_graphics((COUNT, SIZE, SIZE), generator())
    # 0.15, of which few have nothing: three standard errors.
    share = float(where.any(dim=(1, 2)).double().mean())
    assert 0.05 < share < 0.15 + 3 * (0.15 * 0.85 / COUNT) ** 0.5


def shades_of(grey: torch.Tensor, where: torch.Tensor) -> list[torch.Tensor]:
    return [torch.unique(g[w]) for g, w in zip(grey, where, strict=True) if w.any()]


def test_all_but_the_wedge_is_black_or_one_grey() -> None:
    where, grey = draw_graphics((COUNT, SIZE, SIZE), generator(1))
    # Of more than two shades are the pictures with a wedge.
    shades = [shade for shade in shades_of(grey, where) if len(shade) <= 2]
    assert len(shades) > 40
    assert all(len(shade[shade > 0]) <= 1 for shade in shades)
    assert any(len(shade) == 2 for shade in shades)
    white = torch.cat([shade[shade > 0] for shade in shades])
    assert white.min() >= 0.4 and white.max() <= 1


def test_wedge_falls_evenly_from_white_to_black() -> None:
    where, grey = draw_graphics((4 * COUNT, SIZE, SIZE), generator(2))
    wedges = 0
    for picture, drawn in zip(grey, where, strict=True):
        if len(torch.unique(picture[drawn])) < 8:
            continue
        wedges += 1
        shades = [len(torch.unique(column)) for column in picture.T]
        column = picture[:, int(np.argmax(shades))]
        # Above and below it are black and the grey of what else is drawn.
        step = column.diff()
        fall = step[step != 0].median()
        assert -0.1 - 1e-4 < fall < 0
        assert ((step - fall).abs() < 1e-5).sum() >= max(shades) - 3
    # 0.15 of 0.15, and some that lie beside or below the picture or are short.
    assert 0.4 < wedges / (4 * COUNT * 0.15**2) < 1.2


def test_no_noise_is_put_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_usflow.training.network import pairs

    margin = pairs.MARGIN

    def frame(shape: tuple[int, ...], _: torch.Generator) -> tuple[torch.Tensor, ...]:
        where = torch.zeros(shape, dtype=torch.bool)
        where[:, margin + 3] = True
        return where, torch.full(shape, 0.8)

    monkeypatch.setattr(pairs, "draw_graphics", frame)
    # JPEG may leave rings beside them.
    monkeypatch.setattr(pairs, "compressed", lambda images, *_: images)
    patches = torch.rand(8, 16 + 2 * margin, 16 + 2 * margin, generator=generator())

    made = speckle_pairs(patches, generator(2))

    for image in (made.noisy, made.clean):
        torch.testing.assert_close(image[:, 0, 3], torch.full((8, 16), 0.8))
    assert (made.noisy[:, 0, 4] != made.clean[:, 0, 4]).double().mean() > 0.8
