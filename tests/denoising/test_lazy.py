import shutil
import threading
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.denoising.denoise import create
from napari_usflow.denoising.lazy import lazy_denoised, store_events
from napari_usflow.denoising.settings import Settings
from napari_usflow.errors import Cancelled
from napari_usflow.io import read
from napari_usflow.io.zarr_stack import ZarrStack
from napari_usflow.jobs import CancelToken, FrameDone, Progress
from napari_usflow.prior.flow_prior import _load
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import lazy_stack
from register_method import register

FRAMES, SHAPE = 5, (24, 20)
GRID = PixelGrid(SHAPE, (0.4375, 0.4375), (1.0, -4.0))


class Source:
    """A stack that counts how often its frames are read."""

    shape = (FRAMES, *SHAPE)
    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self):
        rng = np.random.default_rng(0)
        self.frames = rng.normal(-30, 5, self.shape).astype(np.float32)
        self.read = []

    def __getitem__(self, key):
        first = key[0] if isinstance(key, tuple) else key
        self.read.append(first)
        return self.frames[key]


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def image(source):
    return UltrasoundImage(source, "db", GRID, metadata={"name": "clip"})


def test_a_lazy_array_gives_a_lazy_result_with_the_values_of_the_eager_one():
    frames = Source().frames

    lazy = usf.denoise(da.from_array(frames, chunks=(2, -1, -1)), method="tv")

    assert isinstance(lazy, da.Array)
    assert lazy.chunks[0] == (1,) * FRAMES
    np.testing.assert_allclose(
        lazy.compute(), usf.denoise(frames, method="tv"), atol=1e-4
    )


def test_lazy_integers_come_back_rounded():
    grey = np.random.default_rng(1).integers(0, 256, (3, *SHAPE), dtype=np.uint8)

    lazy = usf.denoise(da.from_array(grey, chunks=(1, -1, -1)), method="tv", sigma=0.1)

    assert lazy.dtype == np.uint8
    np.testing.assert_array_equal(
        lazy.compute(), usf.denoise(grey, method="tv", sigma=0.1)
    )


def test_a_lazy_image_gives_a_lazy_image_on_its_grid(image, source):
    lazy = image.with_data(da.from_array(source.frames, chunks=(1, -1, -1)))

    result = usf.denoise(lazy, method="tv")

    assert isinstance(result.data, da.Array)
    assert (result.grid, result.values) == (GRID, "db")


def test_only_the_middle_frame_is_read_before_a_frame_is_looked_at(image, source):
    lazy = lazy_denoised(image, create("tv"), Settings())
    before = set(map(str, source.read))

    lazy[4].compute()

    assert len(before) == 1
    assert str(FRAMES // 2) in before.pop()
    assert len(source.read) == 2


def test_what_is_not_denoised_is_not_denoised_later_either(image, source):
    doppler = {"name": "flow.dcm", "not_for_denoising": "it holds velocities"}
    lazy = image.with_data(
        da.from_array(source.frames, chunks=(1, -1, -1)), metadata=doppler
    )

    with pytest.raises(ValueError, match=r"flow\.dcm is not denoised: it holds"):
        usf.denoise(lazy, method="tv")


@pytest.mark.parametrize(("first", "said"), [(0, 3), (40, 43)])
def test_an_error_names_the_frame_as_its_file_counts_it(image, source, first, said):
    source.frames[3, 0, 0] = np.inf
    clip = image.with_data(source, metadata={"name": "clip", "first_frame": first})
    lazy = lazy_denoised(clip, create("tv"), Settings(sigma_db=5.0))

    with pytest.raises(ValueError, match=f"clip: frame {said} has 1 infinite"):
        lazy.compute(scheduler="synchronous")


def test_the_weights_of_a_file_are_one_task_whatever_the_number_of_frames(
    image, tmp_path
):
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(b"weights" * 1000)
    denoiser = create("tv", weights=weights, device="cpu")

    lazy = lazy_denoised(image, denoiser, Settings(sigma_db=5.0))

    big = [
        task
        for task in dict(lazy.__dask_graph__()).values()
        if b"weights" * 1000 in _bytes_in(task)
    ]
    assert len(big) == 1


def _bytes_in(task):
    import pickle

    return pickle.dumps(task)


def test_a_stack_is_stored_and_read_back(image, tmp_path):
    pytest.importorskip("zarr")
    lazy = lazy_denoised(image, create("tv"), Settings())
    store = ZarrStack(tmp_path / "out.zarr", image, {"method": "tv"})

    done = [e.index for e in store_events(lazy, store) if isinstance(e, FrameDone)]

    found = read(tmp_path / "out.zarr")[0]
    assert done == list(range(FRAMES))
    assert (found.values, found.grid) == ("db", GRID)
    np.testing.assert_array_equal(found.data[:], lazy.compute())


def test_a_run_that_was_stopped_goes_on_where_it_was(image, source, tmp_path):
    pytest.importorskip("zarr")
    lazy = lazy_denoised(image, create("tv"), Settings(sigma_db=5.0))
    token, path = CancelToken(), tmp_path / "out.zarr"
    with pytest.raises(Cancelled):
        for event in store_events(
            lazy, ZarrStack(path, image, {"method": "tv"}), token=token
        ):
            if isinstance(event, FrameDone) and event.index == 1:
                token.cancel()
    source.read.clear()

    again = ZarrStack(path, image, {"method": "tv"}, resume=True)
    missing = again.missing
    list(store_events(lazy, again))

    assert missing == [2, 3, 4]
    assert len(source.read) == 3
    np.testing.assert_array_equal(read(path)[0].data[:], lazy.compute())


class Stopped(Denoiser):
    """Is stopped at its third step of a thousand, and counts those it takes."""

    name = "stopped"
    token, steps = CancelToken(), 0

    @dataclass(frozen=True)
    class Params:
        pass

    def run(self, frame, run):
        for _ in range(1000):
            run.token.raise_if_cancelled()
            Stopped.steps += 1
            if Stopped.steps == 3:
                Stopped.token.cancel()
            yield Progress(Stopped.steps, 1000)
        return frame


def test_a_frame_that_takes_long_is_stopped_half_way(image, monkeypatch, tmp_path):
    pytest.importorskip("zarr")
    register(monkeypatch, Stopped)
    lazy = lazy_denoised(image, create("stopped"), Settings(sigma_db=5.0))
    store = ZarrStack(tmp_path / "out.zarr", image, {})

    with pytest.raises(Cancelled):
        list(store_events(lazy, store, token=Stopped.token))

    assert Stopped.steps == 3
    assert store.missing == list(range(FRAMES))
    # The token is that of the run which was stopped, and of no other.
    lazy[0].compute(scheduler="synchronous")
    assert Stopped.steps == 1003


class Copying(Denoiser):
    """Takes next to no time or memory."""

    name = "copying"

    @dataclass(frozen=True)
    class Params:
        pass

    def run(self, frame, run):
        yield from ()
        return frame.copy()


def test_memory_does_not_grow_with_the_number_of_frames(monkeypatch, tmp_path):
    pytest.importorskip("zarr")
    register(monkeypatch, Copying)
    shape = (512, 512)
    frame_bytes = 4 * 512 * 512

    def peak_bytes(count):
        stack = lazy_stack(lambda i: np.full(shape, -i, np.float32), (count, *shape))
        grid = PixelGrid(shape, (0.4375, 0.4375), (0.0, 0.0))
        clip = UltrasoundImage(stack, "db", grid)
        store = ZarrStack(tmp_path / f"{count}.zarr", clip, {})
        lazy = lazy_denoised(clip, create("copying"), Settings())
        tracemalloc.start()
        for _ in store_events(lazy, store):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not store.missing
        return peak

    peak_bytes(2)  # imports

    assert peak_bytes(24) < peak_bytes(4) + 5 * frame_bytes


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": 5}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
    ):
        yield cluster


def test_two_workers_give_the_bytes_of_one_process_and_load_weights_once(
    image, source, cluster, tiny_prior, tmp_path
):
    from distributed import Client

    pytest.importorskip("zarr")
    own = Path(shutil.copy(tiny_prior, tmp_path / "own.safetensors"))
    frames = da.from_array(source.frames, chunks=(1, -1, -1))
    image = image.with_data(frames)
    settings = Settings(sigma_db=5.0)
    alone = lazy_denoised(image, create("flow", weights=own), settings).compute()
    path = tmp_path / "out.zarr"

    with Client(cluster) as client:
        client.run(_load.cache_clear)
        lazy = lazy_denoised(image, create("flow", weights=own), settings)
        # Elsewhere in the world a worker would not find it.
        own.unlink()
        list(store_events(lazy, ZarrStack(path, image, {"method": "flow"})))
        loads = client.run(_load.cache_info)

    np.testing.assert_array_equal(read(path)[0].data[:], alone)
    assert [found.misses for found in loads.values()] == [1, 1]
    # What is sent for a frame is the frame and how, not the weights.
    sent = cloudpickle.dumps(dict(lazy[0].dask))
    assert len(sent) < tiny_prior.stat().st_size / 2


def test_a_cancel_does_not_wait_for_what_workers_have_begun(image, cluster, tmp_path):
    from distributed import Client

    pytest.importorskip("zarr")
    go_on, ended = tmp_path / "go-on", tmp_path / "ended"

    def wait(block):
        for _ in range(1000):
            if go_on.exists():
                break
            time.sleep(0.01)
        ended.touch()
        return block

    frames = da.from_array(np.zeros((FRAMES, *SHAPE), np.float32), chunks=(1, -1, -1))
    token = CancelToken()

    with Client(cluster):
        threading.Timer(0.3, token.cancel).start()
        with pytest.raises(Cancelled):
            list(
                store_events(
                    frames.map_blocks(wait, meta=np.empty((0, 0, 0), np.float32)),
                    ZarrStack(tmp_path / "out.zarr", image, {}),
                    token=token,
                )
            )
        assert not ended.exists()
        go_on.touch()


def test_a_killed_worker_loses_nothing(image, source, cluster, tmp_path):
    from distributed import Client

    pytest.importorskip("zarr")
    frames = da.from_array(source.frames, chunks=(1, -1, -1))
    lazy = lazy_denoised(image.with_data(frames), create("tv"), Settings())
    alone = lazy.compute(scheduler="synchronous")
    path = tmp_path / "out.zarr"

    with Client(cluster):
        store = ZarrStack(path, image, {"method": "tv"})
        for event in store_events(lazy, store):
            if isinstance(event, FrameDone) and event.index == 0:
                next(iter(cluster.workers.values())).process.process.kill()

    np.testing.assert_array_equal(read(path)[0].data[:], alone)
