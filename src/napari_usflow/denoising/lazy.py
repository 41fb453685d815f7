"""Stacks that do not fit in memory: lazy, one task a frame, here or on a cluster.

A lazy result costs nothing until it is looked at. With a dask client active, or on its
workers, the same tasks run there: whatever a frame needs goes with it, the weights
once to each worker. A lost worker's frames are done again by the scheduler.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import time
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.frame_loop import needed_noise, refuse_no_tissue
from napari_usflow.denoising.noise_estimation import Noise
from napari_usflow.denoising.pipeline import denoise_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.denoising.warm_start import refuse_warm_start
from napari_usflow.jobs import CancelToken, Event, FrameDone, Progress
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage, Values

if TYPE_CHECKING:
    import dask.array as da

    from napari_usflow.denoising.contract import Denoiser
    from napari_usflow.io.zarr_stack import ZarrStack

__all__ = ["is_lazy", "lazy_denoised", "store_events"]

_AHEAD = 2
"""Frames a worker thread that are asked for before they are needed."""

_LOOK_EVERY_S = 0.01

_TOKEN: ContextVar[CancelToken | None] = ContextVar("usflow_token", default=None)
"""Stops a frame half-way that is computed in the thread which asked for it."""


@dataclass(frozen=True)
class _Weights:
    """A file of weights, to be sent to workers that do not have it."""

    name: str
    content: bytes


@dataclass(frozen=True)
class _Uploaded:
    """A file of weights that each worker has got, in its own folder."""

    filename: str


@dataclass(frozen=True)
class _Recipe:
    """Self-contained task that denoises one frame on any process."""

    method: str
    params: Any
    device: str
    weights: Any
    settings: Settings
    noise: Noise
    values: Values
    grid: PixelGrid | PolarGrid
    metadata: Mapping[str, Any]


def is_lazy(data: Any) -> bool:
    """Return whether data are a dask array."""
    return hasattr(data, "__dask_graph__")


def lazy_denoised(
    image: UltrasoundImage, denoiser: Denoiser, settings: Settings
) -> da.Array:
    """Denoise a stack when it is looked at.

    Parameters
    ----------
    image : UltrasoundImage
        Its data may be a dask array, or any that is read when indexed. The middle
        frame is read now where the noise has to be measured.
    denoiser : Denoiser
        See :func:`napari_usflow.denoising.denoise.create`. If its weights are a file
        and a dask client is active, its workers are sent the file, now.
    settings : Settings

    Returns
    -------
    dask.array.Array, shape (T, Z, X), float32
        One chunk a frame, on the image's grid and in its values.

    Raises
    ------
    ValueError
        As :func:`~napari_usflow.denoising.pipeline.denoise_events`, and for a denoiser
        that was asked to start warm: frames are done in any order.
    """
    import dask.array as da
    from dask.delayed import delayed

    refuse_warm_start(denoiser)
    refuse_no_tissue(image)
    shape = tuple(int(n) for n in image.data.shape)
    chunks = (1, *shape[1:])
    data: Any = image.data
    stack = (
        data.rechunk(chunks)
        if is_lazy(data)
        else da.from_array(
            data, chunks=chunks, name=False, meta=np.empty((0, 0, 0), data.dtype)
        )
    )
    noise = needed_noise(image, denoiser, settings)
    denoiser = denoiser.suited(noise)
    known = {"name", "source", "pixel_size_known", "value_range", "first_frame"}
    recipe = _Recipe(
        denoiser.name,
        denoiser.params,
        denoiser.device,
        denoiser.weights,
        settings,
        noise,
        image.values,
        image.grid,
        {key: value for key, value in image.metadata.items() if key in known},
    )
    # A file of weights may not be where the workers are.
    weights: Any = None
    path = Path(str(denoiser.weights or ""))
    if denoiser.weights and path.is_file():
        weights = _uploaded(path) or delayed(
            _Weights(path.stem, path.read_bytes()), pure=True
        )
    result: da.Array = da.map_blocks(
        _denoise_block,
        stack,
        recipe=recipe,
        weights=weights,
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )
    return result


def store_events(
    frames: da.Array, store: ZarrStack, *, token: CancelToken | None = None
) -> Generator[Event, None, None]:
    """Compute a lazy stack and write each frame as it comes.

    With an active :class:`dask.distributed.Client` its workers compute, a few frames
    ahead each; without one this process does. Frames that are there are skipped.

    Parameters
    ----------
    frames : dask.array.Array, shape (T, Z, X)
        See :func:`lazy_denoised`.
    store : ZarrStack
        Where they go.
    token : CancelToken, optional
        Set it to stop, half-way through a frame too; workers end those that they have
        begun. What was written stays, and the rest can be done later.

    Yields
    ------
    Event
        :class:`~napari_usflow.jobs.FrameDone` for every frame, without its data, and
        progress.

    Raises
    ------
    Cancelled
        When the token was set.
    """
    token = token or CancelToken()
    total = int(frames.shape[0])
    missing = store.missing
    done = total - len(missing)
    yield Progress(done, total, "frames")
    nothing = np.empty((0, 0), np.float32)
    for index, frame in _computed(frames, missing, token):
        store.write(index, frame)
        done += 1
        yield FrameDone(index, nothing)
        yield Progress(done, total, "frames")


def _computed(
    frames: da.Array, order: list[int], token: CancelToken
) -> Generator[tuple[int, npt.NDArray[np.float32]], None, None]:
    """Compute frames, on the active client's workers if there is one."""
    client = _active_client()
    if client is None:
        for index in order:
            token.raise_if_cancelled()
            outer = _TOKEN.set(token)
            try:
                frame = np.asarray(frames[index].compute(scheduler="synchronous"))
            finally:
                _TOKEN.reset(outer)
            yield index, frame
        return
    from dask.distributed import as_completed

    threads = sum(client.nthreads().values()) or 1
    waiting = iter(order)
    asked: dict[Any, int] = {}

    def ask() -> Any:
        for index in waiting:
            future = client.compute(frames[index])
            asked[future] = index
            return future
        return None

    first = [f for f in (ask() for _ in range(_AHEAD * threads)) if f is not None]
    coming = as_completed(first)
    try:
        while not coming.is_empty():
            token.raise_if_cancelled()
            if not coming.has_ready():
                time.sleep(_LOOK_EVERY_S)
                continue
            future = next(coming)
            index = asked.pop(future)
            frame = np.asarray(future.result())
            future.release()
            following = ask()
            if following is not None:
                coming.add(following)
            yield index, frame
    finally:
        client.cancel(list(asked))


def _active_client() -> Any:
    try:
        from dask.distributed import get_client
    except ImportError:
        return None
    try:
        return get_client()
    except ValueError:
        return None


def _uploaded(path: Path) -> _Uploaded | None:
    """Send a file to every worker there is or will be; None without a client.

    Once to each, however many frames it does: a task of the graph would go to the
    scheduler again with every frame that is asked for.
    """
    client = _active_client()
    if client is None or client.asynchronous:
        return None
    from dask.distributed import UploadFile

    plugin = UploadFile(str(path), load=False)
    plugin.filename = f"{hashlib.sha256(plugin.data).hexdigest()[:16]}{path.suffix}"
    client.register_plugin(plugin, name=f"usflow-{plugin.filename}")
    return _Uploaded(plugin.filename)


def _denoise_block(
    block: npt.NDArray[Any],
    *,
    recipe: _Recipe,
    weights: _Weights | _Uploaded | None,
    block_id: tuple[int, ...],
) -> npt.NDArray[np.float32]:
    """Denoise the frame of a chunk; runs wherever dask sends it."""
    own = recipe.weights
    if isinstance(weights, _Weights):
        own = _local_file(weights)
    elif isinstance(weights, _Uploaded):
        own = _file_of_worker(weights) or own
    denoiser = method_class(recipe.method)(
        recipe.params, weights=own, device=recipe.device
    )
    # An error says which frame of the stack it is.
    first = int(recipe.metadata.get("first_frame", 0)) + block_id[0]
    metadata = {**recipe.metadata, "first_frame": first}
    image = UltrasoundImage(block, recipe.values, recipe.grid, metadata=metadata)
    result = np.empty(block.shape, np.float32)
    events = denoise_events(
        image, denoiser, recipe.settings, token=_TOKEN.get(), noise=recipe.noise
    )
    for event in events:
        if isinstance(event, FrameDone):
            result[event.index] = event.data
    return result


def _file_of_worker(weights: _Uploaded) -> Path | None:
    """Find what was uploaded; None outside of a worker."""
    from dask.distributed import get_worker

    try:
        return Path(get_worker().local_directory) / weights.filename
    except ValueError:
        return None


def _local_file(weights: _Weights) -> Path:
    """Write received weights to a file of this process, once."""
    digest = hashlib.sha256(weights.content).hexdigest()
    folder = _folder() / digest[:16]
    path = folder / f"{weights.name}.safetensors"
    if not path.is_file():
        folder.mkdir(exist_ok=True)
        beside = path.with_suffix(f".{np.random.default_rng().integers(2**62)}")
        beside.write_bytes(weights.content)
        beside.replace(path)
    return path


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="usflow-weights-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
