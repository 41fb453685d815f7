"""Running methods on a scene of the PICMUS challenge, and scoring what they give."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.frame_loop import estimate_noise
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.phantom_scores import picmus_speckle_level
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress, share_of
from napari_usflow.lab.contest.smoothing import (
    STRENGTHS,
    match_events,
    window_parameters,
)
from napari_usflow.lab.picmus.points import point_lines
from napari_usflow.lab.picmus.scenes import Scene, grid_of
from napari_usflow.lab.picmus.scores import (
    Carotid,
    PicmusPoint,
    PicmusScore,
    label_of,
)
from napari_usflow.lab.picmus.scoring import Result, score_line
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["Bench", "Cell", "Way"]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Way:
    """Denoising settings of a row.

    Attributes
    ----------
    method : str
    block : int, optional
        Side of the blocks of a classical filter, see
        :class:`~napari_usflow.lab.picmus.scores.PicmusScore`.
    weights : str or path, optional
    prior_name : str
        Its name in the table.
    """

    method: str
    block: int | None = None
    weights: Any = None
    prior_name: str = ""

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return label_of(self.method, self.prior_name, self.block)

    def denoiser(self, device: str, **params: Any) -> Denoiser:
        """Create the method; the block is that of this way."""
        if self.block is not None:
            params["block"] = self.block
        return create(self.method, weights=self.weights, device=device, **params)


@dataclass(frozen=True)
class _Noisy:
    """An image, the noise level that is told, and the noise that is measured."""

    image: UltrasoundImage
    settings: Settings
    noise: Noise


@dataclass(frozen=True)
class Cell:
    """Results of one scene at one number of plane waves.

    Attributes
    ----------
    scores : list of PicmusScore
    points : list of PicmusPoint
    frames : dict of str to ndarray, shape (Z, X), dB
        Contrast image and its results by label.
    """

    scores: list[PicmusScore]
    points: list[PicmusPoint]
    frames: dict[str, Float]


class Bench:
    """Runs every way on a scene.

    Parameters
    ----------
    ways : sequence of Way
    reference : Way, optional
        The one of them whose smoothing the baselines are given.
    sigma_db : float, optional
        Noise level that is told; estimated from each image when None.
    device : str
    token : CancelToken
    """

    def __init__(
        self,
        ways: Sequence[Way],
        reference: Way | None,
        sigma_db: float | None,
        device: str,
        token: CancelToken,
    ) -> None:
        self._reference = reference
        # The reference comes first: the others are given its smoothing.
        self._ways = sorted(ways, key=lambda way: way is not reference)
        self._sigma_db, self._device, self._token = sigma_db, device, token
        self._settings: dict[Way, dict[str, Any]] = {}

    def cell_events(
        self, scene: Scene, plane_waves: int
    ) -> Generator[Event, None, Cell]:
        """Score all ways on a scene, the input first."""
        cysts = scene.cysts.image.data[0]
        points = None if scene.points is None else scene.points.image.data[0]
        line = score_line(scene, plane_waves, Result(cysts), Result(points))
        cell, spread = Cell([line], [], {"input": cysts}), None
        yield Scored(line)
        for number, way in enumerate(self._ways):
            run = self._way_events(way, scene, spread)
            made = yield from share_of(run, number, len(self._ways), way.label)
            line = score_line(
                scene,
                plane_waves,
                *made[:2],
                method=way.method,
                prior=way.prior_name,
                block=way.block,
                setting=made[2],
            )
            if way is self._reference:
                spread = line.speckle_db
            cell.scores.append(line)
            cell.frames[way.label] = made[0].frame
            if scene.points is not None:
                cell.points.extend(point_lines(line, scene.points, made[1].frame))
            yield Scored(line)
        return cell

    def _way_events(
        self, way: Way, scene: Scene, spread_db: float | None
    ) -> Generator[Event, None, tuple[Result, Result, str]]:
        """Denoise cysts and points, with the strength that leaves a spread."""
        noisy, setting = self._measured(scene.cysts.image, self._sigma_db), ""
        params = _windows(way, noisy.noise)
        if spread_db is not None and way.method in STRENGTHS:
            name = STRENGTHS[way.method].name

            def spread(strength: float) -> Generator[Event, None, float]:
                tried = {**params, name: strength}
                run = self._denoised(way, noisy, tried)
                frame = (yield from run).frame
                grid, phantom = grid_of(noisy.image), scene.cysts.phantom
                return picmus_speckle_level(frame, grid, phantom)[1]

            run = match_events(spread, spread_db, STRENGTHS[way.method])
            match = yield from share_of(run, 0, 3, "")
            params = {**params, name: match.strength}
            values = ", ".join(f"{n} {value:.3g}" for n, value in params.items())
            setting = f"{values}: {match.spread_db:.2f} dB left"
        # The carotid has no homogeneous region: what the first scene takes goes for it.
        self._settings.setdefault(way, params)
        cysts = yield from share_of(self._denoised(way, noisy, params), 1, 3, "")
        points = Result(None)
        if scene.points is not None:
            noisy = self._measured(scene.points.image, self._sigma_db)
            run_points = self._denoised(way, noisy, params)
            points = yield from share_of(run_points, 2, 3, "")
        return cysts, points, setting

    def _measured(self, image: UltrasoundImage, sigma_db: float | None) -> _Noisy:
        settings = Settings(sigma_db=sigma_db)
        noise = estimate_noise(image, settings, device=self._device)
        return _Noisy(image, settings, noise)

    def carotid_events(self, image: UltrasoundImage) -> Generator[Event, None, Carotid]:
        """Denoise the carotid every way; the noise level is estimated."""
        results, noisy = {}, self._measured(image, None)
        for number, way in enumerate(self._ways):
            run = self._denoised(way, noisy, self._settings[way])
            label = f"carotid: {way.label}"
            made = yield from share_of(run, number, len(self._ways), label)
            results[way.label] = made.frame
        return Carotid(image, results)

    def _denoised(
        self, way: Way, noisy: _Noisy, params: dict[str, Any]
    ) -> Generator[Event, None, Result]:
        run = denoise_events(
            noisy.image,
            way.denoiser(self._device, **params),
            noisy.settings,
            token=self._token,
            noise=noisy.noise,
        )
        for event in run:
            if isinstance(event, FrameDone):
                return Result(event.data, float(event.info["seconds"]))
            if isinstance(event, Progress):
                yield event
        raise AssertionError("an image without frames")


def _windows(way: Way, noise: Noise) -> dict[str, Any]:
    """Return windows for the image's own pixel, as large in mm as on the blocks."""
    if way.block != 1:
        return {}
    steps = create(way.method).working_pixel(noise).steps
    return window_parameters(way.method, max(steps))
