"""Pictures of a training run: its curves, and what it draws and denoises by now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_usflow.files import write_beside
from napari_usflow.training.events import Previewed
from napari_usflow.training.montage import montage
from napari_usflow.training.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_run"]

_SMOOTH_OVER = 50


def draw_run(run: RunFolder, preview: Previewed) -> None:
    """Draw ``figures/curves.png`` and ``figures/samples.png`` of a run folder."""
    run.figures.mkdir(exist_ok=True)
    _write(_curves(run.records()), run.figures / "curves.png")
    _write(_samples(preview), run.figures / "samples.png")


def _write(figure: Figure, path: Path) -> None:
    with write_beside(path) as beside:
        figure.savefig(beside, dpi=110)


def _curves(records: list[dict[str, Any]]) -> Figure:
    from matplotlib.figure import Figure

    steps = np.array([(r["step"], r["loss"]) for r in records if "loss" in r])
    checks = [r for r in records if "psnr_db" in r]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    loss, quality, psnr = figure.subplots(1, 3)
    if len(steps):
        window = min(_SMOOTH_OVER, len(steps))
        smooth = np.convolve(steps[:, 1], np.ones(window) / window, mode="valid")
        loss.plot(*steps.T, color="0.8", linewidth=0.6)
        loss.plot(steps[window - 1 :, 0], smooth, color="C0")
        low, high = np.percentile(steps[:, 1], [0.5, 98])
        if high > low:
            margin = 0.05 * (high - low)
            loss.set_ylim(low - margin, high + margin)
    loss.set(title="training loss", xlabel="step")
    at = [r["step"] for r in checks]
    key, title = "bits_per_dim", "held-out bits per pixel"
    if checks and key not in checks[-1]:
        key, title = "speckle_psnr_db", "held-out PSNR on speckle, dB"
    quality.plot(at, [r.get(key, np.nan) for r in checks], marker=".")
    quality.set(title=title, xlabel="step")
    for sigma in checks[-1]["psnr_db"] if checks else ():
        values = [r["psnr_db"].get(sigma, np.nan) for r in checks]
        psnr.plot(at, values, marker=".", label=f"sigma {float(sigma):g}")
    psnr.set(title="held-out PSNR on white noise, dB", xlabel="step")
    if psnr.lines:
        psnr.legend(frameon=False, fontsize=8)
    for axes in (loss, quality, psnr):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _samples(preview: Previewed) -> Figure:
    from matplotlib.figure import Figure

    panels, of_flow = {"held-out patches": preview.real}, len(preview.generated) > 0
    if of_flow:
        panels["samples of the flow"] = preview.generated
    if len(preview.noisy):
        noise = f"with noise of {preview.sigma:g}"
        panels[noise if of_flow else f"{noise}, or speckle"] = preview.noisy
        panels["posterior mean" if of_flow else "denoised"] = preview.denoised
    figure = Figure(figsize=(2.9 * len(panels), 3.2), layout="constrained")
    for axes, (title, patches) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        axes.imshow(montage(patches), cmap="gray", vmin=0.0, vmax=1.0)
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    return figure
