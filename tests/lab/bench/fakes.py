"""Stand-ins for what takes time: methods, a clock, processes."""

from __future__ import annotations

import numpy as np

from napari_usflow.jobs import Progress
from napari_usflow.lab.bench.process import Apart
from napari_usflow.lab.contest.contestants import Contestant, Denoised


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Timed(Contestant):
    """Takes so many microseconds a pixel of the fake clock, in turn, and shifts."""

    def __init__(self, method, clock, costs, log, shift=0.0) -> None:
        self.method, self._clock, self._costs = method, clock, costs
        self._log, self._shift, self._runs = log, shift, 0

    def denoise(self, crops, sigma, *, clean, token):
        token.raise_if_cancelled()
        self._log.append((self.method, crops.shape))
        yield Progress(1, 1)
        cost = self._costs[self._runs % len(self._costs)]
        self._runs += 1
        self._clock.now += 1e-6 * cost * crops.size
        return Denoised(clean + np.float32(self._shift), 0.0)


def apart_taking(costs, ran, failing=None):
    """Make a stand-in for ``apart_events``; microseconds a pixel, and why it fails."""

    def events(entrant, size, *, limit_s, **_):
        ran.append((entrant.method, size.label))
        yield Progress(1, 2)
        if failing and (entrant.method, size.label) in failing:
            raise failing[entrant.method, size.label]
        seconds = 1e-6 * costs[entrant.method][0] * size.pixels
        return Apart(seconds, size.pixels / 2**20, 100.0, float("nan"))

    return events
