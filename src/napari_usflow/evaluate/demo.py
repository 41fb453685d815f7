"""The whole way on simulated data, with figures of merit and a picture.

Acquisition -> beamforming -> B-mode -> every method -> scores on the phantom's targets.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.figures import extent_mm, new_figure, save_figure
from napari_usflow.evaluate.phantom_scores import (
    picmus_contrast,
    picmus_fwhm,
    picmus_speckle_snr,
)
from napari_usflow.evaluate.tables import last_frame, write_table
from napari_usflow.io import read_channel_data
from napari_usflow.io.picmus import Phantom, read_phantom
from napari_usflow.jobs import CancelToken, Event, Note, share_of
from napari_usflow.prior import PRIOR_PIXEL_MM
from napari_usflow.ultrasound.beamform import beamform_events, default_grid
from napari_usflow.ultrasound.data import ChannelData, PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.simulate.phantom import sample_files

__all__ = ["METHODS", "Demo", "Scores", "demo_events", "score", "write_demo"]

METHODS: Mapping[str, Mapping[str, Any]] = {
    "best": {},
    "flow": {},
    "nlm": {},
}
"""The methods that are shown, with their parameters where they are not the defaults."""

DISPLAY_RANGE_DB = 60.0


@dataclass(frozen=True)
class Scores:
    """One line of the table; input and results are clipped alike to 60 dB.

    Attributes
    ----------
    method : str
        ``input`` for the B-mode image itself.
    contrast_db, gcnr : float
        Mean over the cysts, as the PICMUS challenge defines contrast.
    speckle_snr : float
        Mean over the homogeneous regions; 1.91 for fully developed speckle.
    fwhm_mm : float
        Mean over the points of the axial and the lateral width at -6 dB.
    seconds : float
        Beamforming for ``input``, denoising for the others.
    """

    method: str
    contrast_db: float
    gcnr: float
    speckle_snr: float
    fwhm_mm: float
    seconds: float


@dataclass(frozen=True)
class Demo:
    """Result of a demonstration.

    Attributes
    ----------
    image : UltrasoundImage
        The beamformed B-mode image, dB, one frame.
    results : mapping of str to UltrasoundImage
        One denoised image a method, on the same grid.
    scores : sequence of Scores
        The input first.
    provenance : mapping of str to dict
        How each result was made.
    """

    image: UltrasoundImage
    results: Mapping[str, UltrasoundImage]
    scores: Sequence[Scores]
    provenance: Mapping[str, dict[str, Any]]


def demo_events(
    *,
    files: tuple[Path, Path] | None = None,
    methods: Mapping[str, Mapping[str, Any]] = METHODS,
    angles: int | None = None,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, Demo]:
    """Simulate (once, then cached), beamform, denoise and score.

    Parameters
    ----------
    files : (Path, Path), optional
        Channel data and the PICMUS phantom that they are of; the sample acquisition
        when omitted.
    methods : mapping of str to mapping
        Names of registered methods, and their parameters.
    angles : int, optional
        Plane waves to compound; all that were simulated by default.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Notes on what is being done, progress within it.
    """
    token = token or CancelToken()
    dataset, targets = files or (yield from sample_files(token=token))
    phantom = read_phantom(targets)
    yield Note("beamforming")
    start = time.perf_counter()
    acquisition = read_channel_data(dataset)
    image = yield from beamform_events(
        acquisition,
        grid=_demo_grid(acquisition),
        angles=angles,
        device=device,
        token=token,
    )
    image = image.with_data(np.asarray(image.data[:1]))
    scores = [score("input", image, phantom, time.perf_counter() - start)]
    results: dict[str, UltrasoundImage] = {}
    provenance: dict[str, dict[str, Any]] = {}
    for name, params in methods.items():
        yield Note(f"denoising: {name}")
        denoiser = create(name, device=device, **params)
        run = denoise_events(image, denoiser, Settings(), token=token)
        done = yield from share_of(last_frame(run), 0, 1, name)
        results[name] = image.with_data(done.data[None])
        seconds = float(done.info["seconds"])
        scores.append(score(name, results[name], phantom, seconds))
        provenance[name] = {**denoiser.provenance(), **done.info}
    return Demo(image, results, scores, provenance)


def _demo_grid(acquisition: ChannelData) -> PixelGrid:
    """The beamformer's field of view, at a third of the prior's pixel.

    Speckle is a good three of these pixels wide, and the flow has a third of the work
    that the beamformer's finer default grid would make.
    """
    field = default_grid(acquisition)
    pixel = PRIOR_PIXEL_MM / 3
    extent = np.multiply(np.subtract(field.shape, 1), field.spacing_mm)
    rows, columns = (int(length / pixel) + 1 for length in extent)
    return PixelGrid((rows, columns), (pixel, pixel), field.origin_mm)


def _grid_of(image: UltrasoundImage) -> PixelGrid:
    if not isinstance(image.grid, PixelGrid):
        raise ValueError(
            "a polar image cannot be scored; the targets are given in millimetres"
        )
    return image.grid


def score(
    method: str, image: UltrasoundImage, phantom: Phantom, seconds: float
) -> Scores:
    """Score the first frame of a dB image on the targets of a phantom."""
    grid = _grid_of(image)
    frame = np.asarray(image.data[0])
    clip = DISPLAY_RANGE_DB
    cysts = picmus_contrast(frame, grid, phantom, clip_db=clip).mean()
    points = picmus_fwhm(frame, grid, phantom, clip_db=clip).mean()
    snr = picmus_speckle_snr(frame, grid, phantom, clip_db=clip)
    return Scores(
        method,
        contrast_db=cysts["contrast_db"],
        gcnr=cysts["gcnr"],
        speckle_snr=float(np.nanmean(snr)),
        fwhm_mm=(points["axial_mm"] + points["lateral_mm"]) / 2,
        seconds=seconds,
    )


def write_demo(demo: Demo, folder: Path) -> list[Path]:
    """Write ``metrics.csv`` and ``comparison.png`` into a folder, made if missing.

    Returns
    -------
    list of Path
        The two files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, figure = folder / "metrics.csv", folder / "comparison.png"
    write_table(table, demo.scores)
    _draw(demo, figure)
    return [figure, table]


def _draw(demo: Demo, path: Path) -> None:
    """Before, after and the difference; one contrast for all images of a kind."""
    extent = extent_mm(_grid_of(demo.image))
    before = np.asarray(demo.image.data[0])
    columns = 1 + len(demo.results)
    figure = new_figure(3.3 * columns + 0.7, 8.0)
    axes = figure.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
    grey = {"cmap": "gray", "vmin": -DISPLAY_RANGE_DB, "vmax": 0, "extent": extent}
    signed = {"cmap": "RdBu_r", "vmin": -20, "vmax": 20, "extent": extent}
    frames = {"B-mode": before} | {n: r.data[0] for n, r in demo.results.items()}
    for column, (name, frame) in enumerate(frames.items()):
        shown = axes[0, column].imshow(frame, **grey)
        axes[0, column].set_title(name)
        axes[-1, column].set_xlabel("lateral (mm)")
        if column:
            removed = axes[1, column].imshow(before - frame, **signed)
            axes[1, column].set_title(f"B-mode - {name}")
    for row in axes:
        row[0].set_ylabel("depth (mm)")
    axes[1, 0].set_visible(False)
    figure.colorbar(shown, ax=list(axes[0]), label="dB", shrink=0.8)
    if demo.results:
        figure.colorbar(removed, ax=list(axes[1]), label="dB", shrink=0.8)
    save_figure(figure, path)
