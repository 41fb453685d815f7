"""Slices on disk: whole or not at all, never stale, in little memory."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

from napari_usflow.errors import Cancelled, FileFormatError, JobError, PriorError
from napari_usflow.jobs import CancelToken, Note, Progress, result_of
from napari_usflow.mri import MriStack
from napari_usflow.mri import slices as preparing
from napari_usflow.mri.patches import PatchConfig, PatchSampler
from napari_usflow.mri.resampling import resample_slices
from napari_usflow.mri.slice_store import SliceStore
from napari_usflow.mri.slices import prepare_slices

FILES = ["blocks.f64", "index.json", "slices.f16", "weights.f32"]
CONFIG = PatchConfig()


class Made(NamedTuple):
    store: SliceStore
    notes: list[str]
    progress: list[Progress]


def prepare(sources, folder: Path, config=CONFIG, size=16, **options) -> Made:
    events = prepare_slices(sources, config, size, folder, **options)
    notes, progress = [], []
    while True:
        try:
            event = next(events)
        except StopIteration as stop:
            return Made(stop.value, notes, progress)
        if isinstance(event, Note):
            notes.append(event.text)
        else:
            progress.append(event)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def files(mri_folder: Path) -> list[Path]:
    return sorted(mri_folder.iterdir())


def test_slices_lie_at_the_priors_pixel_one_after_the_other(files, tmp_path) -> None:
    store = prepare(files, tmp_path / "s").store
    (brain, native, knee_a, knee_b) = store.sets
    assert [s.name for s in store.sets] == ["brain_a", "brain_a", "knee_a", "knee_b"]
    assert (brain.shape, native.shape) == ((4, 219, 183), (4, 96, 80))
    assert (native.native, brain.native, brain.coarse) == (True, False, True)
    assert knee_b.shape == (4, 96, 80)
    with h5py.File(files[1]) as file:
        raw = file["reconstruction_rss"][...]
    scaled = raw / np.percentile(raw, 99.9)
    expected = resample_slices(scaled, (0.5, 0.5), 0.4375)
    count = expected.size
    found = store.values[knee_a.start : knee_a.start + count].reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_progress_rises_to_the_end(files, tmp_path) -> None:
    progress = prepare(files, tmp_path / "s").progress
    assert [p.done for p in progress] == list(range(1, 25))
    assert {p.total for p in progress} == {24}


def test_folder_is_used_again_at_once(files, tmp_path) -> None:
    first = prepare(files, tmp_path / "s")
    before = (tmp_path / "s" / "slices.f16").stat()
    again = prepare(files, tmp_path / "s", replace(CONFIG, knee_weight=1.0))
    assert again.progress == []
    assert again.store == first.store
    assert (tmp_path / "s" / "slices.f16").stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    "change",
    [
        {"pixel_mm": 0.5},
        {"only": "knee"},
        {"own_noise": "clean"},
        {"native_fraction": 0.0},
        {"own_noise": "drop", "max_own_noise": 0.5},
    ],
)
def test_slices_made_in_another_way_are_not_used(files, tmp_path, change) -> None:
    prepare(files, tmp_path / "s")
    again = prepare(files, tmp_path / "s", replace(CONFIG, **change))
    assert len(again.progress) > 0


def test_slices_of_a_file_that_changed_are_not_used(files, tmp_path) -> None:
    first = prepare(files, tmp_path / "s")
    with h5py.File(files[1], "a") as file:
        file["reconstruction_rss"][0] = 0
    os.utime(files[1], ns=(0, 0))
    again = prepare(files, tmp_path / "s")
    assert len(again.progress) > 0
    assert again.store.fingerprint != first.store.fingerprint
    knee = again.store.sets[2]
    assert again.store.values[knee.start : knee.start + 100].max() == 0


def test_patches_of_another_size_are_prepared_anew(files, tmp_path) -> None:
    prepare(files, tmp_path / "s", size=16)
    assert prepare(files, tmp_path / "s", size=24).store.patch_size == 24


@pytest.mark.parametrize("damage", ["cut", "index", "missing"])
def test_damaged_folder_is_refused_and_made_anew(files, tmp_path, damage) -> None:
    folder = tmp_path / "s"
    first = prepare(files, folder).store
    if damage == "cut":
        os.truncate(folder / "slices.f16", 100)
    elif damage == "index":
        (folder / "index.json").write_text('{"format": 1')
    else:
        (folder / "weights.f32").unlink()
    with pytest.raises(PriorError, match="holds no prepared training slices"):
        SliceStore.open(folder)
    assert prepare(files, folder).store == first


def test_layer_counts_by_its_values(tmp_path) -> None:
    slices = np.random.default_rng(0).random((2, 40, 40), dtype=np.float32)
    first = prepare([MriStack(slices, (0.5, 0.5), "a")], tmp_path / "s")
    same = prepare([MriStack(slices.copy(), (0.5, 0.5), "a")], tmp_path / "s")
    slices[1, 3, 3] = 0.99
    other = prepare([MriStack(slices, (0.5, 0.5), "a")], tmp_path / "s")
    assert [len(m.progress) for m in (first, same, other)] == [4, 0, 4]


def test_layer_of_any_range_is_scaled(tmp_path) -> None:
    slices = np.random.default_rng(0).integers(0, 255, (2, 40, 40)).astype(np.float32)
    store = prepare([MriStack(slices, (0.4375, 0.4375), "a")], tmp_path / "s").store
    expected = slices / np.percentile(slices, 99.9)
    np.testing.assert_allclose(store.values, expected.ravel(), atol=1e-3)


def test_only_takes_names_by_their_beginning(files, tmp_path) -> None:
    config = replace(CONFIG, only="brain, knee_B")
    store = prepare(files, tmp_path / "s", config).store
    assert {s.name for s in store.sets} == {"brain_a", "knee_b"}
    with pytest.raises(
        ValueError, match=r"no volume shows 'heart'.* there are brain_a"
    ):
        prepare(files, tmp_path / "s", replace(CONFIG, only="heart"))


def test_no_volumes_at_all_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="no volumes were given"):
        prepare([], tmp_path / "s")


def test_volume_smaller_than_a_patch_is_left_out_with_a_note(tmp_path) -> None:
    rng = np.random.default_rng(0)
    small = MriStack(rng.random((2, 20, 90), dtype=np.float32), (0.4375, 0.4375), "a")
    large = MriStack(rng.random((2, 50, 90), dtype=np.float32), (0.4375, 0.4375), "b")
    made = prepare([small, large], tmp_path / "s", size=32)
    assert [s.name for s in made.store.sets] == ["b"]
    assert made.notes == list(made.store.left_out)
    assert "a is left out: its slices are smaller" in made.notes[0]


def test_noisy_volume_is_dropped_with_a_note(tmp_path) -> None:
    rng = np.random.default_rng(0)
    z = np.linspace(0, 4, 128, dtype=np.float32)
    smooth = np.tile(0.5 + 0.4 * np.sin(z)[:, None], (2, 1, 128))
    noise = rng.standard_normal(smooth.shape).astype(np.float32)
    stacks = [
        MriStack(smooth + std * noise, (0.4375, 0.4375), name)
        for name, std in (("quiet", 0.01), ("loud", 0.08))
    ]
    config = PatchConfig(own_noise="drop", max_own_noise=0.03)
    made = prepare(stacks, tmp_path / "s", config)
    assert [s.name for s in made.store.sets] == ["quiet"]
    assert "loud is left out: its own noise is 0.0" in made.notes[0]
    assert [p.done for p in made.progress] == [1, 2, 3, 4, 5, 6]
    everything = replace(config, max_own_noise=0.001)
    with pytest.raises(ValueError, match="every volume has more noise of its own"):
        prepare(stacks, tmp_path / "s", everything)
    cleaned = prepare(stacks[1:], tmp_path / "c", PatchConfig(own_noise="clean"))
    left = cleaned.store.values.reshape(smooth.shape) - smooth / np.percentile(
        stacks[1].slices, 99.9
    )
    assert left.std() < 0.5 * 0.08


def test_file_with_nan_stops_the_preparation(files, tmp_path) -> None:
    with h5py.File(files[2], "a") as file:
        file["reconstruction_rss"][3, 5, 5] = np.nan
    with pytest.raises(FileFormatError, match=r"knee_b.*slice 3 of 4 holds NaN"):
        prepare(files, tmp_path / "s")
    assert names(tmp_path / "s") == []


def test_cancelled_preparation_leaves_nothing(files, tmp_path) -> None:
    token = CancelToken()
    events = prepare_slices(files, CONFIG, 16, tmp_path / "s", token=token)
    for _ in range(10):
        next(events)
    token.cancel()
    with pytest.raises(Cancelled):
        result_of(events)
    assert names(tmp_path / "s") == []


def test_disk_without_room_is_seen_before_anything_is_written(
    files, tmp_path, monkeypatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(JobError, match=r"s: the training slices need 5\d\d kB on disk"):
        prepare(files, tmp_path / "s")
    assert names(tmp_path / "s") == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on file sizes")
def test_disk_that_becomes_full_gives_one_error_and_leaves_nothing(
    files, tmp_path
) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(
            JobError, match=r"cannot be written \(File too large; 5\d\d"
        ):
            prepare(files, tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path / "s") == []


def test_folder_that_cannot_be_made_is_named(files, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match="slices cannot be written"):
        prepare(files, tmp_path / "file" / "s")


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_killed_preparation_leaves_no_final_name_and_is_cleaned_up(
    files, tmp_path
) -> None:
    folder = tmp_path / "s"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from napari_usflow.mri.patch_config import PatchConfig\n"
        "from napari_usflow.mri.slices import prepare_slices\n"
        "files = [Path(p) for p in sys.argv[2:]]\n"
        "for event in prepare_slices(files, PatchConfig(), 16, Path(sys.argv[1])):\n"
        "    if event.done == 15:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder, *files], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(folder)) == 3
    assert not set(names(folder)) & set(FILES)
    prepare(files, folder)
    assert names(folder) == FILES


def test_other_process_draws_the_same_patches(files, tmp_path) -> None:
    store = prepare(files, tmp_path / "s").store
    sampler = PatchSampler(store, CONFIG)
    here = sampler.draw(40, np.random.default_rng(3))  # maps the files
    sent = pickle.dumps(sampler)
    assert len(sent) < 5000
    code = (
        "import pickle, sys, numpy as np\n"
        "sampler = pickle.load(sys.stdin.buffer)\n"
        "patches = sampler.draw(40, np.random.default_rng(3))\n"
        "sys.stdout.buffer.write(patches.tobytes())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=sent, capture_output=True, check=True
    )
    np.testing.assert_array_equal(
        np.frombuffer(done.stdout, np.float32).reshape(here.shape), here
    )


def test_memory_does_not_grow_with_the_data(tmp_path, monkeypatch) -> None:
    # A volume that is too large to be kept: 48 slices of 1 MB.
    monkeypatch.setattr(preparing, "_KEPT_BYTES", 0)
    path = tmp_path / "a.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("reconstruction_rss", (48, 512, 512), "f4")
        for index in range(48):
            data[index] = np.kron(rng.random((64, 64)), np.ones((8, 8)))
        file.attrs["pixel_size_mm"] = 0.4375
    monkeypatch.setattr(preparing, "_NOISE_SLICES", 2)
    tracemalloc.start()
    store = prepare([path], tmp_path / "s").store
    prepared = tracemalloc.get_traced_memory()[1]
    sampler = PatchSampler(store, CONFIG)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        sampler.draw(1000, rng)
    drawn = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    # All of it is 50 MB as float32, and 766 000 positions have 3 MB of weights.
    assert store.sizes()["weights.f32"] > 3e6
    assert prepared < 30e6
    assert drawn < 8e6
    assert store.sums.nbytes < 50_000
