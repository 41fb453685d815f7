"""Speckle at the image's own pixel, and simulated exports of scanners.

Crops of MRI are enlarged three times and become B-mode images at that fine pixel, with
three grains of speckle (half, once and 1.75 times the point-spread function of van de
Schaft and van Sloun, arXiv:2112.13110), or pictures as scanners export them: one, three
or eight looks, a sector, a grey map that is no straight line, and 8 bits. The speckle
is simulated with its carrier (:mod:`napari_usflow.ultrasound.simulate.speckle`), not as
it was for the training of the networks.

Our methods run with their defaults and are told nothing. The baselines NLM, OBNLM and
BM3D have, for each line of the table, the strength and the pixel that score best on the
very crops they are judged on. The offset of every method is fitted, see
:mod:`napari_usflow.lab.speckle.run`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.working_pixel import WorkingPixel
from napari_usflow.evaluate.criteria import ReferencePsnr
from napari_usflow.evaluate.tables import Scored, write_table
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress, share_of
from napari_usflow.lab.contest.contestants import Denoised, Tuned
from napari_usflow.lab.contest.mri_crops import (
    Float,
    as_image,
    pick_crops,
    simulated_events,
)
from napari_usflow.lab.contest.peers import Bm3d, available_peers
from napari_usflow.lab.speckle.grey import GreyRegion, region_greys, summarize
from napari_usflow.lab.speckle.scores import DYNAMIC_RANGE_DB, Speckled, quality
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.simulate.speckle import SpeckleParams

__all__ = [
    "KINDS",
    "METHODS",
    "FineScore",
    "FineTest",
    "fine_events",
    "write_fine",
]

METHODS = ("best", "realtime", "flow", "nlm", "obnlm", "bm3d")
KINDS = ("fine", "paper", "coarse", "1 look", "3 looks", "8 looks")

ENLARGED = 3
CROP_SIZE = 64
PIXEL_MM = PRIOR_PIXEL_MM / ENLARGED
_GRAINS = {"fine": 0.5, "paper": 1.0, "coarse": 1.75}
_LOOKS = {"1 look": 1, "3 looks": 3, "8 looks": 8}
_EXPORT_GRAIN = 1.0
_POWER, _BEND = 0.8, 0.4
_APEX, _LINES_PER_RADIAN, _EXPORT_SIZE = 200.0, 240.0, 160

_BLOCKS = (1, 2, 4)
_STRENGTHS = (0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.35, 1.8)
_BM3D_FACTORS = (0.7, 1.0, 1.4, 2.0)


@dataclass(frozen=True)
class FineScore:
    """One method on one anatomy and kind of image: a line of the table.

    Attributes
    ----------
    method : str
        ``input`` is the image itself.
    anatomy : str
    kind : str
        One of :data:`KINDS`.
    crops : int
    psnr_db, ssim : float
        Means over the crops, after the offset of each was fitted.
    worst_db : float
        PSNR of the crop where it is lowest.
    regions : int
        Homogeneous regions of 5 mm; of exported pictures only.
    grey_mean, grey_worst, grey_dark_worst : float
        How far the result's mean lies from the input's in these regions, in grey
        levels of 255: mean of the magnitudes, worst, worst near black. See
        :mod:`napari_usflow.lab.speckle.grey`.
    setting : str
        Parameters that were chosen.
    """

    method: str
    anatomy: str
    kind: str
    crops: int
    psnr_db: float
    ssim: float
    worst_db: float
    regions: int
    grey_mean: float
    grey_worst: float
    grey_dark_worst: float
    setting: str

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return self.method


@dataclass(frozen=True)
class FineTest:
    """Results of the test.

    Attributes
    ----------
    scores : list of FineScore
    greys : list of GreyRegion
        Homogeneous regions of exported pictures, one by one.
    frames : dict
        The first crop of each anatomy and kind: clean, input, and by method.
    """

    scores: list[FineScore]
    greys: list[GreyRegion]
    frames: dict[tuple[str, str], dict[str, Float]]


def fine_events(
    data: Path,
    *,
    methods: Sequence[str] = METHODS,
    anatomies: Sequence[str] = ("knee", "brain"),
    kinds: Sequence[str] = KINDS,
    count: int = 4,
    seed: int = 0,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, FineTest]:
    """Score methods on fine speckle and simulated exports.

    Parameters
    ----------
    data : Path
        Folder of MRI that nothing was trained on; a file's name begins with its
        anatomy.
    methods : sequence of str
        Registered methods, ``bm3d``; without BM3D's package it is left out.
    anatomies, kinds : sequence of str
    count : int
        Crops an anatomy.
    seed : int
        Of the scatterers.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every line.
    """
    token = token or CancelToken()
    names = [n for n in methods if n != Bm3d.method or n in available_peers()]
    cells = [(anatomy, kind) for anatomy in anatomies for kind in kinds]
    test = FineTest([], [], {})
    total = len(cells) * (1 + len(names))
    for number, (anatomy, kind) in enumerate(cells):
        start = number * (1 + len(names))
        run = _images(data, anatomy, kind, count, seed, token)
        speckled = yield from share_of(run, start, total, f"{anatomy}, {kind}")
        shown = {"clean": speckled.clean[0], "input": speckled.noisy[0]}
        yield _scored(test, speckled, "input", kind, speckled.noisy, "")
        for place, name in enumerate(names, start + 1):
            made = yield from share_of(
                _denoised(speckled, name, device, token), place, total, name
            )
            shown[name] = made.crops[0]
            yield _scored(test, speckled, name, kind, made.crops, made.setting)
        test.frames[anatomy, kind] = shown
    return test


def write_fine(test: FineTest, folder: Path) -> list[Path]:
    """Write ``fine.csv``, and ``fine_grey.csv`` where there are exported pictures.

    Returns
    -------
    list of Path
        The files, the table first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "fine.csv"]
    write_table(paths[0], test.scores)
    if test.greys:
        paths.append(folder / "fine_grey.csv")
        write_table(paths[1], test.greys)
    return paths


def _scored(
    test: FineTest,
    speckled: Speckled,
    method: str,
    kind: str,
    results: Float,
    setting: str,
) -> Scored:
    single = [
        asdict(
            quality(
                Speckled(speckled.anatomy, speckled.reading, clean[None], noisy[None]),
                result[None],
            )
        )
        for clean, noisy, result in zip(
            speckled.clean, speckled.noisy, results, strict=True
        )
    ]
    psnr, ssim = ([one[name] for one in single] for name in ("psnr_db", "ssim"))
    greys = []
    if kind in _LOOKS:
        names = (method, speckled.anatomy, kind)
        pictures = (speckled.clean, speckled.noisy, results)
        greys = region_greys(*pictures, PIXEL_MM, names)
        if method != "input":
            test.greys.extend(greys)
    grey = summarize(greys)
    line = FineScore(
        method,
        speckled.anatomy,
        kind,
        len(single),
        float(np.mean(psnr)),
        float(np.mean(ssim)),
        min(psnr),
        grey.regions,
        grey.mean,
        grey.worst,
        grey.dark_worst,
        setting,
    )
    test.scores.append(line)
    return Scored(line)


def _denoised(
    speckled: Speckled, name: str, device: str, token: CancelToken
) -> Generator[Event, None, Denoised]:
    """Denoise the crops by a method of ours, or by a baseline at its best."""
    sigma = float(np.std(speckled.noisy - speckled.clean))
    if name == Bm3d.method:
        return (yield from _best_bm3d(speckled, sigma, token))
    if name in ("nlm", "obnlm"):
        grid = {"block": _BLOCKS, "h": _STRENGTHS}
        tuned = Tuned(name, grid=grid, fit_offset=True, device=device)
        run = tuned.denoise(speckled.noisy, sigma, clean=speckled.clean, token=token)
        return (yield from run)
    result = np.empty_like(speckled.noisy)
    seconds = 0.0
    settings = Settings(value_range=(0.0, 1.0))
    denoiser = create(name, device=device)
    for i, noisy in enumerate(speckled.noisy):
        image = as_image(noisy[np.newaxis], "display")
        for event in denoise_events(image, denoiser, settings, token=token):
            if isinstance(event, FrameDone):
                result[i], seconds = event.data, seconds + event.info["seconds"]
        yield Progress(i + 1, len(result))
    return Denoised(result, seconds / len(result))


def _best_bm3d(
    speckled: Speckled, sigma: float, token: CancelToken
) -> Generator[Event, None, Denoised]:
    """Return BM3D's result at the block size and level that score best."""
    truth = ReferencePsnr(speckled.clean, fit_offset=True)
    best: tuple[float, Denoised] | None = None
    count = len(_BLOCKS) * len(_BM3D_FACTORS)
    tries = [(block, factor) for block in _BLOCKS for factor in _BM3D_FACTORS]
    for number, (block, factor) in enumerate(tries):
        pixel = WorkingPixel((block, block), block_mean=True)
        crops, seconds = np.empty_like(speckled.noisy), 0.0
        for i, noisy in enumerate(speckled.noisy):
            parts = np.stack(pixel.sampled(noisy))
            bm3d = Bm3d((factor,))
            run = bm3d.denoise(parts, sigma, clean=parts, token=token)
            made = yield from share_of(run, number, count, "bm3d")
            crops[i] = pixel.averaged(list(made.crops), noisy.shape)
            seconds += made.seconds * len(parts)
        score = sum(
            truth.score(i, noisy, crops[i], {})
            for i, noisy in enumerate(speckled.noisy)
        )
        if best is None or score > best[0]:
            text = f"block {block}, {factor:g} sigma; best of {count}"
            best = score, Denoised(crops, seconds / len(crops), text)
    assert best is not None
    return best[1]


def _images(
    data: Path, anatomy: str, kind: str, count: int, seed: int, token: CancelToken
) -> Generator[Event, None, Speckled]:
    """Make the images of a cell."""
    from scipy.ndimage import zoom

    crops = pick_crops(data, anatomy, count=count, size=CROP_SIZE)
    tissue = np.stack([zoom(crop, ENLARGED, order=3) for crop in crops]).clip(0, 1)
    scale = _GRAINS.get(kind, _EXPORT_GRAIN)
    looks = _LOOKS.get(kind, 1)
    intensity = np.zeros_like(tissue)
    for look in range(looks):
        params = SpeckleParams(
            sigma_axial_mm=scale * SpeckleParams.sigma_axial_mm,
            sigma_lateral_mm=scale * SpeckleParams.sigma_lateral_mm,
            dynamic_range_db=DYNAMIC_RANGE_DB,
            seed=seed + look,
            pixel_size_mm=PIXEL_MM,
        )
        one = yield from simulated_events(tissue, params, token, name=anatomy)
        intensity += 10 ** (DYNAMIC_RANGE_DB * (one - 1) / 10)
    noisy = 1 + 10 * np.log10(intensity / looks) / DYNAMIC_RANGE_DB
    if kind in _LOOKS:
        clean = _mean_grey(tissue, looks)
        noisy = np.rint(255 * _sector(_grey(noisy))) / 255
        return Speckled(anatomy, "display", _sector(clean), noisy.astype(np.float32))
    return Speckled(anatomy, "display", tissue, noisy.astype(np.float32))


def _grey(unit: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Apply a scanner's grey map: a power, and a share of an S."""
    grey = np.clip(unit, 1e-6, 1) ** _POWER
    bent: npt.NDArray[np.floating] = grey + _BEND * grey * (1 - grey) * (2 * grey - 1)
    return bent


def _mean_grey(tissue: Float, looks: int) -> Float:
    """Return the mean grey of speckle with a number of looks, over 200 quantiles.

    ``tissue`` is at the level of the simulated images: the mean of one look's decibels,
    which lies 2.51 dB below its mean intensity.
    """
    from scipy.special import digamma
    from scipy.stats import gamma

    share = (np.arange(200) + 0.5) / 200
    quantiles = 10 * np.log10(gamma.ppf(share, looks) / looks)
    quantiles = quantiles - 10 / np.log(10) * digamma(1)
    total = sum(_grey(tissue + q / DYNAMIC_RANGE_DB) for q in quantiles)
    return np.asarray(total / len(quantiles), np.float32)


def _sector(lines: npt.NDArray[np.floating]) -> Float:
    """Scan convert images (N, Z, X) of lines that fan out; all of it lies inside."""
    from scipy.ndimage import map_coordinates

    size = _EXPORT_SIZE
    z, x = np.mgrid[:size, :size].astype(float)
    x -= (size - 1) / 2
    depth = np.hypot(z + _APEX, x) - _APEX
    line = np.arctan2(x, z + _APEX) * _LINES_PER_RADIAN + (lines.shape[2] - 1) / 2
    made = [map_coordinates(image, (depth, line), order=1) for image in lines]
    return np.asarray(made, np.float32)
