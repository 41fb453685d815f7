"""The table and the figures of the test on PICMUS images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.figures import (
    extent_mm,
    new_figure,
    save_figure,
    shown_name,
)
from napari_usflow.evaluate.tables import write_table
from napari_usflow.lab.picmus.scenes import CAROTID_ENVELOPE_MM, grid_of
from napari_usflow.lab.picmus.scores import Carotid, PicmusScore, PicmusTest

__all__ = ["write_picmus"]

Float = npt.NDArray[np.float32]

_FORMATS = {
    "contrast_db": ".2f",
    "gcnr": ".4f",
    "edge_mm": ".3f",
    "speckle_db": ".3f",
    "level_db": "+.3f",
    "fwhm_axial_mm": ".3f",
    "fwhm_lateral_mm": ".3f",
    "peak_db": "+.2f",
    "seconds": ".3g",
}
_BASELINES = ("nlm", "obnlm")
_PEERS = (*_BASELINES, "srad", "tv")
_GREY = {"cmap": "gray", "vmin": -60, "vmax": 0}
_LARGEST_REMOVED_DB = 20
_MIX_BACK = 0.2  # the share of removed speckle that the paper's Fig. 7 adds back
_VESSEL_MM = (-8.5, 4.5, 26.0, 13.0)  # left, right, bottom, top


def write_picmus(test: PicmusTest, folder: Path) -> list[Path]:
    """Write ``picmus.csv`` and pictures: ``picmus_N.png``, and ``carotid.png``.

    N is a number of plane waves. Where there are points, ``picmus_points.csv`` has them
    one by one.

    Each is written beside and renamed, so that a file with a final name is whole. The
    figures show the images, NLM and OBNLM with the blocks that gave them the higher
    contrast, and the methods that were trained; or every method where neither of the
    two takes part.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "picmus.csv"]
    write_table(paths[0], test.scores, _FORMATS)
    if test.points:
        paths.append(folder / "picmus_points.csv")
        write_table(paths[-1], test.points, _FORMATS)
    shown = _shown(test.scores)
    for count in dict.fromkeys(count for _, count in test.images):
        paths.append(folder / f"picmus_{count}.png")
        save_figure(_cysts(test, count, shown), paths[-1])
    if test.carotid is not None:
        paths.append(folder / "carotid.png")
        save_figure(_carotid(test.carotid, shown), paths[-1])
    return paths


def _shown(scores: Sequence[PicmusScore]) -> list[str]:
    """Labels of what the figures show, the input left out."""
    methods = list(dict.fromkeys(s.method for s in scores if s.method != "input"))
    baselines = [name for name in _BASELINES if name in methods]
    if not baselines:
        return list(dict.fromkeys(s.label for s in scores if s.method != "input"))
    labels = []
    for name in baselines:
        contrast: dict[str, list[float]] = {}
        for score in scores:
            if score.method == name:
                contrast.setdefault(score.label, []).append(score.contrast_db)
        labels.append(max(contrast, key=lambda label: float(np.mean(contrast[label]))))
    ours = [s.label for s in scores if s.method not in (*_PEERS, "input")]
    return labels + list(dict.fromkeys(ours))


def _cysts(test: PicmusTest, count: int, shown: Sequence[str]) -> Any:
    """Contrast images in one grey window, and what the last method took away."""
    scenes = [scene for scene, n in test.images if n == count]
    columns = ["input", *shown]
    figure = new_figure(2.7 * (len(columns) + 1) + 0.6, 2.95 * len(scenes) + 0.5)
    axes = figure.subplots(
        len(scenes), len(columns) + 1, squeeze=False, sharex=True, sharey=True
    )
    for row, scene in zip(axes, scenes, strict=True):
        extent = extent_mm(grid_of(test.images[scene, count]))
        frames = test.results[scene, count]
        lines = {
            s.label: s
            for s in test.scores
            if (s.scene, s.plane_waves) == (scene, count)
        }
        for axis, label in zip(row, columns, strict=False):
            grey = axis.imshow(frames[label], extent=extent, **_GREY)
            line = lines[label]
            text = f"{line.contrast_db:.1f} dB, gCNR {line.gcnr:.3f}"
            axis.set_title(f"{_title(label)}\n{text}", fontsize=9)
        removed = row[-1].imshow(
            frames["input"] - frames[columns[-1]],
            extent=extent,
            cmap="RdBu_r",
            vmin=-_LARGEST_REMOVED_DB,
            vmax=_LARGEST_REMOVED_DB,
        )
        row[-1].set_title(f"B-mode minus\n{_title(columns[-1])}", fontsize=9)
        row[0].set_ylabel(f"{scene}\ndepth (mm)", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("lateral (mm)", fontsize=9)
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
    waves = "plane wave" if count == 1 else "plane waves"
    figure.suptitle(f"PICMUS contrast phantoms, {count} {waves}", fontsize=10)
    figure.colorbar(grey, ax=axes[:, -2], label="dB", shrink=0.6, aspect=30)
    figure.colorbar(removed, ax=axes[:, -1], label="dB", shrink=0.6, aspect=30)
    return figure


def _carotid(carotid: Carotid, shown: Sequence[str]) -> Any:
    """Whole images, the vessel in them, and the vessel with speckle mixed back."""
    from matplotlib.patches import Rectangle

    before = np.asarray(carotid.image.data[0])
    frames: Mapping[str, Float] = {"input": before, **carotid.results}
    columns = ["input", *shown]
    extent = extent_mm(grid_of(carotid.image))
    left, right, bottom, top = _VESSEL_MM
    figure = new_figure(2.7 * len(columns) + 0.6, 8.2)
    axes = figure.subplots(3, len(columns), squeeze=False)
    for column, label in zip(axes.T, columns, strict=True):
        mixed = frames[label] + _MIX_BACK * (before - frames[label])
        for axis, frame in zip(
            column, (frames[label], frames[label], mixed), strict=True
        ):
            grey = axis.imshow(frame, extent=extent, **_GREY)
            axis.tick_params(labelsize=8)
        column[0].set_title(_title(label), fontsize=10)
        box = Rectangle((left, top), right - left, bottom - top, fill=False, ec="w")
        column[0].add_patch(box)
        for axis in column[1:]:
            axis.set_xlim(left, right)
            axis.set_ylim(bottom, top)
        column[2].set_xlabel("lateral (mm)", fontsize=9)
        column[2].set_title("" if label == "input" else "mixed back", fontsize=9)
    axes[2, 0].set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("depth (mm)", fontsize=9)
    figure.suptitle(
        "In-vivo carotid, 75 plane waves (PICMUS); envelope: root mean square over "
        f"{CAROTID_ENVELOPE_MM} mm, as the axial step under-samples the carrier.\n"
        f"Bottom row: {_MIX_BACK:.0%} of what was removed added back.",
        fontsize=9,
    )
    for axis in axes[:, 1:].flat:
        axis.tick_params(labelleft=False)
    figure.colorbar(grey, ax=axes[:, -1], label="dB", shrink=0.4, aspect=30)
    return figure


def _title(label: str) -> str:
    return "B-mode" if label == "input" else shown_name(label)
