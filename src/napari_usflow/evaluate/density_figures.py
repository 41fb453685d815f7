"""The table and the figure of the test of densities."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_usflow.evaluate.density import Density, DensityTest
from napari_usflow.io.writing import write_beside
from napari_usflow.prior.montage import montage

__all__ = ["write_density"]

_NAMES = {"gaussian": "one Gaussian", "mixture": "a mixture of Gaussians"}


def write_density(test: DensityTest, folder: Path) -> list[Path]:
    """Write ``density.csv`` and ``density.png``, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "density.csv", folder / "density.png"]
    with (
        write_beside(paths[0]) as beside,
        beside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Density)])
        for row in test.rows:
            writer.writerow(
                [f"{v:.4f}" if isinstance(v, float) else v for v in vars(row).values()]
            )
    with write_beside(paths[1]) as beside:
        _draw(test, beside)
    return paths


def _draw(test: DensityTest, path: Path) -> None:
    """Real patches beside samples of each model, all in one grey window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bits = {row.label: row.bits_per_dim for row in test.rows}
    columns = len(test.patches)
    figure: Any = Figure(figsize=(3.4 * columns, 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis, (label, patches) in zip(axes, test.patches.items(), strict=True):
        axis.imshow(montage(patches), cmap="gray", vmin=0, vmax=1)
        axis.set_axis_off()
        text = (
            f"samples of {_NAMES.get(label, label)}\n{bits[label]:.2f} bits/dim"
            if label in bits
            else ""
        )
        axis.set_title(text or f"{label}\n(MRI, not trained on)", fontsize=11)
    figure.savefig(path, format="png")
