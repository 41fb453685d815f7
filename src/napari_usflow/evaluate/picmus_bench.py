"""Running methods on a scene of the PICMUS challenge, and scoring what they give."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise import Settings, create, denoise_events
from napari_usflow.denoise.sampling import Mode, Sampling
from napari_usflow.evaluate.phantom_scores import (
    picmus_contrast,
    picmus_fwhm,
    picmus_speckle_level,
)
from napari_usflow.evaluate.picmus_scenes import Scene, Target, grid_of
from napari_usflow.evaluate.picmus_scores import Carotid, PicmusScore, label_of
from napari_usflow.evaluate.smoothing import (
    STRENGTHS,
    match_events,
    window_parameters,
)
from napari_usflow.evaluate.tables import Scored, within
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["Bench", "Way"]

Float = npt.NDArray[np.float32]

_CLIP_DB = 60.0


@dataclass(frozen=True)
class Way:
    """How images are denoised: method, sampling, prior and its name in the table."""

    method: str
    sampling: Mode
    prior: Any = None
    prior_name: str = ""

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return label_of(self.method, self.prior_name, self.sampling)


@dataclass(frozen=True)
class _Result:
    frame: Any  # (Z, X) in dB; None where there is no such image
    seconds: float = 0.0


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
    ) -> Generator[Event, None, tuple[list[PicmusScore], dict[str, Float]]]:
        """Score all ways; give the lines and the frames by label."""
        cysts = scene.cysts.image.data[0]
        points = None if scene.points is None else scene.points.image.data[0]
        line = _score(scene, plane_waves, _Result(cysts), _Result(points))
        scores, frames, spread = [line], {"input": cysts}, None
        yield Scored(line)
        for number, way in enumerate(self._ways):
            run = self._way_events(way, scene, spread)
            made = yield from within(run, number, len(self._ways), way.label)
            line = _score(scene, plane_waves, *made[:2], way=way, setting=made[2])
            if way is self._reference:
                spread = line.speckle_db
            scores.append(line)
            frames[way.label] = made[0].frame
            yield Scored(line)
        return scores, frames

    def _way_events(
        self, way: Way, scene: Scene, spread_db: float | None
    ) -> Generator[Event, None, tuple[_Result, _Result, str]]:
        """Denoise cysts and points, with the strength that leaves a spread."""
        params, setting = self._windows(way, scene.cysts.image), ""
        if spread_db is not None and way.method in STRENGTHS:
            name = STRENGTHS[way.method].name

            def spread(strength: float) -> Generator[Event, None, float]:
                tried = {**params, name: strength}
                run = self._denoised(way, scene.cysts.image, tried)
                return _level(scene.cysts, (yield from run).frame)[1]

            run = match_events(spread, spread_db, STRENGTHS[way.method])
            match = yield from within(run, 0, 3, "")
            params = {**params, name: match.strength}
            chosen = ", ".join(f"{n} {value:.3g}" for n, value in params.items())
            setting = f"{chosen}: {match.spread_db:.2f} dB left"
        # The carotid has no homogeneous region: what the first scene takes goes for it.
        self._settings.setdefault(way, params)
        cysts = yield from within(
            self._denoised(way, scene.cysts.image, params), 1, 3, ""
        )
        points = _Result(None)
        if scene.points is not None:
            run_points = self._denoised(way, scene.points.image, params)
            points = yield from within(run_points, 2, 3, "")
        return cysts, points, setting

    def _windows(self, way: Way, image: UltrasoundImage) -> dict[str, Any]:
        """Windows of the size that they have on the interleaved images, in mm."""
        if way.sampling != "none":
            return {}
        grid = grid_of(image)
        steps = Sampling.choose(grid.shape, grid.spacing_mm, "polyphase").steps
        return window_parameters(way.method, max(steps))

    def carotid_events(self, image: UltrasoundImage) -> Generator[Event, None, Carotid]:
        """Denoise the carotid every way; the noise level is estimated."""
        results = {}
        for number, way in enumerate(self._ways):
            run = self._denoised(way, image, self._settings[way], estimate=True)
            label = f"carotid: {way.label}"
            made = yield from within(run, number, len(self._ways), label)
            results[way.label] = made.frame
        return Carotid(image, results)

    def _denoised(
        self,
        way: Way,
        image: UltrasoundImage,
        params: dict[str, Any],
        *,
        estimate: bool = False,
    ) -> Generator[Event, None, _Result]:
        denoiser = create(way.method, prior=way.prior, device=self._device, **params)
        settings = Settings(
            sigma_db=None if estimate else self._sigma_db, sampling=way.sampling
        )
        for event in denoise_events(image, denoiser, settings, token=self._token):
            if isinstance(event, FrameDone):
                return _Result(event.data, float(event.info["seconds"]))
            if isinstance(event, Progress):
                yield event
        raise AssertionError("an image without frames")


def _level(target: Target, frame: Float) -> tuple[float, float]:
    return picmus_speckle_level(frame, grid_of(target.image), target.phantom)


def _score(
    scene: Scene,
    plane_waves: int,
    cysts: _Result,
    points: _Result,
    *,
    way: Way | None = None,
    setting: str = "",
) -> PicmusScore:
    """Make a line of the table from the contrast and the resolution image."""
    grid, phantom = grid_of(scene.cysts.image), scene.cysts.phantom
    contrast = picmus_contrast(cysts.frame, grid, phantom, clip_db=_CLIP_DB).mean()
    level, spread = _level(scene.cysts, cysts.frame)
    before, _ = _level(scene.cysts, scene.cysts.image.data[0])
    widths = dict.fromkeys(("axial_mm", "lateral_mm", "peak_db"), float("nan"))
    if scene.points is not None:
        grid, phantom = grid_of(scene.points.image), scene.points.phantom
        widths = picmus_fwhm(points.frame, grid, phantom).mean()
        inputs = picmus_fwhm(scene.points.image.data[0], grid, phantom).mean()
        widths["peak_db"] -= inputs["peak_db"]
    return PicmusScore(
        method="input" if way is None else way.method,
        prior="" if way is None else way.prior_name,
        sampling="" if way is None else way.sampling,
        scene=scene.name,
        plane_waves=plane_waves,
        contrast_db=contrast["contrast_db"],
        gcnr=contrast["gcnr"],
        edge_mm=contrast["edge_mm"],
        speckle_db=spread,
        level_db=level - before,
        fwhm_axial_mm=widths["axial_mm"],
        fwhm_lateral_mm=widths["lateral_mm"],
        peak_db=widths["peak_db"],
        seconds=cysts.seconds,
        setting=setting,
    )
