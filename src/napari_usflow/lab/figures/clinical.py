"""Results on clinical pictures, to look at: there is no truth to score by.

Scanners give 8-bit grey that is clipped at black, smoothed and scan-converted, with
text, rulers and cursors in it; none of it was in any training data. Every method has
its default setting and the noise that is measured in the whole picture, as for a user
who opens the file and presses the button.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_usflow.denoising.array_types import Frame, UncertaintyKind
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.frame_loop import estimate_noise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.uncertainty import uncertainty_events, uncertainty_measure
from napari_usflow.evaluate.tables import last_frame
from napari_usflow.io import read
from napari_usflow.jobs import CancelToken, Event, FrameDone, share_of
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

__all__ = ["CLIPS", "DOUBTS", "ClinicalView", "Clip", "clinical_events"]

METHODS = ("nlm", "flow", "flow-speckle", "realtime")
NETWORK = "realtime"
DOUBTS: tuple[UncertaintyKind, ...] = ("spread", "disagreement")


@dataclass(frozen=True)
class Clip:
    """Where a picture is found, and what of it is shown.

    Attributes
    ----------
    path : str
        Within the folder of ultrasound.
    title : str
    rows, columns : (int, int)
        First pixel, and the one after the last.
    """

    path: str
    title: str
    rows: tuple[int, int]
    columns: tuple[int, int]


CLIPS = (
    Clip(
        "clarius-carotid-doppler/carotid_env.raw",
        "carotid, lines",
        (40, 460),
        (60, 260),
    ),
    Clip(
        "dicom-us-pydicom/gdcm-US-ALOKA-16.dcm", "abdomen, text", (0, 300), (100, 304)
    ),
    Clip(
        "dicom-us-pydicom/JPGLosslessP14SV1_1s_1f_8b.dcm",
        "heart, wide grain, ruler",
        (230, 430),
        (620, 840),
    ),
    Clip(
        "dicom-us-pydicom/examples_ybr_color.dcm", "heart, coarse", (20, 150), (40, 150)
    ),
)
"""Clarius (BSD-3-Clause) and pydicom's test files (MIT); all without names."""


@dataclass(frozen=True)
class ClinicalView:
    """One clip and what was made of it; frames are (Z, X).

    Attributes
    ----------
    clip : Clip
    image : UltrasoundImage
        What is shown of its first frame.
    sigma_db : float
        Noise level that was measured in all of the middle frame.
    results : mapping of str to ndarray
        By method, in the image's values.
    doubts : mapping of str to ndarray
        By kind, of the network, in decibels.
    strong : mapping of str to float
        By kind, share of the pixels where the doubt is strong.
    """

    clip: Clip
    image: UltrasoundImage
    sigma_db: float
    results: Mapping[str, Frame]
    doubts: Mapping[str, Frame]
    strong: Mapping[str, float]


def clinical_events(
    folder: Path,
    *,
    clips: Sequence[Clip] = CLIPS,
    methods: Sequence[str] = METHODS,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, list[ClinicalView]]:
    """Denoise clinical pictures by every method.

    Parameters
    ----------
    folder : Path
        Where the clips' paths begin.
    clips : sequence of Clip
    methods : sequence of str
        Names of registered methods.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Progress, and what the methods say.

    Raises
    ------
    FileFormatError
        When a file is missing or damaged.
    ValueError
        When a method is unknown, or a clip is smaller than what is to be shown of it.
    """
    token = token or CancelToken()
    views: list[ClinicalView] = []
    cells = len(methods) + len(DOUBTS)
    for place, clip in enumerate(clips):
        whole = read(folder / clip.path)[0]
        noise = estimate_noise(whole, Settings(), device=device)
        sigma_db = noise.sigma * Settings.dynamic_range_db
        image = _shown(whole, clip)
        results: dict[str, Frame] = {}
        for number, name in enumerate(methods, place * cells):
            denoiser = create(name, device=device)
            run = denoise_events(image, denoiser, Settings(), token=token, noise=noise)
            done = yield from share_of(
                last_frame(run), number, cells * len(clips), clip.title
            )
            results[name] = done.data
        doubts: dict[UncertaintyKind, FrameDone] = {}
        for number, kind in enumerate(DOUBTS, place * cells + len(methods)):
            measure = uncertainty_measure(NETWORK, kind, device=device)
            run = uncertainty_events(
                image,
                Settings(sigma_db=sigma_db),
                measure,
                decibels=True,
                token=token,
            )
            doubts[kind] = yield from share_of(
                last_frame(run), number, cells * len(clips), clip.title
            )
        views.append(
            ClinicalView(
                clip,
                image,
                sigma_db,
                results,
                {kind: done.data for kind, done in doubts.items()},
                {kind: done.info["strong"]["share"] for kind, done in doubts.items()},
            )
        )
    return views


def _shown(image: UltrasoundImage, clip: Clip) -> UltrasoundImage:
    """Cut what is shown out of the first frame."""
    frame = np.asarray(image.data[0])
    (top, bottom), (left, right) = clip.rows, clip.columns
    if bottom > frame.shape[0] or right > frame.shape[1]:
        raise ValueError(
            f"{clip.path} has {frame.shape[0]} x {frame.shape[1]} pixels, and rows "
            f"{top}-{bottom}, columns {left}-{right} of it are to be shown"
        )
    cut = frame[np.newaxis, top:bottom, left:right]
    grid = PixelGrid((bottom - top, right - left), image.spacing_mm, (0.0, 0.0))
    return replace(image, data=cut, grid=grid)
