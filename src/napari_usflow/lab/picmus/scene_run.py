"""Running methods on a scene of the PICMUS challenge, and scoring what they give."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoise import Denoiser, Settings, create, denoise_events
from napari_usflow.denoise.noise_estimation import Noise
from napari_usflow.denoise.pipeline import estimate_noise
from napari_usflow.evaluate.phantom_scores import (
    picmus_contrast,
    picmus_fwhm,
    picmus_speckle_level,
)
from napari_usflow.evaluate.tables import Scored, within
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress
from napari_usflow.lab.contest.smoothing import (
    STRENGTHS,
    match_events,
    window_parameters,
)
from napari_usflow.lab.picmus.scenes import Scene, Target, grid_of
from napari_usflow.lab.picmus.scores import (
    Carotid,
    PicmusScore,
    PointScore,
    label_of,
)
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["Bench", "Way"]

Float = npt.NDArray[np.float32]

_CLIP_DB = 60.0
# A point that is farther from the input's than this is another spot.
_KEPT_DB, _KEPT_WIDTH = 6.0, 1.5


@dataclass(frozen=True)
class Way:
    """How images are denoised.

    Attributes
    ----------
    method : str
    block : int, optional
        Side of the blocks of a classical filter, see
        :class:`~napari_usflow.lab.picmus.scores.PicmusScore`.
    prior : str or path, optional
    prior_name : str
        Its name in the table.
    """

    method: str
    block: int | None = None
    prior: Any = None
    prior_name: str = ""

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return label_of(self.method, self.prior_name, self.block)

    def denoiser(self, device: str, **params: Any) -> Denoiser:
        """Create the method; the block is that of this way."""
        if self.block is not None:
            params["block"] = self.block
        return create(self.method, prior=self.prior, device=device, **params)


@dataclass(frozen=True)
class _Noisy:
    """An image, the noise level that is told, and the noise that is measured."""

    image: UltrasoundImage
    settings: Settings
    noise: Noise


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
    ) -> Generator[
        Event, None, tuple[list[PicmusScore], list[PointScore], dict[str, Float]]
    ]:
        """Score all ways; give the lines, the points and the frames by label."""
        cysts = scene.cysts.image.data[0]
        points = None if scene.points is None else scene.points.image.data[0]
        line = _score(scene, plane_waves, _Result(cysts), _Result(points))
        scores, frames, spread = [line], {"input": cysts}, None
        one_by_one = _points(scene, plane_waves, _Result(points))
        yield Scored(line)
        for number, way in enumerate(self._ways):
            run = self._way_events(way, scene, spread)
            made = yield from within(run, number, len(self._ways), way.label)
            line = _score(scene, plane_waves, *made[:2], way=way, setting=made[2])
            if way is self._reference:
                spread = line.speckle_db
            scores.append(line)
            one_by_one += _points(scene, plane_waves, made[1], way)
            frames[way.label] = made[0].frame
            yield Scored(line)
        return scores, one_by_one, frames

    def _way_events(
        self, way: Way, scene: Scene, spread_db: float | None
    ) -> Generator[Event, None, tuple[_Result, _Result, str]]:
        """Denoise cysts and points, with the strength that leaves a spread."""
        noisy, setting = self._measured(scene.cysts.image, self._sigma_db), ""
        params = _windows(way, noisy.noise)
        if spread_db is not None and way.method in STRENGTHS:
            name = STRENGTHS[way.method].name

            def spread(strength: float) -> Generator[Event, None, float]:
                tried = {**params, name: strength}
                run = self._denoised(way, noisy, tried)
                return _level(scene.cysts, (yield from run).frame)[1]

            run = match_events(spread, spread_db, STRENGTHS[way.method])
            match = yield from within(run, 0, 3, "")
            params = {**params, name: match.strength}
            chosen = ", ".join(f"{n} {value:.3g}" for n, value in params.items())
            setting = f"{chosen}: {match.spread_db:.2f} dB left"
        # The carotid has no homogeneous region: what the first scene takes goes for it.
        self._settings.setdefault(way, params)
        cysts = yield from within(self._denoised(way, noisy, params), 1, 3, "")
        points = _Result(None)
        if scene.points is not None:
            noisy = self._measured(scene.points.image, self._sigma_db)
            run_points = self._denoised(way, noisy, params)
            points = yield from within(run_points, 2, 3, "")
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
            made = yield from within(run, number, len(self._ways), label)
            results[way.label] = made.frame
        return Carotid(image, results)

    def _denoised(
        self, way: Way, noisy: _Noisy, params: dict[str, Any]
    ) -> Generator[Event, None, _Result]:
        run = denoise_events(
            noisy.image,
            way.denoiser(self._device, **params),
            noisy.settings,
            token=self._token,
            noise=noisy.noise,
        )
        for event in run:
            if isinstance(event, FrameDone):
                return _Result(event.data, float(event.info["seconds"]))
            if isinstance(event, Progress):
                yield event
        raise AssertionError("an image without frames")


def _windows(way: Way, noise: Noise) -> dict[str, Any]:
    """Return windows for the image's own pixel, as large in mm as on the blocks."""
    if way.block != 1:
        return {}
    steps = create(way.method).working_pixel(noise).steps
    return window_parameters(way.method, max(steps))


def _level(target: Target, frame: Float) -> tuple[float, float]:
    return picmus_speckle_level(frame, grid_of(target.image), target.phantom)


def _points(
    scene: Scene, plane_waves: int, result: _Result, way: Way | None = None
) -> list[PointScore]:
    """Score the points of a scene one by one; those out of the image are left out."""
    if scene.points is None:
        return []
    grid, phantom = grid_of(scene.points.image), scene.points.phantom
    found = picmus_fwhm(result.frame, grid, phantom)
    before = picmus_fwhm(scene.points.image.data[0], grid, phantom)
    lines = []
    for i, (depth_mm, lateral_mm) in enumerate(phantom.points_mm):
        if np.isnan(before.peak_db[i]):
            continue
        moved = float(found.peak_db[i] - before.peak_db[i])
        widths = [
            (getattr(found, name)[i], getattr(before, name)[i])
            for name in ("axial_mm", "lateral_mm")
        ]
        is_kept = abs(moved) <= _KEPT_DB and all(
            1 / _KEPT_WIDTH <= now / was <= _KEPT_WIDTH for now, was in widths
        )
        lines.append(
            PointScore(
                method="input" if way is None else way.method,
                prior="" if way is None else way.prior_name,
                block=None if way is None else way.block,
                scene=scene.name,
                plane_waves=plane_waves,
                depth_mm=float(depth_mm),
                lateral_mm=float(lateral_mm),
                fwhm_axial_mm=float(widths[0][0]),
                fwhm_lateral_mm=float(widths[1][0]),
                peak_db=moved,
                kept=bool(is_kept),
            )
        )
    return lines


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
        block=None if way is None else way.block,
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
