"""The benchmark from its arguments to its table."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from napari_usflow.denoising.algorithms import methods as our_methods
from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.lab.bench.entrants import default_names, entrants
from napari_usflow.lab.bench.machine import busy_note, machine_text, set_threads
from napari_usflow.lab.bench.measurements import BenchParams, Cells
from napari_usflow.lab.bench.pictures import WHITE_SIGMA, picture_events
from napari_usflow.lab.bench.scores import BenchTest, Size, largest_clip
from napari_usflow.lab.bench.workers import cluster_missing

__all__ = ["QUICK", "QUICK_SIZES", "SCALED", "SIZES", "WORKERS", "bench_events"]

SIZES = ("96x96", "384x384", "768x768", "20x96x96", "200x96x96")
"""Frames of 42, 168 and 336 mm at the prior's pixel, and clips of the smallest."""

WORKERS = (1, 2)
"""Processes of the local cluster that the longest clip is computed on."""

SCALED = ("realtime", "nlm")
"""The methods that are run on it."""

QUICK = BenchParams(limit=15.0, repeats=1, count=2)
QUICK_SIZES = ("96x96", "384x384")
"""Sizes that are measured in a minute or two; without workers."""


def bench_events(
    *,
    fits: Path,
    params: BenchParams | None = None,
    methods: Sequence[str] | None = None,
    sizes: Sequence[str] = SIZES,
    data: Path | None = None,
    anatomies: Sequence[str] = ("knee", "brain"),
    train_data: Path | None = None,
    workers: Sequence[int] = WORKERS,
    scaled: Sequence[str] = SCALED,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, BenchTest]:
    """Measure methods on stacks of several sizes.

    Parameters
    ----------
    fits : Path
        Folder where fitted peers are kept.
    params : BenchParams, optional
    methods : sequence of str, optional
        Names of registered methods and of peers; all that can take part by default.
    sizes : sequence of str
        ``ROWSxCOLUMNS`` or ``FRAMESxROWSxCOLUMNS``.
    data : Path, optional
        Folder of MRI that nothing was trained on, to measure quality on; without it
        scenes are made.
    anatomies : sequence of str
        What its file names begin with.
    train_data : Path, optional
        Folder of MRI that peers are fitted on.
    workers : sequence of int
        Numbers of processes of a local dask cluster; empty for none.
    scaled : sequence of str
        The methods that are run on the longest clip with each of them.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Notes, progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every
        line of the table.

    Raises
    ------
    ValueError
        When a method is unknown or its package is missing, a size is none, or the
        folder does not hold enough.
    """
    params, token = params or BenchParams(), token or CancelToken()
    names = default_names(train_data) if methods is None else tuple(methods)
    stacks = sorted({Size.parse(size) for size in sizes})
    if not stacks:
        raise ValueError("name at least one size")
    if min(workers, default=1) < 1:
        raise ValueError(f"workers must be at least 1, got {min(workers)}")
    taking = entrants(names, device=device, train_data=train_data, fits=fits)
    threads_before = set_threads(params.threads)
    try:
        yield from busy_note(params.clock)
        pictures = yield from picture_events(
            params.count, data=data, anatomies=anatomies, token=token
        )
        clip = largest_clip(stacks)
        scaling = [n for n in scaled if n in names and n in our_methods()]
        if clip is None or not workers:
            scaling = []
        elif scaling and (reason := _no_workers(params.clock)):
            yield Note(f"not timed with workers: {reason}")
            scaling = []
        total = len(taking) * len(stacks) + len(scaling) * len(set(workers))
        cells = Cells(taking, pictures, params, total, token)
        yield from cells.load_events()
        for size in stacks:
            yield from cells.size_events(size)
        if clip is not None:
            for name in scaling:
                for number in sorted(set(workers)):
                    yield from cells.workers_events(name, clip, number, device)
    finally:
        set_threads(threads_before)
    return BenchTest(
        cells.scores,
        machine_text(device, params.threads, params.clock),
        {
            "white": f"white noise of {WHITE_SIGMA:g} on {pictures.origin}",
            "speckle": f"simulated speckle on {pictures.origin}",
        },
    )


def _no_workers(clock: str) -> str:
    """Return why a cluster cannot be timed here; empty when it can."""
    if clock != "wall":
        return "theirs is not the time of this process's processor; use --clock wall"
    lacking = cluster_missing()
    return f"{lacking} not installed (extra 'cluster')" if lacking else ""
