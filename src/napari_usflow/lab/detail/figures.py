"""Table and pictures of the test of details."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from napari_usflow.evaluate.figures import new_figure, save_figure, shown_name
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.detail.run import DetailTest
from napari_usflow.lab.detail.scenes import SHOWN_DB

__all__ = ["Crop", "write_detail"]

Crop = tuple[slice, slice]


def write_detail(
    test: DetailTest, folder: Path, crops: Mapping[str, Crop] | None = None
) -> list[Path]:
    """Write ``detail.csv``, and with ``crops`` also ``detail.png``.

    Parameters
    ----------
    test : DetailTest
    folder : Path
    crops : mapping of str to (slice, slice), optional
        What is shown, by scene: a row each, the input and every method side by side.

    Returns
    -------
    list of Path
        What was written, the table first.
    """
    table = folder / "detail.csv"
    write_table(table, test.scores)
    if not crops:
        return [table]
    names = list(next(iter(test.frames.values())))
    figure = new_figure(2.6 * len(names), 2.6 * len(crops))
    axes = figure.subplots(len(crops), len(names), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(shown_name(name))
    for row, (scene, crop) in zip(axes, crops.items(), strict=True):
        frames = test.frames[scene]
        for axis, name in zip(row, names, strict=True):
            axis.imshow(
                frames[name][crop],
                cmap="gray",
                vmin=-SHOWN_DB,
                vmax=0,
                interpolation="nearest",
            )
            axis.set_axis_off()
    picture = folder / "detail.png"
    save_figure(figure, picture)
    return [table, picture]
