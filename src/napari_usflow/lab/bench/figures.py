"""The benchmark's files: a table, one for people, and a figure."""

from __future__ import annotations

from pathlib import Path

from napari_usflow.evaluate.figures import line_styles, new_figure, save_figure
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.bench.entrants import REFERENCE
from napari_usflow.lab.bench.pareto import draw_front, name_points
from napari_usflow.lab.bench.scaling import growth_panels
from napari_usflow.lab.bench.scores import BenchTest
from napari_usflow.lab.bench.tables import FORMATS, shown_size, write_markdown

__all__ = ["write_bench"]


def write_bench(test: BenchTest, folder: Path) -> list[Path]:
    """Write ``bench.csv``, ``bench.md`` and ``bench.png``.

    Each is written beside and renamed, so that a file with a final name is whole.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"bench.{ending}" for ending in ("csv", "md", "png")]
    write_table(paths[0], test.scores, FORMATS)
    write_markdown(test, paths[1])
    _draw(test, paths[2])
    return paths


def _draw(test: BenchTest, path: Path) -> None:
    alone = [s for s in test.scores if not s.workers and s.timed]
    if any(s.method == "nlm" for s in alone):
        # The same algorithm with the same settings: one of the two is enough to see.
        alone = [s for s in alone if s.method != REFERENCE]
    styles = line_styles({s.label: s.method for s in alone})
    growth = growth_panels(test.scores, alone, styles)
    figure = new_figure(12.5, 8.6 if growth else 5.0)
    heights = (1.35, 1) if growth else (1,)
    above, *below = figure.subfigures(
        len(heights), 1, height_ratios=heights, squeeze=False
    ).flat
    size = shown_size(alone)
    here = [s for s in alone if s.size == size]
    panels = above.subplots(1, 2)
    for axis, noise in zip(panels, ("speckle", "white"), strict=True):
        draw_front(axis, here, f"{noise}_psnr_db", styles)
        axis.set_title(_capital(test.pictures[noise]), fontsize=10, loc="left", pad=8)
    if size is not None:
        above.supxlabel(
            f"time for one frame of {size.label} (log scale); nothing lies above the "
            "stairs, and the strip names what is best within a time",
            fontsize=9,
        )
    for part in below:
        axes = part.subplots(1, len(growth), squeeze=False).flat
        for axis, draw in zip(axes, growth, strict=True):
            draw(axis)
    figure.suptitle(test.machine, fontsize=8, color="0.4", x=0.01, ha="left")
    figure.draw_without_rendering()
    for axis, noise in zip(panels, ("speckle", "white"), strict=True):
        name_points(axis, here, f"{noise}_psnr_db", styles)
    save_figure(figure, path)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
