"""Time what Compare and Measure cost in a napari window.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/compare.py

Two clips of 1024 x 768 pixels in memory. Processor time of the window's thread, drawing
included; software rendering counts as its own. Dropped: frames of 25 a second that
were not drawn in time.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ["NAPARI_CONFIG"] = ""

import numpy as np

FRAMES, SHAPE = 200, (768, 1024)
PERIOD_S = 1 / 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=FRAMES)
    args = parser.parse_args()
    viewer, compare = window()
    comparison = compare.comparison
    points = np.linspace(5, 45, 40)
    report("curtain, a step", [timed(lambda x=x: step(comparison, x)) for x in points])
    print("clip without comparison:", played(viewer, args.frames, compare, "off"))
    print("clip under the curtain: ", played(viewer, args.frames, compare, "curtain"))
    flips = [timed(compare.swap) for _ in range(21)]
    report("flicker, a swap", flips[1:])
    measure = measuring(viewer)
    regions = viewer.layers.selection.active
    updates = []
    for _ in range(20):
        regions.data = [shape + np.array([0.0, 0.1]) for shape in regions.data]
        updates.append(timed(measure.update_numbers))
    report("table of three images", updates)
    compare.form.set_mode("off")
    viewer.close()


def window():
    """Open three clips over each other, and compare them."""
    import napari

    from napari_usflow._napari.compare.widget import CompareWidget

    viewer = napari.Viewer()
    viewer.window.resize(1500, 940)
    rng = np.random.default_rng(0)
    frame = rng.normal(-30, 5, SHAPE).astype(np.float32)
    for name, factor in (("clip", 1.0), ("clip [a]", 0.5), ("clip [b]", 0.2)):
        stack = np.empty((FRAMES, *SHAPE), np.float32)
        stack[:] = factor * (frame + 30) - 30
        viewer.add_image(
            stack,
            name=name,
            scale=(0.04, 0.05, 0.05),
            units=("s", "mm", "mm"),
            contrast_limits=(-60, 0),
            metadata={"usflow": {"values": "db"}},
        )
    compare = CompareWidget(viewer)
    viewer.window.add_dock_widget(compare, name="Compare")
    draw()
    return viewer, compare


def measuring(viewer):
    """Open Measure on the three images, with two regions."""
    from napari_usflow._napari.measure.widget import MeasureWidget

    measure = MeasureWidget(viewer)
    viewer.window.add_dock_widget(measure, name="Measure")
    measure.form.before.choose(viewer.layers["clip"])
    measure.form.suggest.click()
    draw()
    return measure


def step(comparison, x: float) -> None:
    from napari_usflow._napari.compare.picture import Divider

    comparison.move(Divider((20.0, float(x)), 10.0))


def draw() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()


def timed(action) -> tuple[float, float, float]:
    """Return processor time of an action, that with drawing, and wall time, in ms."""
    cpu, wall = time.thread_time(), time.perf_counter()
    action()
    own = time.thread_time() - cpu
    draw()
    drawn, passed = time.thread_time() - cpu, time.perf_counter() - wall
    return 1e3 * own, 1e3 * drawn, 1e3 * passed


def report(what: str, times) -> None:
    own, drawn, wall = np.median(times, axis=0)
    print(
        f"{what}: {own:.1f} ms of processor time, {drawn:.1f} ms with napari's "
        f"drawing, {wall:.1f} ms on the clock (medians)"
    )


def played(viewer, frames: int, compare, mode: str) -> str:
    """Play a clip at 25 frames a second, and count what was drawn."""
    compare.form.set_mode(mode)
    draw()
    drawn, cpu, start = 0, time.thread_time(), time.perf_counter()
    while (frame := int((time.perf_counter() - start) / PERIOD_S)) < frames:
        if viewer.dims.current_step[0] != frame:
            viewer.dims.set_current_step(0, frame)
            drawn += 1
        draw()
    seconds = time.perf_counter() - start
    cpu_ms = 1e3 * (time.thread_time() - cpu) / max(drawn, 1)
    return (
        f"{drawn / seconds:.1f} frames/s, {frames - drawn} of {frames} dropped, "
        f"{cpu_ms:.1f} ms of processor time a frame"
    )


if __name__ == "__main__":
    main()
