"""Preparing training slices: from any number of volumes to one folder on disk.

Slices are read, resampled to the prior's pixel and written one by one, so that memory
does not grow with the data. A second run on the same files finds the folder as it was
left and uses it at once; a kill or a full disk leaves no file under a final name that
is not whole.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import PriorError
from napari_usflow.io.guards.file_checks import regular_file
from napari_usflow.jobs import CancelToken, Event, Note, Progress
from napari_usflow.mri import (
    MriStack,
    OpenStack,
    UpperPercentile,
    open_stack,
    parts_of,
)
from napari_usflow.mri.acquisition_noise import clean_slice, estimate_own_noise
from napari_usflow.mri.patch_config import PatchConfig
from napari_usflow.mri.resampling import resample_slices, resampled_shape
from napari_usflow.mri.slice_store import SliceSet, SliceStore
from napari_usflow.mri.slice_writer import SliceWriter, make_room

__all__ = ["Source", "prepare_slices"]

Source = Path | MriStack
"""A file that :func:`~napari_usflow.mri.open_stack` reads, or a stack in memory."""

_KEPT_BYTES = 256 * 2**20  # a volume up to this size is read once, else twice
_NOISE_SLICES = 8
_COARSE = 1.25  # times the prior's pixel
_LABEL = "preparing the slices"
Float = npt.NDArray[np.float32]


def prepare_slices(
    sources: Sequence[Source],
    config: PatchConfig,
    patch_size: int,
    folder: Path,
    *,
    token: CancelToken | None = None,
) -> Generator[Event, None, SliceStore]:
    """Resample the slices of volumes and write them where patches are drawn from.

    Parameters
    ----------
    sources : sequence of Path or MriStack
        Volumes; of a DICOM series, one of its files.
    config : PatchConfig
    patch_size : int
        Side of a patch, in pixels of ``config.pixel_mm``.
    folder : Path
        Where to; made when it is missing. Slices that were prepared there from the
        same files in the same way are used as they are.
    token : CancelToken, optional
        Looked at for each slice.

    Yields
    ------
    Event
        :class:`~napari_usflow.jobs.Progress` for each slice, and a
        :class:`~napari_usflow.jobs.Note` on volumes that are left out.

    Raises
    ------
    FileFormatError
        When a volume cannot be read.
    ValueError
        When no volume is left.
    JobError
        When the disk has no room, or becomes full; the text says how much is needed.
    Cancelled
        When ``token`` was cancelled; nothing is kept.
    """
    fingerprint = _fingerprint(sources, config, patch_size)
    try:
        store = SliceStore.open(folder)
        if store.fingerprint == fingerprint:
            return store
    except PriorError:
        pass
    volumes, notes = _plan(sources, config, patch_size)
    for note in notes:
        yield Note(note)
    sets = [entry for volume in volumes for entry in volume.sets]
    needed = make_room(folder, sets, patch_size)
    power = config.tenengrad_power
    with SliceWriter(folder, patch_size, needed, tenengrad_power=power) as writer:
        done, total = 0, 2 * sum(volume.slices for volume in volumes)
        for volume in volumes:
            after = done + 2 * volume.slices
            with open_stack(volume.source) as stack:
                for note in _write_volume(writer, volume, stack, config):
                    if token is not None:
                        token.raise_if_cancelled()
                    if note:
                        notes.append(note)
                        yield Note(note)
                    else:
                        done += 1
                        yield Progress(done, total, _LABEL)
            done = after
        if not writer.sets:
            raise ValueError(
                f"every volume has more noise of its own than {config.max_own_noise:g} "
                "(max_own_noise); raise it, or choose another way than drop"
            )
        return writer.finish(fingerprint, notes)


@dataclass(frozen=True, eq=False)
class _Volume:
    """Slices planned for a source."""

    source: Source
    slices: int
    pixels_mm: tuple[tuple[float, float], ...]
    sets: tuple[SliceSet, ...]


def _plan(
    sources: Sequence[Source], config: PatchConfig, patch_size: int
) -> tuple[list[_Volume], list[str]]:
    """Check every volume's size; drop those smaller than a patch."""
    if not sources:
        raise ValueError("no volumes were given to take patches from")
    volumes, notes, shown, used = [], [], [], False
    for source in sources:
        with open_stack(source) as stack:
            name, shape, pixel = stack.name, stack.shape, stack.pixel_size_mm
            anatomy = stack.anatomy
        shown.append(f"{name} ({anatomy or 'not stated'})")
        if not config.takes(name, anatomy):
            continue
        used = True
        coarse = min(pixel) > _COARSE * config.pixel_mm
        pixels = [pixel]
        if coarse and config.native_fraction > 0:
            pixels.append((config.pixel_mm, config.pixel_mm))
        made = []
        for index, taken_as in enumerate(pixels):
            rows, columns = resampled_shape(shape[1:], taken_as, config.pixel_mm)
            if min(rows, columns) >= patch_size:
                size = (shape[0], rows, columns)
                is_native = index > 0
                entry = SliceSet(name, anatomy, size, is_native, coarse, 0.0, 0, 0)
                made.append((taken_as, entry))
        if made:
            kept_pixels, sets = zip(*made, strict=True)
            volumes.append(_Volume(source, shape[0], kept_pixels, sets))
        else:
            notes.append(
                f"{name} is left out: its slices are smaller than a patch of "
                f"{patch_size} pixels of {config.pixel_mm:g} mm"
            )
    if not used:
        raise ValueError(
            f"no volume shows {config.only!r} (patches.only); there are "
            f"{', '.join(shown[:8])}"
        )
    if not volumes:
        raise ValueError(
            f"no slice is larger than a patch of {patch_size} pixels of "
            f"{config.pixel_mm} mm"
        )
    return volumes, notes


def _write_volume(
    writer: SliceWriter, volume: _Volume, stack: OpenStack, config: PatchConfig
) -> Iterator[str]:
    """Write one volume; gives "" twice for each slice, or why it is left out."""
    percentile = UpperPercentile(math.prod(stack.shape))
    small = 4 * math.prod(stack.shape) <= _KEPT_BYTES
    kept: list[Float] = []
    for index in range(len(stack)):
        image = stack.read(index)
        percentile.add(image)
        if small:
            kept.append(image)
        yield ""
    scale = np.float32(stack.checked_scale(percentile))

    def scaled(index: int) -> Float:
        return (kept[index] if kept else stack.read(index)) / scale

    count = min(_NOISE_SLICES, len(stack))
    middle = np.linspace(0, len(stack) - 1, count + 2)[1:-1].round().astype(int)
    noise = estimate_own_noise(scaled(int(index)) for index in middle)
    at_prior = noise.at_pixel(stack.pixel_size_mm, config.pixel_mm)
    if config.own_noise == "drop" and at_prior > config.max_own_noise:
        yield (
            f"{stack.name} is left out: its own noise is {at_prior:.3f} of the "
            f"tissue's range, more than {config.max_own_noise:g}"
        )
        return
    clean = config.own_noise == "clean"
    writer.begin(
        [
            replace(entry, own_noise=noise.at_pixel(pixel, config.pixel_mm))
            for entry, pixel in zip(volume.sets, volume.pixels_mm, strict=True)
        ]
    )
    for index in range(len(stack)):
        image = scaled(index)
        if clean:
            image = clean_slice(image, noise)
        for which, pixel in enumerate(volume.pixels_mm):
            writer.add(
                which, index, resample_slices(image[None], pixel, config.pixel_mm)[0]
            )
        yield ""


def _fingerprint(
    sources: Sequence[Source], config: PatchConfig, patch_size: int
) -> str:
    """Name what the slices are made from and how; what only decides draws is not."""
    how = {
        "format": 2,
        "patch_size": patch_size,
        "pixel_mm": config.pixel_mm,
        "only": config.only,
        "tenengrad_power": config.tenengrad_power,
        "native": config.native_fraction > 0,
        "clean": config.own_noise == "clean",
        "drop": config.max_own_noise if config.own_noise == "drop" else None,
    }
    what = [_identity(source) for source in sources]
    text = json.dumps([how, what], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(source: Source) -> Any:
    if isinstance(source, MriStack):
        slices = np.ascontiguousarray(source.slices)
        digest = hashlib.sha256(slices.data).hexdigest()
        return [source.name, list(source.pixel_size_mm), list(slices.shape), digest]
    entries = []
    for path in parts_of(regular_file(source)):
        status = path.stat()
        entries.append([str(path.resolve()), status.st_size, status.st_mtime_ns])
    return [str(source.resolve()), entries]
