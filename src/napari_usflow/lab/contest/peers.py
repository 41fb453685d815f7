"""Peers of other makers: BM3D, EPLL and PatchNR of deepinv, and two from radar.

They come with the ``bench`` extra and are never needed otherwise. BM3D (Dabov et al.,
IEEE TIP 2007; the package's licence allows non-commercial use only) has nothing to
learn. EPLL (Zoran and Weiss, ICCV 2011) and PatchNR (Altekrueger et al., Inverse
Problems 2023) are fitted on the patches that a prior is trained on, once: the fit is
kept beside the results. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.evaluate.criteria import ReferencePsnr
from napari_usflow.interop.deepinv import load_deepinv
from napari_usflow.jobs import CancelToken, Event, Note, Progress
from napari_usflow.lab.contest.contestants import Contestant, Denoised
from napari_usflow.lab.contest.deepinv_peer import DeepinvPeer
from napari_usflow.lab.contest.mri_crops import draw_events, subpatches
from napari_usflow.mri import find_files

__all__ = [
    "FITTED",
    "GAUSSIAN_PEERS",
    "PEERS",
    "Bm3d",
    "available_peers",
    "check_peers",
    "peer_events",
]

Float = npt.NDArray[np.float32]

PEERS: dict[str, tuple[str, ...]] = {
    "bm3d": ("bm3d",),
    "deepinv-bm3d": ("deepinv", "ptwt"),
    "epll": ("deepinv",),
    "patchnr": ("deepinv",),
    "sar2sar": ("deepdespeckling",),
    "mulog": ("mulog",),
}
"""Names of the peers, and the packages that each comes with."""

GAUSSIAN_PEERS = tuple(name for name in PEERS if name not in ("sar2sar", "mulog"))
"""The peers that know white noise; the others know speckle alone."""

FITTED = ("epll", "patchnr")
"""The peers that learn from training data."""

# What deepdespeckling asks for beside torch and NumPy is not used, and brings a Qt that
# disturbs napari's.
_REMEDIES = {
    "deepdespeckling": "pip install --no-deps deepdespeckling",
    "mulog": "pip install mulog",
}
_PATCH_SIZE = 32
_HELD_OUT_EVERY = 10


def available_peers() -> tuple[str, ...]:
    """Names of the peers whose packages are installed."""
    return tuple(name for name in PEERS if not _missing(name))


def _missing(name: str) -> str:
    """Name the package that a peer lacks; empty when it has all."""
    return next((p for p in PEERS[name] if not find_spec(p)), "")


def check_peers(names: Sequence[str], train_data: Path | None) -> None:
    """Refuse peers that cannot take part, before any work is done.

    Raises
    ------
    ValueError
        When a package is missing or does not load, or there is nothing to fit on.
    """
    for name in names:
        if package := _missing(name):
            remedy = _REMEDIES.get(package, "pip install 'napari-usflow[bench]'")
            raise ValueError(
                f"method {name!r} needs the package {package}, which is not installed: "
                f"{remedy}, or leave it out"
            )
        if name in FITTED and train_data is None:
            raise ValueError(
                f"method {name!r} is fitted on training patches; name a folder of MRI "
                "with --train-data"
            )
    if any("deepinv" in PEERS[name] for name in names):
        load_deepinv()


def peer_events(
    name: str,
    *,
    train_data: Path | None,
    folder: Path,
    device: str,
    token: CancelToken,
    patches: int = 6_000,
) -> Generator[Event, None, Contestant]:
    """Make a peer, fitting it first where it needs that.

    Parameters
    ----------
    name : str
        One of :data:`PEERS`.
    train_data : Path, optional
        Folder of MRI; every tenth file serves to choose what is not fitted.
    folder : Path
        Where fits are kept; one that was made from the same files is used again.
    device : str
        See :func:`napari_usflow.device.choose_device`.
    token : CancelToken
        Set it to stop.
    patches : int
        Training patches of 32 x 32 pixels, of each of which 16 smaller ones are cut.

    Yields
    ------
    Event
        Notes, and progress of the fit.
    """
    if name not in FITTED:
        return _unfitted(name, device)
    from napari_usflow.lab.contest.epll import Epll
    from napari_usflow.lab.contest.patchnr import PatchNr

    if train_data is None:
        raise ValueError(f"method {name!r} is fitted on training patches; give some")
    load_deepinv()
    peer_class: type[DeepinvPeer] = Epll if name == Epll.method else PatchNr
    files = find_files([train_data])
    made_from = {
        "peer": name,
        "patches": patches,
        "recipe": peer_class.recipe(),
        "files": [(file.name, file.stat().st_size) for file in files],
    }
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    path = folder / f"{name}-{key[:12]}.safetensors"
    if path.is_file():
        yield Note(f"{name}: the fit in {path} is used")
        return peer_class.load(path, device)
    yield Note(f"{name}: fitting on {train_data} (kept for the next run)")
    judges = files[::_HELD_OUT_EVERY] if len(files) > 1 else files
    fitted = [file for file in files if file not in judges] or files
    drawn = []
    for seed, (some, number) in enumerate(((fitted, patches), (judges, patches // 10))):
        large = yield from draw_events(
            some, number, _PATCH_SIZE, seed=seed, token=token
        )
        drawn.append(subpatches(large, peer_class.patch_size, 16, seed=seed))
    train, held_out = drawn
    yield Note(f"{name}: {len(train)} patches drawn")
    peer = yield from peer_class.fit_events(train, held_out, device, token)
    folder.mkdir(parents=True, exist_ok=True)
    peer.save(path)
    return peer


def _unfitted(name: str, device: str) -> Contestant:
    """Make a peer that learns nothing from our data."""
    from napari_usflow.lab.contest.deepinv_bm3d import DeepinvBm3d
    from napari_usflow.lab.contest.sar_peers import Mulog, Sar2Sar

    if name == Bm3d.method:
        return Bm3d()
    if name == Mulog.method:
        return Mulog()
    return DeepinvBm3d(device) if name == DeepinvBm3d.method else Sar2Sar(device)


class Bm3d(Contestant):
    """BM3D with the profile ``np``.

    Parameters
    ----------
    factors : sequence of float
        What the noise level is multiplied by; of several the one that scores best on
        the crops that it is judged on. White noise needs no other than 1, speckle,
        which is not quite white, may.
    fit_offset : bool
        Whether an offset is to count in that choice, see
        :class:`~napari_usflow.evaluate.criteria.ReferencePsnr`.
    """

    method = "bm3d"

    def __init__(
        self, factors: Sequence[float] = (1.0,), *, fit_offset: bool = False
    ) -> None:
        self._factors, self._fit_offset = factors, fit_offset

    def denoise(
        self, crops: Float, sigma: float, *, clean: Float, token: CancelToken
    ) -> Generator[Event, None, Denoised]:
        """See :meth:`Contestant.denoise`."""
        import bm3d

        made: dict[float, tuple[Float, float]] = {}
        total = len(self._factors) * len(crops)
        for factor in self._factors:
            start, result = time.perf_counter(), np.empty_like(crops)
            for i, crop in enumerate(crops):
                token.raise_if_cancelled()
                result[i] = bm3d.bm3d(crop, factor * sigma)
                yield Progress(len(made) * len(crops) + i + 1, total)
            made[factor] = result, (time.perf_counter() - start) / len(crops)
        truth = ReferencePsnr(clean, fit_offset=self._fit_offset)

        def score(factor: float) -> float:
            return sum(
                truth.score(i, noisy, result, {})
                for i, (noisy, result) in enumerate(
                    zip(crops, made[factor][0], strict=True)
                )
            )

        best = max(made, key=score)
        count = len(self._factors)
        setting = f"{best:g} sigma; best of {count}" if count > 1 else ""
        return Denoised(*made[best], setting)
