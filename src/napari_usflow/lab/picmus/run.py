"""Methods on the images of the PICMUS challenge, at the same smoothing.

Cysts say what a method does to contrast and to edges, points what it does to
resolution, homogeneous regions what it does to the level and how much speckle it
leaves. A baseline whose strength can be chosen is given the one at which it leaves as
much speckle in the homogeneous regions as the reference does (by default the flow), so
that no contrast is bought with smoothing alone.

Scores are those of the challenge (Liebgott et al., IEEE IUS 2016), on input and
results alike: contrast, gCNR and edges after clipping to 60 dB, which is the range that
methods work on; points, levels and spreads unclipped.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from napari_usflow.denoising.algorithms import method_class, methods
from napari_usflow.denoising.algorithms.block_filter import BlockFilter
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Event, Note, share_of
from napari_usflow.lab.contest.contestants import prior_names
from napari_usflow.lab.picmus.peer_scores import Peer, peer_lines, read_peers
from napari_usflow.lab.picmus.scene_run import Bench, Way
from napari_usflow.lab.picmus.scenes import (
    Scene,
    find_carotid,
    find_scenes,
    plane_wave_frame,
    read_carotid,
)
from napari_usflow.lab.picmus.scores import PicmusTest
from napari_usflow.prior.store import DEFAULT_PRIOR
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = ["picmus_events"]


def picmus_events(
    folder: Path,
    *,
    phantoms: Path | None = None,
    methods: Sequence[str] | None = None,
    blocks: Sequence[int | None] = (None, 1),
    priors: Sequence[str | os.PathLike[str]] = (DEFAULT_PRIOR,),
    plane_waves: Sequence[int] = (75, 1),
    reference: str | None = None,
    sigma_db: float | None = SPECKLE_DB,
    peers: Path | None = None,
    device: str = "auto",
    token: CancelToken | None = None,
) -> Generator[Event, None, PicmusTest]:
    """Score methods on the challenge's images.

    Parameters
    ----------
    folder, phantoms : Path
        See :func:`~napari_usflow.lab.picmus.scenes.find_scenes`.
    methods : sequence of str, optional
        Names of registered methods; all but ``flow-map``, which takes long, by
        default.
    blocks : sequence of int or None
        Sides of the blocks whose means a classical filter works on; it takes part once
        with each. None leaves them to the grain of the speckle, 1 is the image's own
        pixel, where such filters are commonly used.
    priors : sequence of str or path
        A method that uses a prior takes part once with each.
    plane_waves : sequence of int
        Which images to take.
    reference : str, optional
        The method whose smoothing the baselines are given; by default the first that
        uses a prior. Without one they have their default strength.
    sigma_db : float, optional
        Noise level that the methods are told, estimated from each image when None.
    peers : Path, optional
        Folder of other people's result images, which are scored too; see
        :mod:`~napari_usflow.lab.picmus.peer_files`.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken, optional
        Set it to stop.

    Yields
    ------
    Event
        Notes, progress, and :class:`~napari_usflow.evaluate.tables.Scored` for every
        line of the table.

    Raises
    ------
    ValueError
        When a method is unknown, or a folder does not hold what is needed.
    """
    token = token or CancelToken()
    names = _default_methods() if methods is None else tuple(dict.fromkeys(methods))
    ways = _ways(names, blocks, priors)
    for way in ways:
        # A prior that cannot be used is told before any work is done.
        way.denoiser(device).provenance()
    first = _reference(ways, reference)
    scenes = find_scenes(folder, phantoms)
    cells = list(itertools.product(dict.fromkeys(plane_waves), scenes))
    for count, scene in cells:
        plane_wave_frame(scene.cysts.image, count)
    theirs: list[Peer] = []
    if peers is not None:
        theirs, left_out = read_peers(peers, scenes, plane_waves)
        for text in left_out:
            yield Note(f"not scored: {text}")
    bench = Bench(ways, first, sigma_db, device, token)
    scores, points, images, results = [], [], {}, {}
    for number, (count, scene) in enumerate(cells):
        view = _at(scene, count)
        run = bench.cell_events(view, count)
        label = f"{scene.name}, {count} plane waves"
        cell = yield from share_of(run, number, len(cells), label)
        scores += cell.scores
        points += cell.points
        for line, places in peer_lines(theirs, view, count):
            scores.append(line)
            points += places
            yield Scored(line)
        images[scene.name, count] = view.cysts.image
        results[scene.name, count] = cell.frames
    path, carotid = find_carotid(folder), None
    if path is not None:
        yield Note(f"{path.name}: the envelope is a local root mean square")
        carotid = yield from bench.carotid_events(read_carotid(path))
    return PicmusTest(scores, points, images, results, carotid)


def _default_methods() -> tuple[str, ...]:
    return tuple(name for name in methods() if name != "flow-map")


def _ways(
    names: Sequence[str],
    blocks: Sequence[int | None],
    priors: Sequence[str | os.PathLike[str]],
) -> list[Way]:
    ways: list[Way] = []
    for name in names:
        if method_class(name).uses_prior:
            known = zip(priors, prior_names(priors), strict=True)
            ways += [Way(name, None, prior, prior_name) for prior, prior_name in known]
        elif issubclass(method_class(name), BlockFilter):
            ways += [Way(name, block) for block in dict.fromkeys(blocks)]
        else:
            ways.append(Way(name))
    if not ways:
        raise ValueError("name at least one method")
    return ways


def _reference(ways: Sequence[Way], method: str | None) -> Way | None:
    """The way whose smoothing is the measure; None when there is none."""
    if method is None:
        return next((w for w in ways if method_class(w.method).uses_prior), None)
    for way in ways:
        if way.method == method:
            return way
    raise ValueError(
        f"the reference {method!r} does not take part; choose one of "
        f"{', '.join(dict.fromkeys(way.method for way in ways))}"
    )


def _at(scene: Scene, plane_waves: int) -> Scene:
    """Return a scene with the images of so many plane waves only."""
    cysts, points = (
        target and replace(target, image=plane_wave_frame(target.image, plane_waves))
        for target in (scene.cysts, scene.points)
    )
    assert cysts is not None
    return replace(scene, cysts=cysts, points=points)
