"""Scores of other people's result images, in the same table as ours.

Of such an image only ratios are known. Its 0 dB is therefore its brightest pixel, as it
is of the input, which peaks of points are compared by; and before it is clipped to the
60 dB that methods work on, an image of cysts is brought to the level that the input
has in the homogeneous regions. How far a level was moved is not scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.phantom_scores import picmus_speckle_level
from napari_usflow.lab.picmus.peer_files import PeerEntry, read_entries, read_entry
from napari_usflow.lab.picmus.points import point_lines
from napari_usflow.lab.picmus.scenes import TARGETS, Scene, Target, grid_of
from napari_usflow.lab.picmus.scores import PUBLISHED, PicmusPoint, PicmusScore
from napari_usflow.lab.picmus.scoring import Result, score_line
from napari_usflow.ultrasound.data import PixelGrid

__all__ = ["Peer", "peer_lines", "read_peers"]


@dataclass(frozen=True)
class Peer:
    """A result image of other people.

    Attributes
    ----------
    entry : PeerEntry
    frame : ndarray, shape (Z, X), dB
        0 is its brightest pixel.
    grid : PixelGrid
    """

    entry: PeerEntry
    frame: npt.NDArray[Any]
    grid: PixelGrid


def read_peers(
    folder: Path, scenes: Sequence[Scene], plane_waves: Sequence[int]
) -> tuple[list[Peer], list[str]]:
    """Read the images of a folder that belong to scenes.

    Returns
    -------
    peers : list of Peer
    left_out : list of str
        What was not read, and why.

    Raises
    ------
    FileFormatError
        When an image is not what the folder's list says of it.
    """
    peers, left_out = [], []
    by_name = {scene.name: scene for scene in scenes}
    for entry in read_entries(folder):
        scene, part = TARGETS[entry.shows]
        target = getattr(by_name.get(scene), part, None)
        if target is None:
            left_out.append(f"{entry.path}: there is no image of {entry.shows}")
        elif entry.plane_waves not in plane_waves:
            left_out.append(f"{entry.path}: {entry.plane_waves} plane waves")
        else:
            peers.append(Peer(entry, *read_entry(entry, grid_of(target.image))))
    return peers, left_out


def peer_lines(
    peers: Sequence[Peer], scene: Scene, plane_waves: int
) -> Iterator[tuple[PicmusScore, list[PicmusPoint]]]:
    """Score the images of a scene; give a line of the table and its points each.

    Parameters
    ----------
    peers : sequence of Peer
        Those of other scenes are left out.
    scene : Scene
        With the images of ``plane_waves`` only.
    plane_waves : int
    """
    groups: dict[str, dict[str, Peer]] = {}
    for peer in peers:
        name, part = TARGETS[peer.entry.shows]
        if (name, peer.entry.plane_waves) == (scene.name, plane_waves):
            groups.setdefault(peer.entry.method, {})[part] = peer
    for method, parts in groups.items():
        cysts, points = Result(None), Result(None)
        if "cysts" in parts:
            cysts = _at_level(parts["cysts"], scene.cysts)
        if "points" in parts:
            points = Result(parts["points"].frame, grid=parts["points"].grid)
        line = score_line(
            scene,
            plane_waves,
            cysts,
            points,
            method=method,
            prior=PUBLISHED,
            setting=", ".join(peer.entry.path.name for peer in parts.values()),
        )
        line = replace(line, level_db=float("nan"), seconds=float("nan"))
        places = []
        if "points" in parts and scene.points is not None:
            places = point_lines(line, scene.points, points.frame, points.grid)
        yield line, places


def _at_level(peer: Peer, target: Target) -> Result:
    """Bring an image of cysts to the input's level in the homogeneous regions."""
    image, phantom = target.image, target.phantom
    wanted, _ = picmus_speckle_level(image.data[0], grid_of(image), phantom)
    level, _ = picmus_speckle_level(peer.frame, peer.grid, phantom)
    return Result(np.asarray(peer.frame + (wanted - level)), grid=peer.grid)
