"""How long the window has to wait while a clip is played with *Live* on.

    xvfb-run -a python benchmarks/live.py [--method realtime] [--frames 60] [--fps 10]

Opens napari with a clip of fully developed speckle, turns on *Live* in the Denoise
window, and moves the time slider on at the rate of a clip. A timer of the window's own
event loop beats every 5 ms; how much later than that it beats is how long a click would
have waited. The same is done without *Live* first: what napari itself takes to draw a
frame (in software, where there is no graphics card) is not ours. Prints a table in
Markdown: the median, the 95th percentile and the maximum of the delay in ms, and how
many frames were shown and dropped. On a machine that others use as well, the delay is
theirs too. The processor time between two beats is not: that of the window's own thread
is what it worked, and that of the whole process, whose other threads it may have waited
for, is more than the delay would be if nobody else was there. ``--trace`` says what the
window's thread was doing when it was late.
"""

from __future__ import annotations

import argparse
import collections
import sys
import threading
import time
import traceback
from typing import Any

import numpy as np

PIXEL_MM = 0.4375
BEAT_MS = 5
LATE_S = 0.05
PATIENCE_S = 60


class Heart:
    """Beats in the window's event loop, and remembers how late.

    Parameters
    ----------
    trace : bool
        Look, from another thread, at what the window's thread does when it is late.
    """

    def __init__(self, trace: bool) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.delays_s: list[float] = []
        self.worked_s: list[float] = []
        self.whole_s: list[float] = []
        self.seen: collections.Counter[str] = collections.Counter()
        self._last, self._worked, self._whole = _clocks()
        self._beating = False
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._window = threading.main_thread().ident
        if trace:
            threading.Thread(target=self._watch, daemon=True).start()

    def start(self) -> None:
        self.delays_s, self.worked_s, self.whole_s = [], [], []
        self._last, self._worked, self._whole = _clocks()
        self._beating = True
        self._timer.start()

    def stop(self) -> None:
        self._beating = False
        self._timer.stop()

    def _beat(self) -> None:
        now, worked, whole = _clocks()
        self.delays_s.append(max(0.0, now - self._last - BEAT_MS / 1000))
        self.worked_s.append(worked - self._worked)
        self.whole_s.append(whole - self._whole)
        self._last, self._worked, self._whole = now, worked, whole

    def _watch(self) -> None:
        while True:
            time.sleep(LATE_S / 5)
            if self._beating and time.perf_counter() - self._last > LATE_S:
                stack = traceback.extract_stack(sys._current_frames()[self._window])
                self.seen[" < ".join(_place(f) for f in reversed(stack[-12:]))] += 1


def _clocks() -> tuple[float, float, float]:
    return time.perf_counter(), time.thread_time(), time.process_time()


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}"


def play(viewer: Any, heart: Heart, frames: int, fps: float) -> None:
    """Move the slider on, a frame at a time, and let the window work."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()

    def step() -> None:
        at = viewer.dims.current_step[0] + 1
        if at >= frames:
            loop.quit()
        else:
            viewer.dims.set_current_step(0, at)

    timer.timeout.connect(step)
    timer.start(round(1000 / fps))
    heart.start()
    loop.exec()
    heart.stop()
    timer.stop()


def wait_for(condition: Any) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.002)


def row(name: str, heart: Heart, shown: str = "", dropped: str = "") -> str:
    figures = [
        f"{1000 * value:.1f}"
        for times in (heart.delays_s, heart.worked_s, heart.whole_s)
        for value in np.percentile(times, [50, 95, 100])
    ]
    return f"| {' | '.join([name, *figures, shown, dropped])} |"


def report_late(heart: Heart) -> None:
    """Say what the window's thread was doing when it was late, and forget it."""
    for where, times in heart.seen.most_common(12):
        print(f"{times} looks: {where}")
    heart.seen.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--method", default="realtime")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=96, help="pixels of a side")
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--trace", action="store_true", help="where the time went")
    args = parser.parse_args()
    import napari

    from napari_usflow._napari.denoise.widget import DenoiseWidget

    rng = np.random.default_rng(0)
    shape = (args.frames, args.size, args.size)
    clip = np.float32(-30 + 10 * np.log10(rng.exponential(size=shape)))
    viewer = napari.Viewer()
    viewer.add_image(
        clip, name="clip", scale=(0.04, PIXEL_MM, PIXEL_MM), units=("s", "mm", "mm")
    )
    widget = DenoiseWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Denoise")
    combo = widget.form.method_combo
    combo.setCurrentIndex(combo.findData(args.method))
    heart = Heart(args.trace)
    print(f"| {args.method}, {args.size} x {args.size}, {args.fps:g} frames/s ", end="")
    for column in ("delay", "window's thread", "process"):
        print(f"| {column}: median, ms | 95 % | maximum ", end="")
    print("| shown | dropped |\n" + "|---" * 12 + "|")
    viewer.dims.set_current_step(0, 0)
    play(viewer, heart, args.frames, args.fps)
    print(row("without Live", heart))
    report_late(heart)
    viewer.dims.set_current_step(0, 0)
    heart.start()
    widget.live_button.setChecked(True)
    live = widget._live.now
    wait_for(lambda: live.shown >= 1)
    heart.stop()
    print(row("until the first frame", heart, str(live.shown), str(live.dropped)))
    report_late(heart)
    play(viewer, heart, args.frames, args.fps)
    wait_for(lambda: args.frames - 1 in live.frames)
    print(row("Live", heart, str(live.shown), str(live.dropped)))
    report_late(heart)
    widget.live_button.setChecked(False)
    wait_for(lambda: live._worker is None)
    viewer.close()


if __name__ == "__main__":
    main()
