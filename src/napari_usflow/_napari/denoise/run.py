"""Denoising a layer into a new layer, live: what the widget and the menu share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from napari_usflow._napari.denoise.blend import Blend
from napari_usflow._napari.denoise.method_notes import remember_speed
from napari_usflow._napari.jobs.frame_order import FrameOrder
from napari_usflow._napari.jobs.stack_run import StackRun
from napari_usflow._napari.jobs.worker import EventSource, one_core_left_to_the_window
from napari_usflow._napari.layers import results
from napari_usflow._napari.layers.content import (
    DISPLAY_RANGE_DB,
    LayerContent,
    image_from_layer,
    inspect_layer,
)
from napari_usflow._napari.layers.luma import grey_array
from napari_usflow._napari.layers.sectors import sector_of
from napari_usflow.jobs import CancelToken, Event, FrameDone, Note

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_usflow._napari.layers.content import LayerContent
    from napari_usflow.denoising.on_lines import SectorChoice
    from napari_usflow.denoising.settings import Settings
    from napari_usflow.ultrasound.data import UltrasoundImage
    from napari_usflow.ultrasound.value_rule import StatedValues

__all__ = [
    "LayerRun",
    "MethodReady",
    "Request",
    "denoising_events",
    "needs_millimetres",
    "settings_for",
]


@dataclass(frozen=True)
class Request:
    """Everything a user chose before pressing Run.

    Attributes
    ----------
    method : str
        Name of a registered method.
    params : mapping
        Its own parameters, where they are not the defaults.
    settings : Settings, optional
        What goes for every method; the defaults when omitted.
    weights, device : str
        See :func:`~napari_usflow.denoising.denoise.create`; empty: the shipped ones.
    pixel_size_mm : (float, float), optional
        For layers that do not know it; see :func:`needs_millimetres`.
    values : {"db", "envelope", "display"}, optional
        What the layer's numbers are, when the user says so.
    only_current : bool
        Denoise the visible frame and leave the others as they are.
    link_contrast : bool
        Let input and result share their contrast limits.
    uncertainty : bool
        Find how sure the method is of each pixel afterwards.
    sector : Sector, "auto" or None
        Of a scan-converted picture, whose lines are denoised; see
        :func:`~napari_usflow.denoising.on_lines.sector_plan`.
    mask_outside : bool
        Give what is around the sector no echo.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings | None = None
    weights: str = ""
    device: str = "auto"
    pixel_size_mm: tuple[float, float] | None = None
    values: StatedValues | None = None
    only_current: bool = False
    link_contrast: bool = False
    uncertainty: bool = False
    sector: SectorChoice = "auto"
    mask_outside: bool = False


def settings_for(content: LayerContent, request: Request) -> Settings:
    """Return what goes for every method, with the layer's own black and white."""
    from napari_usflow.denoising.settings import Settings

    settings = request.settings or Settings()
    if content.value_range is not None and settings.value_range is None:
        settings = replace(settings, value_range=content.value_range)
    return settings


def look_of_signal(content: LayerContent) -> dict[str, Any]:
    """Return what shows the decibels that were made of a layer of RF."""
    return {"contrast_limits": DISPLAY_RANGE_DB} if content.signal else {}


def needs_millimetres(request: Request) -> bool:
    """Return whether the pixel size is needed.

    It is for a parameter in mm, and for the uncertainty of a network, which is smoothed
    over a part of a millimetre.
    """
    from napari_usflow.denoising.algorithms import method_class

    method = method_class(request.method)
    lengths = [
        request.params.get(described.name, described.default)
        for described in fields(method.Params)
        if described.metadata.get("unit") == "mm"
    ]
    if any(length is not None for length in lengths):
        return True
    smoothed = {"spread", "disagreement"} & set(method.uncertainties)
    return request.uncertainty and bool(smoothed)


@dataclass(frozen=True)
class MethodReady(Event):
    """The denoiser is made; this is what it says of itself."""

    made_by: dict[str, Any]


def denoising_events(
    image: UltrasoundImage,
    request: Request,
    settings: Settings,
    order: Collection[int],
    token: CancelToken,
) -> Generator[Event, None, None]:
    """Load the method and run it; all of this in the job's thread.

    The noise is measured here, once, so that it is known which network is meant.
    """
    from napari_usflow.denoising.denoise import create
    from napari_usflow.denoising.frame_loop import needed_noise, values_of
    from napari_usflow.denoising.on_lines import sector_plan
    from napari_usflow.denoising.pipeline import denoise_events

    yield Note("Loading the method …")
    denoiser = create(
        request.method,
        weights=request.weights or None,
        device=request.device,
        **request.params,
    )
    token.raise_if_cancelled()
    with one_core_left_to_the_window():
        scene = sector_plan(
            image,
            request.sector,
            mask_outside=request.mask_outside,
            low=values_of(image, settings).low,
        )
        yield Note("Measuring the noise …")
        noise = needed_noise(scene.work, denoiser, settings)
        denoiser = denoiser.suited(noise)
        yield MethodReady({**denoiser.provenance(), **scene.provenance()})
        if settings.sigma_db is None:
            level_db = noise.sigma * values_of(image, settings).dynamic_range_db
            yield Note(f"Noise level estimated: {level_db:.1f} dB")
        events = denoise_events(
            scene.work, denoiser, settings, order=order, token=token, noise=noise
        )
        yield from scene.pictures(events)


class LayerRun(StackRun):
    """One denoising of one layer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the result.
    layer : napari.layers.Image
        The input; it is not changed.
    request : Request
        What is to be done.
    content : LayerContent, optional
        What the layer holds, where it was inspected before.
    **callbacks
        ``on_progress``, ``on_note`` and ``on_end``, see :class:`StackRun`.

    Attributes
    ----------
    noise_db : float or None
        The estimated noise level, once there is one.

    Raises
    ------
    LayerError
        When the layer cannot be denoised.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        request: Request,
        content: LayerContent | None = None,
        **callbacks: Callable[..., None],
    ) -> None:
        self._request = request
        self._trial = request.only_current
        content = content or inspect_layer(layer, values=request.values)
        sector = self._sector = sector_of(layer, content)
        if sector is None:
            image = image_from_layer(
                layer,
                pixel_size_mm=request.pixel_size_mm,
                values=request.values,
                needs_millimetres=needs_millimetres(request),
                content=content,
            )
            shown = grey_array(layer)
            if content.signal:
                shown = image.data if layer.ndim == 3 else image.data[0]
        else:
            image, shown = sector.image, sector.stack_for(layer)
        self._settings = settings_for(content, request)
        self._content = content
        self._made_by: dict[str, Any] = {"method": request.method}
        self.noise_db: float | None = None
        self._shown = shown
        stack = results.PartialStack(shown)
        order = FrameOrder.of_layer(
            viewer, layer, len(stack.done), only_current=request.only_current
        )
        super().__init__(
            viewer,
            layer,
            stack,
            order=order,
            source=self._source(image, order),
            **callbacks,
        )

    def _source(self, image: UltrasoundImage, order: FrameOrder) -> EventSource:
        """Return the job; of a sector the lines are denoised and the picture shown."""
        request, settings, sector = self._request, self._settings, self._sector

        def events(token: CancelToken) -> Generator[Event, None, None]:
            made = denoising_events(image, request, settings, order, token)
            return made if sector is None else sector.shown_events(made)

        return events

    def _look(self) -> Mapping[str, Any]:
        if self._sector is not None:
            return self._sector.look_for(self._layer)
        return look_of_signal(self._content)

    def _receive(self, event: Event) -> None:
        if isinstance(event, MethodReady):
            self._made_by = event.made_by
            self._began = time.monotonic()
        else:
            super()._receive(event)

    def blend(self) -> Blend | None:
        """Return what lets Strength and Mix back act on the finished result."""
        settings = self._settings
        if self.result is None or not self.complete or settings.bias_correction:
            return None
        if self._trial and self._total < len(self._stack.done):
            return None
        return Blend(
            self._shown,
            self.result,
            self._content.values,
            settings.strength,
            settings.mix_back,
        )

    def _take(self, event: FrameDone) -> None:
        super()._take(event)
        info = event.info
        if info.get("sigma_estimated"):
            self.noise_db = info["sigma_db"]
        remember_speed(self._request.method, info["seconds"], event.data.size)

    def _name(self) -> str:
        return results.denoised_name(
            self._layer,
            self._request.method,
            sigma_db=self._settings.sigma_db,
            strength=self._settings.strength,
        )

    def _note(self) -> dict[str, Any]:
        note = results.provenance(self._layer, self._made_by, asdict(self._settings))
        note["values"] = self._content.values
        note["value_range"] = self._content.value_range
        note["frames"] = dict(sorted(self._frames.items()))
        return note

    def _add_layer(self) -> Image:
        result = super()._add_layer()
        if self._request.link_contrast:
            results.link_contrast(self._viewer, self._layer, result)
        return result

    def _remark(self) -> str:
        """Name the sector that was used, and the noise where it was estimated."""
        used = ""
        if "sector" in self._made_by:
            used = f", on the lines of a {self._made_by['sector']['kind']}"
            if self._made_by["mask_outside"]:
                used += ", black around it"
        for info in self._frames.values():
            if info.get("sigma_estimated"):
                kind = "white noise" if info["white_noise"] else "speckle"
                level = f"{info['sigma_db']:.1f} dB"
                return f"{used}, noise level {level} (estimated, {kind})"
        return used
