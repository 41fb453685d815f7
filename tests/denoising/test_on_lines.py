"""Denoising the sector of a picture on its lines."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.denoising.on_lines import stated_sector
from napari_usflow.lab.sectors.drawn import draw_sector


@pytest.fixture(scope="module")
def screen() -> np.ndarray:
    """Return a small screen with text around the fan."""
    return draw_sector(23, "phased").frames[0][::2, ::2]


def test_text_around_the_sector_stays_or_goes(screen) -> None:
    notes: list[str] = []

    def collect(event: usf.Event) -> None:
        if isinstance(event, usf.Note):
            notes.append(event.text)

    kept = usf.denoise(screen, method="tv", sector="auto", on_event=collect)
    masked = usf.denoise(screen, method="tv", sector="auto", mask_outside=True)

    sector = usf.find_sector(screen)
    assert sector is not None
    mask = sector.mask(screen.shape)
    assert "apex" in notes[0] and "left as it is" in notes[0]
    np.testing.assert_array_equal(kept[~mask], screen[~mask])
    assert (screen[~mask] > 100).any() and (masked[~mask] == 0).all()
    np.testing.assert_array_equal(kept[mask], masked[mask])
    assert kept.dtype == np.uint8 and kept[mask].std() < screen[mask].std()


def test_lazy_stacks_give_the_same(screen) -> None:
    stack = np.stack([screen, screen])
    sector = usf.find_sector(stack)
    told = {"method": "tv", "sector": sector, "mask_outside": True}

    lazy = usf.denoise(da.from_array(stack, chunks=(1, -1, -1)), **told)

    np.testing.assert_array_equal(np.asarray(lazy), usf.denoise(stack, **told))


def test_masking_without_a_sector_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)

    with pytest.raises(ValueError, match="no sector was found"):
        usf.denoise(noise, method="tv", sector="auto", mask_outside=True)


def test_without_a_sector_the_picture_is_denoised_as_it_is() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)

    np.testing.assert_array_equal(
        usf.denoise(noise, method="tv", sector="auto"), usf.denoise(noise, method="tv")
    )


def test_six_numbers_state_a_sector() -> None:
    sector = stated_sector("-10,64,-30,30,20,110")

    assert isinstance(sector, usf.Sector)
    assert sector.apex == (-10.0, 64.0) and sector.radii == (20.0, 110.0)
    np.testing.assert_allclose(np.degrees(sector.angles), (-30, 30))
    assert stated_sector("auto") == "auto" and stated_sector("none") is None
    with pytest.raises(ValueError, match="six numbers"):
        stated_sector("1,2,3")
