"""The cells of the benchmark: a method on a size, foretold, run, timed and scored."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Event, Note, Progress, result_of, share_of
from napari_usflow.lab.bench.entrants import REFERENCE, Entrant
from napari_usflow.lab.bench.pictures import (
    CROP_SIZE,
    SPECKLE_SIGMA,
    BenchQuality,
    Pictures,
    quality_events,
    timed_stack,
)
from napari_usflow.lab.bench.process import CLOCKS, Apart, NotRun, apart_events
from napari_usflow.lab.bench.scores import BenchScore, Size, duration
from napari_usflow.lab.bench.workers import workers_events
from napari_usflow.lab.contest.contestants import Contestant, Registered
from napari_usflow.parameters import check_parameters, parameter

__all__ = ["BenchParams", "Cells"]

TURN_S = 0.5
"""Seconds for which a fast run is repeated in its turn."""

LONG_S = 8.0
"""Seconds above which a run is made once."""

_NAN = float("nan")
_LEFT_OUT = "left out"


@dataclass(frozen=True)
class BenchParams:
    """Measurement settings of the benchmark."""

    limit: float = parameter(
        120.0,
        unit="s",
        minimum=0.1,
        maximum=1e6,
        help="Time that a cell may take; what would take longer is left out",
    )
    repeats: int = parameter(
        3, minimum=1, maximum=1000, help="Turns of what is quick; the smallest counts"
    )
    count: int = parameter(
        4, minimum=1, maximum=1000, help="Pictures of either noise, for the quality"
    )
    threads: int | None = parameter(
        None,
        minimum=1,
        maximum=1024,
        help="Threads of torch (default: its own choice)",
    )
    clock: str = parameter(
        "wall",
        choices=tuple(CLOCKS),
        help="The wall clock, or the time of the processor for a machine that is busy",
    )

    def __post_init__(self) -> None:
        check_parameters(self)


class Cells:
    """Measures cell by cell, and knows what is known so far.

    Parameters
    ----------
    taking : sequence of Entrant
        The reference first.
    pictures : Pictures
        What quality is measured on.
    params : BenchParams
    total : int
        Number of lines there will be.
    token : CancelToken
    """

    def __init__(
        self,
        taking: Sequence[Entrant],
        pictures: Pictures,
        params: BenchParams,
        total: int,
        token: CancelToken,
    ) -> None:
        self.scores: list[BenchScore] = []
        self._entrants, self._parts = taking, 2 * total
        self._pictures, self._params, self._token = pictures, params, token
        self._contestants: dict[str, Contestant] = {}
        self._seconds: dict[str, dict[Size, float]] = {e.method: {} for e in taking}
        self._apart: dict[tuple[str, Size], Apart] = {}
        self._notes: dict[tuple[str, Size], str] = {}
        self._quality: dict[str, BenchQuality | str] = {}

    def load_events(self) -> Generator[Event, None, None]:
        """Make everyone, and fit who needs that; what is missing is told now."""
        for entrant in self._entrants:
            made = yield from entrant.events(self._token)
            self._contestants[entrant.method] = made

    def size_events(self, size: Size) -> Generator[Event, None, None]:
        """Measure everyone on a size: first the quick, taking turns, then the others.

        The reference is among the first, for the others' lines need its time.
        """
        quick, later = [], []
        for entrant in self._entrants:
            expected = self._foretell(entrant.method, size)
            if (entrant.method, size) in self._notes:
                yield self._scored(entrant.method, size)
            elif expected > LONG_S and entrant.method != REFERENCE:
                later.append(entrant)
            else:
                quick.append(entrant)
        # A cell has two parts: its run apart, then the turns and the line.
        part = 2 * len(self.scores)
        for entrant in quick:
            yield from self._apart_events(entrant, size, part)
            part += 1
        yield from self._turns_events(quick, size, part)
        for entrant in quick:
            yield from self._line_events(entrant, size, part)
            part += 1
        for entrant in later:
            yield from self._apart_events(entrant, size, part)
            yield from self._line_events(entrant, size, part + 1)
            part += 2

    def workers_events(
        self, method: str, clip: Size, workers: int, device: str
    ) -> Generator[Event, None, None]:
        """Time a method on the clip with workers."""
        alone = self._seconds[method].get(clip, _NAN)
        note, seconds = "", _NAN
        if alone <= self._params.limit:
            run = workers_events(
                method,
                clip,
                workers,
                repeats=min(2, self._params.repeats),
                device=device,
                token=self._token,
            )
            label = f"{clip.label}: {method}, {workers} workers"
            cell = len(self.scores)
            seconds = yield from share_of(run, cell, self._parts // 2, label)
        else:
            note = self._notes.get((method, clip), "not timed without workers")
        yield self._scored(method, clip, workers=workers, seconds=seconds, note=note)

    def _foretell(self, method: str, size: Size) -> float:
        """Foretell the seconds of a cell; 0 for the first, of which nothing is known.

        In proportion to the pixels, from the largest stack so far, of frames of the
        same size if there was one. What is to be left out is noted.
        """
        known = self._seconds[method]
        failed = [s for name, s in self._notes if name == method and s not in known]
        failed = [s for s in failed if not self._notes[method, s].startswith(_LEFT_OUT)]
        if failed:
            reason = self._notes[method, failed[0]]
            self._notes[method, size] = f"{_LEFT_OUT}: {failed[0].label} {reason}"
            return 0.0
        frame = (size.rows, size.columns)
        alike = [s for s in known if (s.rows, s.columns) == frame] or list(known)
        if not alike:
            return 0.0
        nearest = max(alike)
        expected = known[nearest] * size.pixels / nearest.pixels
        if expected > self._params.limit:
            self._notes[method, size] = (
                f"{_LEFT_OUT}: about {duration(expected)}, and the limit is "
                f"{duration(self._params.limit)}"
            )
        return expected

    def _apart_events(
        self, entrant: Entrant, size: Size, part: int
    ) -> Generator[Event, None, None]:
        params, key = self._params, (entrant.method, size)
        run = apart_events(
            entrant,
            size,
            clock=params.clock,
            threads=params.threads,
            limit_s=params.limit,
            token=self._token,
        )
        label = f"{size.label}: {entrant.method}"
        try:
            self._apart[key] = yield from share_of(run, part, self._parts, label)
        except NotRun as why:
            self._notes[key] = str(why)
            yield Note(f"{size.label}, {entrant.method}: {why}")
        else:
            self._seconds[entrant.method][size] = self._apart[key].seconds

    def _turns_events(
        self, taking: Sequence[Entrant], size: Size, part: int
    ) -> Generator[Event, None, None]:
        """Repeat the fast methods in turn and keep the smallest times."""
        clock, stack = CLOCKS[self._params.clock], timed_stack(size)
        times = {e.method: self._seconds[e.method].get(size, _NAN) for e in taking}
        names = [name for name, seconds in times.items() if seconds <= LONG_S]
        for turn in range(self._params.repeats):
            for name in names:
                label = f"{size.label}, turn {turn + 1}: {name}"
                yield Progress(part, self._parts, label)
                begun = clock()
                while True:
                    start = clock()
                    self._denoise(name, stack)
                    end = clock()
                    smallest = min(self._seconds[name][size], end - start)
                    self._seconds[name][size] = smallest
                    if end - begun > TURN_S:
                        break

    def _denoise(self, name: str, stack: npt.NDArray[np.float32]) -> None:
        self._token.raise_if_cancelled()
        run = self._contestants[name].denoise(
            stack, SPECKLE_SIGMA, clean=stack, token=self._token
        )
        result_of(run)

    def _line_events(
        self, entrant: Entrant, size: Size, part: int
    ) -> Generator[Event, None, None]:
        """Return the line of a cell, its quality measured if it is the first."""
        method = entrant.method
        if method not in self._quality and size in self._seconds[method]:
            pixels = 2 * len(self._pictures.clean) * CROP_SIZE**2
            expected = self._seconds[method][size] * pixels / size.pixels
            if expected > self._params.limit:
                self._quality[method] = f"no quality: about {duration(expected)}"
            else:
                given = plain = self._contestants[method]
                if isinstance(given, Registered):
                    plain = yield from entrant.events(self._token, noise="white")
                run = quality_events(self._pictures, plain, given, self._token)
                label = f"quality: {method}"
                made = yield from share_of(run, part, self._parts, label)
                self._quality[method] = made
        yield self._scored(method, size)

    def _scored(
        self,
        method: str,
        size: Size,
        *,
        workers: int = 0,
        seconds: float | None = None,
        note: str = "",
    ) -> Scored:
        """Make a line of the table of what is known."""
        if seconds is None:
            seconds = self._seconds[method].get(size, _NAN)
        taken = self._apart.get((method, size)) if not workers else None
        quality = self._quality.get(method)
        if isinstance(quality, str):
            note, quality = quality, None
        line = BenchScore(
            method,
            size.frames,
            size.rows,
            size.columns,
            workers,
            seconds=seconds,
            frames_per_second=size.frames / seconds if seconds else _NAN,
            times_nlm=seconds / self._seconds[REFERENCE].get(size, _NAN),
            added_mib=taken.added_mib if taken else _NAN,
            peak_mib=taken.peak_mib if taken else _NAN,
            gpu_mib=taken.gpu_mib if taken else _NAN,
            **asdict(quality or BenchQuality(_NAN, _NAN, _NAN, _NAN)),
            note=self._notes.get((method, size), note),
        )
        self.scores.append(line)
        return Scored(line)
