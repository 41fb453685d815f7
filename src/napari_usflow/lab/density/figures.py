"""The table and the figure of the test of densities."""

from __future__ import annotations

from pathlib import Path

from napari_usflow.evaluate.figures import new_figure, save_figure
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.density.run import DensityTest
from napari_usflow.training.montage import montage

__all__ = ["write_density"]

_NAMES = {"gaussian": "one Gaussian", "mixture": "a mixture of Gaussians"}


def write_density(test: DensityTest, folder: Path) -> list[Path]:
    """Write ``density.csv`` and ``density.png``, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "density.csv", folder / "density.png"]
    write_table(paths[0], test.rows, {"bits_per_dim": ".4f", "error": ".4f"})
    _draw(test, paths[1])
    return paths


def _draw(test: DensityTest, path: Path) -> None:
    """Real patches beside samples of each model, all in one grey window."""
    bits = {row.label: row.bits_per_dim for row in test.rows}
    columns = len(test.patches)
    figure = new_figure(3.4 * columns, 4.2)
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
    save_figure(figure, path)
