"""The network ``native``: speckle of any grain at the image's own pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

import napari_usflow as usf
from napari_usflow.networks.baseband import speckle_field

SIZE = 128
STEP_DB = 20.0
Image = npt.NDArray[np.float32]


def step_under_speckle(grain: tuple[float, float]) -> Image:
    """Decibels of two regions with a slanted edge, -40 dB left and -20 dB right."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    level = np.where(columns + 0.4 * rows > 0.7 * SIZE, -20.0, -20.0 - STEP_DB)
    field = speckle_field(
        torch.from_numpy(10 ** (level / 10)).float()[None],
        torch.tensor([grain]),
        generator=torch.Generator().manual_seed(0),
    )[0]
    return 20 * field.abs().clamp_min(1e-5).log10().numpy()


def denoised(noisy: Image) -> Image:
    return usf.denoise(
        noisy, method="realtime", prior="native", sampling="none", keep_points=False
    )


def lattice(image: Image, axis: int) -> float:
    """Second difference at one pixel over a quarter of that at two; smooth: 1."""
    image = np.moveaxis(image, axis, 0)
    near = image[2:] - 2 * image[1:-1] + image[:-2]
    far = image[4:] - 2 * image[2:-2] + image[:-4]
    return float(np.sqrt((near**2).mean()) / (np.sqrt((far**2).mean()) / 4))


@pytest.mark.parametrize("grain", [(0.5, 0.7), (1.7, 2.1), (3.0, 4.0)])
def test_speckle_goes_and_the_step_stays(grain: tuple[float, float]) -> None:
    noisy = step_under_speckle(grain)

    clean = denoised(noisy)

    # Away from the joined ends of the simulation and from the edge.
    left, right = np.s_[70:110, 12:28], np.s_[20:60, 96:116]
    for region in (left, right):
        assert clean[region].std() < 0.4 * noisy[region].std()
    height = clean[right].mean() - clean[left].mean()
    # The means of so few grains of wide speckle are uncertain by 0.7 dB each.
    assert height == pytest.approx(STEP_DB, abs=2.0)


@pytest.mark.parametrize("grain", [(1.7, 2.1), (3.0, 4.0)])
def test_result_has_no_lattice(grain: tuple[float, float]) -> None:
    """Wide grain leaves no edge as sharp as a pixel; that alone would give 2.8."""
    clean = denoised(step_under_speckle(grain))
    assert max(lattice(clean, 0), lattice(clean, 1)) < 2.2
