"""Break good files at random and see that reading them fails in one clear line.

    python tools/fuzz_formats.py                        # 2,000 mutations of each kind
    python tools/fuzz_formats.py uff-image zea-raw --mutations 200 --seed 7 --keep out

A small good file of each kind (ultrasound, MRI, weights) is made as the tests make it,
then mutated: bytes and
whole blocks are changed, numbers that programs are afraid of are put in, files are cut
and spliced; of HDF5 files members are also removed, replaced by other types, by links
and by arrays that declare 10^12 elements. Each mutant is detected, described and read.
It must be read, or refused with a UsflowError or ValueError of one line, within
a second and 300 MB. The exit code is 1 when one is not; ``--keep`` keeps those files.

Mutants are tried in a child process, so that a crash ends that and not the count. How
much memory the worst of each kind took is read from /proc, so that Linux is needed.
"""

from __future__ import annotations

import argparse
import logging
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import example_files  # noqa: E402
import example_mri  # noqa: E402
import example_packed  # noqa: E402
import example_pictures  # noqa: E402
from napari_usflow.errors import UsflowError  # noqa: E402
from peak_memory import peak_bytes, reset_peak  # noqa: E402

EXAMPLES = {
    **example_files.EXAMPLES,
    **example_packed.PACKED,
    **example_mri.MRI,
    **example_mri.WEIGHTS,
    **example_pictures.FOLDERS,
}
HDF5 = {*example_files.HDF5, "hdf5-arrays", "fastmri", "fastmri-kspace"}

LIMIT_S, LIMIT_BYTES = 1.0, 300 * 10**6
# After so long, of a processor or by the clock, a mutant is not slow but stuck.
STUCK_S, STUCK_BY_CLOCK_S = 20.0, 600.0
FEARED = [0, 1, 2**7, 2**8, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1]

Rng = np.random.Generator


def _flip(data: bytearray, rng: Rng) -> None:
    for at in rng.integers(0, len(data), rng.integers(1, 17)):
        data[at] ^= 1 << int(rng.integers(0, 8))


def _overwrite(data: bytearray, rng: Rng) -> None:
    at, size = _block(data, rng)
    filling = [bytes(size), b"\xff" * size, rng.bytes(size)][rng.integers(0, 3)]
    data[at : at + size] = filling


def _feared_number(data: bytearray, rng: Rng) -> None:
    size = int(rng.choice([1, 2, 4, 8]))
    at = int(rng.integers(0, max(1, len(data) - size)))
    value = int(rng.choice(FEARED)) % 256**size
    order = ["little", "big"][rng.integers(0, 2)]
    data[at : at + size] = value.to_bytes(size, order)


def _cut(data: bytearray, rng: Rng) -> None:
    del data[int(rng.integers(0, len(data))) :]


def _remove(data: bytearray, rng: Rng) -> None:
    at, size = _block(data, rng)
    del data[at : at + size]


def _repeat(data: bytearray, rng: Rng) -> None:
    at, size = _block(data, rng)
    data[at:at] = data[at : at + size]


def _swap(data: bytearray, rng: Rng) -> None:
    (one, size), (other, _) = _block(data, rng), _block(data, rng)
    data[one : one + size] = data[other : other + size]


def _block(data: bytearray, rng: Rng) -> tuple[int, int]:
    size = int(min(len(data), 2 ** rng.uniform(0, 11)))
    return int(rng.integers(0, len(data) - size + 1)), max(1, size)


BYTE_MUTATIONS: list[Callable[[bytearray, Rng], None]] = [
    _flip,
    _flip,
    _overwrite,
    _feared_number,
    _feared_number,
    _cut,
    _remove,
    _repeat,
    _swap,
]


def _mutate_bytes(path: Path, rng: Rng) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        if data:
            BYTE_MUTATIONS[rng.integers(0, len(BYTE_MUTATIONS))](data, rng)
    path.write_bytes(data)


def _mutate_members(path: Path, rng: Rng) -> None:
    """Change what is in an HDF5 file, which stays a sound one."""
    import h5py

    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        for name in rng.choice(names, min(len(names), int(rng.integers(1, 3)))):
            if name not in file or not isinstance(
                file.get(name, getlink=True), h5py.HardLink
            ):
                continue
            _mutate_member(file, str(name), rng)


def _mutate_member(file: Any, name: str, rng: Rng) -> None:
    import h5py

    node = file[name]
    shape = getattr(node, "shape", (3,)) or (1,)
    if math.prod(shape) > 2**20:  # an earlier change has made it absurd
        shape = (3,)
    if node.attrs and rng.integers(0, 4) == 0:
        key = str(rng.choice(list(node.attrs)))
        values: list[Any] = [np.int64(-1), "\0\xff", np.zeros(0), np.full(99, np.nan)]
        node.attrs[key] = values[rng.integers(0, len(values))]
        return
    del file[name]
    huge = (10**12,) if len(shape) == 1 else (10**6, 10**6, *shape[2:])
    chunk = (1000,) if len(shape) == 1 else (1000, 1000, *shape[2:])
    choices: list[Callable[[], Any]] = [
        lambda: None,
        lambda: file.create_group(name),
        lambda: file.__setitem__(name, h5py.SoftLink("/" + name)),
        lambda: file.__setitem__(name, h5py.SoftLink("/")),
        lambda: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/")),
        lambda: file.__setitem__(name, "text of variable length"),
        lambda: file.__setitem__(name, np.full(shape, np.nan)),
        lambda: file.__setitem__(name, np.full(shape, np.inf, np.float32)),
        lambda: file.__setitem__(name, np.full(shape, 1e30)),
        lambda: file.__setitem__(name, np.zeros(shape, np.int8)),
        lambda: file.__setitem__(name, np.full(shape, -(2**62))),
        lambda: file.__setitem__(name, np.zeros((2, *shape))),
        lambda: file.__setitem__(name, np.zeros(shape[:-1])),
        lambda: file.__setitem__(name, np.zeros(0)),
        lambda: file.__setitem__(name, np.zeros(shape, "S7")),
        lambda: file.__setitem__(name, np.zeros(shape, [("a", "f4"), ("b", "i8")])),
        lambda: file.__setitem__(name, h5py.Empty("f4")),
        lambda: file.create_dataset(name, huge, "f4", chunks=chunk),
        lambda: file.create_dataset(
            name,
            (min(shape[0], 4) * 2**24,),
            "f4",
            chunks=(2**24,),
            data=None,
            compression="gzip",
        ),
    ]
    choices[rng.integers(0, len(choices))]()


def _mutant(kind: str, good: Path, folder: Path, rng: Rng) -> Path:
    """Copy the good file and what lies beside it, and break it."""
    shutil.copytree(good.parent, folder, dirs_exist_ok=True)
    path = folder / good.name
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        _mutate_bytes(files[rng.integers(0, len(files))], rng)
    elif kind in HDF5 and rng.integers(0, 2):
        # A second change may not go with the first; then there is only the first.
        with suppress(KeyError, OSError, RuntimeError, TypeError, ValueError):
            _mutate_members(path, rng)
    else:
        _mutate_bytes(path, rng)
    return path


def _use(kind: str, path: Path) -> None:
    """Do with a file what napari and the command line do."""
    if kind in example_mri.MRI:
        from napari_usflow import mri

        _or_refused(lambda: mri.read_stack(path))
    elif kind in example_mri.WEIGHTS:
        _use_weights(kind, path)
    else:
        _use_image(path)


def _use_weights(kind: str, path: Path) -> None:
    from napari_usflow.networks.store import load_network, read_network_card
    from napari_usflow.prior.flow_prior import load_prior
    from napari_usflow.prior.store import read_card

    if kind == "checkpoint":
        from napari_usflow.training.checkpoint_file import read_state

        _or_refused(lambda: read_state(path, "flow"))
        return
    load, card = (load_prior, read_card)
    if kind == "network":
        load, card = (load_network, read_network_card)  # type: ignore[assignment]
    _or_refused(lambda: card(path))
    _or_refused(lambda: load(path, device="cpu"))


def _use_image(path: Path) -> None:
    from napari_usflow import io
    from napari_usflow.ultrasound.data import PixelGrid

    io.detect(path)
    _or_refused(lambda: io.describe(path))
    try:
        data = io.read_channel_data(path)
        np.asarray(data.samples[0, 0])
    except (UsflowError, ValueError) as error:
        _check_text(error)
        _or_refused(lambda: [np.asarray(i.data[0]) for i in io.read(path)])
        return
    grid = PixelGrid((8, 6), (1.0, 1.0), (8.0, -3.0))
    _or_refused(lambda: io.read(path, grid=None if data.is_focused else grid))


def _or_refused(work: Callable[[], Any]) -> None:
    try:
        work()
    except (UsflowError, ValueError) as error:
        _check_text(error)


def _check_text(error: Exception) -> None:
    text = str(error)
    if "\n" in text or not text.strip():
        raise AssertionError(f"not one line: {text!r}") from error


def _child(kind: str, good: Path, folder: Path, pipe: Connection) -> None:
    """Try mutants as they are asked for: a seed in, a complaint or "" and bytes out."""
    # What libraries log about damaged files is not what is looked at here.
    logging.disable(logging.CRITICAL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    # Warm: the first reading imports what all of them need.
    for _ in range(2):
        _use(kind, good)
    pipe.send(("", 0))
    while (order := pipe.recv()) is not None:
        shutil.rmtree(folder, ignore_errors=True)
        path = _mutant(kind, good, folder, np.random.default_rng(order))
        before = reset_peak()
        start = time.perf_counter()
        complaint = ""
        try:
            _use(kind, path)
        except BaseException as error:  # noqa: BLE001
            complaint = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        grown = peak_bytes() - before
        if not complaint and seconds > LIMIT_S:
            # Another program may have had the processor.
            start = time.process_time()
            _or_refused(lambda found=path: _use(kind, found))
            if time.process_time() - start > LIMIT_S:
                complaint = f"took {seconds:.1f} s"
        if not complaint and grown > LIMIT_BYTES:
            complaint = f"took {grown / 1e6:.0f} MB"
        pipe.send((complaint, grown))


class _Trier:
    """A child process that tries mutants of one kind, started again when it dies."""

    def __init__(self, kind: str, good: Path, folder: Path) -> None:
        self._arguments = (kind, good, folder)
        self._process: Any = None

    def complaint(self, seed: list[int]) -> tuple[str, int]:
        if self._process is None:
            self._pipe, theirs = multiprocessing.Pipe()
            context = multiprocessing.get_context("spawn")
            self._process = context.Process(
                target=_child, args=(*self._arguments, theirs), daemon=True
            )
            self._process.start()
            theirs.close()
            self._pipe.recv()
        self._pipe.send(seed)
        end = time.monotonic() + STUCK_BY_CLOCK_S
        worked_s = self._worked_s()
        try:
            while not self._pipe.poll(STUCK_S):
                # Another program may have had the processor.
                is_stuck = self._worked_s() - worked_s > STUCK_S
                if is_stuck or time.monotonic() > end:
                    return self._died(f"was stuck for more than {STUCK_S:g} s"), 0
            complaint, grown = self._pipe.recv()
            return str(complaint), int(grown)
        except EOFError:
            return self._died("the process crashed"), 0

    def _worked_s(self) -> float:
        """Read how long the child has had a processor (Linux)."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _died(self, why: str) -> str:
        self._process.join(1)
        self._process.kill()
        self._process.join()
        code, self._process = self._process.exitcode, None
        return f"{why} (exit code {code})"

    def close(self) -> None:
        if self._process is not None:
            self._pipe.send(None)
            self._process.join(STUCK_S)


def fuzz(
    kind: str, mutations: int, seed: int, keep: Path | None
) -> tuple[list[str], int]:
    """Try mutants of one kind; give the complaints, and the most memory one took."""
    complaints, worst = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        beside = Path(scratch) / "good"
        beside.mkdir()
        good = EXAMPLES[kind](beside)
        broken = Path(scratch) / "broken"
        trier = _Trier(kind, good, broken)
        for number in range(mutations):
            # Names are part of the seed, so that each kind has its own mutants.
            order = [seed, number, *kind.encode()]
            complaint, grown = trier.complaint(order)
            worst = max(worst, grown)
            if complaint:
                complaints.append(f"{kind} seed {seed} mutation {number}: {complaint}")
                print(complaints[-1], flush=True)
                if keep is not None and broken.is_dir():
                    shutil.copytree(broken, keep / f"{kind}-{seed}-{number}")
        trier.close()
    return complaints, worst


def main() -> int:
    """Run the command line; 1 when something was not refused as it should be."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(EXAMPLES))
    parser.add_argument("--mutations", type=int, default=2000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    args = parser.parse_args()
    unknown = set(args.kinds) - set(EXAMPLES)
    if unknown:
        parser.error(
            f"unknown kinds {', '.join(unknown)}; known: {', '.join(EXAMPLES)}"
        )
    failed = 0
    for kind in args.kinds or EXAMPLES:
        start = time.perf_counter()
        complaints, worst = fuzz(kind, args.mutations, args.seed, args.keep)
        failed += len(complaints)
        seconds = time.perf_counter() - start
        print(
            f"{kind}: {args.mutations} mutations, {len(complaints)} complaints, "
            f"at most {worst / 1e6:.0f} MB, {seconds:.0f} s",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
