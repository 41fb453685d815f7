"""Where a sector is best denoised: on its lines, or after scan conversion.

The scene is the in-silico heart of :mod:`~napari_usflow.ultrasound.simulate.heart`.
What is scored is the picture, on the same pixels for all: how much speckle is left in
homogeneous tissue near the probe and far from it, and how well muscle is told from what
surrounds it.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.on_lines import sector_plan
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.metrics import gcnr
from napari_usflow.evaluate.tables import Scored, last_frame
from napari_usflow.jobs import CancelToken, Event, share_of
from napari_usflow.ultrasound.beamform import beamform_events
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.scan_convert import as_picture, scan_convert
from napari_usflow.ultrasound.simulate.heart import heart_regions, simulate_heart_events

__all__ = ["SectorScore", "SectorTest", "sector_events"]

DYNAMIC_RANGE_DB = 60.0

_STEPS = ("simulating", "beamforming", "on the lines", "on the picture")
_SEARCH = "on the lines that are found"


@dataclass(frozen=True)
class SectorScore:
    """One line of the table.

    Attributes
    ----------
    image : str
        ``input``, ``lines`` (denoised before scan conversion), ``picture`` (after) or
        ``found`` (after, on the lines that were found in the picture).
    near_db, far_db : float
        Standard deviation in homogeneous tissue nearer than 50 mm, and farther than
        80 mm, about a level that may change slowly with depth and angle (a quadratic
        fit); of log-compressed speckle 5.57 dB.
    muscle_db : float
        The same in muscle.
    gcnr : float
        Of muscle against the tissue around the heart, after clipping to 60 dB.
    seconds : float
        What denoising took.
    """

    image: str
    near_db: float
    far_db: float
    muscle_db: float
    gcnr: float
    seconds: float


@dataclass(frozen=True)
class SectorTest:
    """The table and what it was made from.

    Attributes
    ----------
    method : str
        What denoised.
    scores : list of SectorScore
        Input, denoised on the lines, denoised on the picture.
    images : dict of str to UltrasoundImage
        By the same names; the first two on a polar grid.
    """

    method: str
    scores: list[SectorScore]
    images: dict[str, UltrasoundImage]


def sector_events(
    *,
    method: str = "flow",
    seed: int = 0,
    search: bool = False,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, SectorTest]:
    """Simulate, beamform and denoise a heart, before and after scan conversion.

    Parameters
    ----------
    method : str
        Name of a registered method.
    seed : int
        Of the scatterers.
    search : bool
        Also find the sector in the picture and denoise on its lines, told nothing.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every line of
        the table.
    """
    token = token or CancelToken()
    total = len(_STEPS) + search
    data = yield from share_of(
        simulate_heart_events(seed, token=token), 0, total, _STEPS[0]
    )
    image = yield from share_of(
        beamform_events(data, device=device, token=token), 1, total, _STEPS[1]
    )
    images = {"input": image}
    scores = [_score("input", image, 0.0)]
    yield Scored(scores[-1])
    inputs = {"lines": image, "picture": scan_convert(image)}
    for number, (name, noisy) in enumerate(inputs.items(), 2):
        start = time.perf_counter()
        run = _denoised(noisy, method, device, token)
        images[name] = yield from share_of(run, number, total, _STEPS[number])
        scores.append(_score(name, images[name], time.perf_counter() - start))
        yield Scored(scores[-1])
    if search:
        start = time.perf_counter()
        scene = sector_plan(inputs["picture"], "auto")
        run = _denoised(scene.work, method, device, token)
        lines = yield from share_of(run, len(_STEPS), total, _SEARCH)
        around = np.asarray(scene.image.data[0])
        picture = scene.picture(np.asarray(lines.data[0]), around)
        images["found"] = scene.image.with_data(picture[np.newaxis])
        seconds = time.perf_counter() - start
        scores.append(_score("found", images["found"], seconds))
        yield Scored(scores[-1])
    return SectorTest(method, scores, images)


def _denoised(
    image: UltrasoundImage, method: str, device: str, token: CancelToken
) -> Generator[Event, None, UltrasoundImage]:
    settings = Settings(dynamic_range_db=DYNAMIC_RANGE_DB)
    denoiser = create(method, device=device)
    run = denoise_events(image, denoiser, settings, token=token)
    done = yield from last_frame(run)
    return image.with_data(done.data[np.newaxis])


def _score(name: str, image: UltrasoundImage, seconds: float) -> SectorScore:
    picture = as_picture(image)
    frame: npt.NDArray[np.float32] = np.asarray(picture.data[0])
    assert isinstance(picture.grid, PixelGrid)
    z_mm, x_mm = np.meshgrid(*picture.grid.axes_mm(), indexing="ij")
    regions = heart_regions(z_mm, x_mm)
    shown = np.clip(frame, -DYNAMIC_RANGE_DB, 0)
    around = regions["near"] | regions["far"]
    near, far, muscle = (
        _spread_db(frame, regions[n], z_mm, x_mm) for n in ("near", "far", "muscle")
    )
    told_apart = gcnr(shown[regions["muscle"]], shown[around])
    return SectorScore(name, near, far, muscle, told_apart, seconds)


def _spread_db(
    frame: npt.NDArray[np.float32],
    region: npt.NDArray[np.bool_],
    z_mm: npt.NDArray[np.float64],
    x_mm: npt.NDArray[np.float64],
) -> float:
    """Standard deviation of a region about a quadratic in radius and angle."""
    z, x = z_mm[region], x_mm[region]
    # In units of about 1, for the fit's sake.
    radius, angle = np.hypot(z, x) / 100, np.arctan2(x, z)
    terms = [radius**i * angle**j for i in range(3) for j in range(3 - i)]
    values = frame[region].astype(np.float64)
    level, *_ = np.linalg.lstsq(np.stack(terms, 1), values, rcond=None)
    return float((values - np.stack(terms, 1) @ level).std())
