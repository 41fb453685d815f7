"""Training and validation data of a run: files split and turned into slices."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import CancelToken, Event, Note
from napari_usflow.mri import MriStack, find_files, open_stack
from napari_usflow.mri.patch_config import PatchConfig
from napari_usflow.mri.patches import PatchSampler
from napari_usflow.mri.slice_store import SliceStore
from napari_usflow.mri.slices import prepare_slices
from napari_usflow.training.run_config import RunConfig

__all__ = ["Source", "Split", "TrainingData", "prepare_data", "split_data"]

Float = npt.NDArray[np.float32]
Source = str | os.PathLike[str] | MriStack


@dataclass(frozen=True)
class Split:
    """Volumes to train on, volumes that are held out, and what to say of it."""

    training: list[Path | MriStack]
    held_out: list[Path | MriStack]
    note: str = ""


@dataclass(frozen=True)
class TrainingData:
    """The slices of a run, prepared."""

    training: SliceStore
    held_out: SliceStore

    @property
    def own_noise(self) -> dict[str, float]:
        """Volumes that are trained on, and how much noise each has of its own."""
        noise: dict[str, float] = {}
        for entry in self.training.sets:
            # A volume's set at the prior's pixel comes before its native one.
            noise.setdefault(entry.name, entry.own_noise)
        return noise

    def sampler(self, config: RunConfig) -> PatchSampler:
        """Return what draws the training patches."""
        return PatchSampler(self.training, config.patches)

    def judges(self, config: RunConfig) -> Float:
        """Draw the held-out patches (N, 1, S, S), the same ones in every run."""
        sampler = PatchSampler(self.held_out, _plain(config))
        return sampler.draw(config.validation_patches, np.random.default_rng(1))


def split_data(
    data: Source | Sequence[Source],
    validation: str | os.PathLike[str] | None,
    config: RunConfig,
) -> Split:
    """Find the volumes to train on, and those that are held out.

    Parameters
    ----------
    data, validation
        As :func:`~napari_usflow.training.flow.train.train_prior` takes them.
    config : RunConfig

    Raises
    ------
    FileFormatError
        When there are no MRI files.
    ValueError
        When nothing is left to train on.
    """
    given = [data] if isinstance(data, str | os.PathLike | MriStack) else list(data)
    stacks: list[Path | MriStack] = [s for s in given if isinstance(s, MriStack)]
    paths = [Path(s) for s in given if not isinstance(s, MriStack)]
    if paths or not stacks:
        stacks += find_files(paths)
    if validation is not None:
        held_out = find_files([Path(validation)])
        held_out_paths = {path.resolve() for path in held_out}
        rest = [
            s
            for s in stacks
            if isinstance(s, MriStack) or s.resolve() not in held_out_paths
        ]
        if not rest:
            raise ValueError(
                f"{validation} holds all files of the data, so that none is left to "
                "train on; hold out other ones"
            )
        both = len(stacks) - len(rest)
        note = f"{both} of the files are held out and not trained on" if both else ""
        return Split(rest, list(held_out), note)
    return _every_tenth(stacks, config.patches)


def _every_tenth(stacks: list[Path | MriStack], patches: PatchConfig) -> Split:
    """Hold out every tenth subject, of those that are trained on."""
    subjects: dict[str, list[Path | MriStack]] = {}
    others = []
    for source in stacks:
        with open_stack(source) as stack:
            if patches.takes(stack.name, stack.anatomy):
                subjects.setdefault(stack.subject, []).append(source)
            else:
                others.append(f"{stack.name} ({stack.anatomy or 'not stated'})")
    usable = [source for group in subjects.values() for source in group]
    if not usable:
        raise ValueError(
            f"none of the {len(stacks)} volumes shows {patches.only!r} (patches.only), "
            "by what its file says or by its name; there are "
            f"{', '.join(others[:8])}. Name a body part that is there, or none"
        )
    if len(usable) == 1:
        return Split(
            usable,
            usable,
            "only one volume can be used, to train on and to judge by: the held-out "
            "figures will be too good; name volumes of other subjects to hold out",
        )
    groups = list(subjects.values())
    if len(groups) == 1:
        held_out = usable[::10]
        note = (
            f"all {len(usable)} volumes are of one subject, and {len(held_out)} of "
            "them held out: the held-out figures will be too good; name volumes of "
            "other subjects to hold out"
        )
    else:
        held_out = [source for group in groups[::10] for source in group]
        note = (
            f"every tenth subject is held out: {len(held_out)} of {len(usable)} "
            "volumes. A volume counts as a subject of its own where its file names "
            "none; name volumes of other subjects to hold out where that is wrong"
        )
    training = [s for s in usable if not any(s is h for h in held_out)]
    return Split(training, held_out, note)


def prepare_data(
    split: Split, config: RunConfig, folder: Path, token: CancelToken
) -> Generator[Event, None, TrainingData]:
    """Prepare the slices of both, or find what an earlier call has prepared.

    Parameters
    ----------
    split : Split
    config : RunConfig
    folder : Path
        Gets the folders ``training`` and ``held_out``.
    token : CancelToken

    Yields
    ------
    Event
        As :func:`~napari_usflow.mri.slices.prepare_slices` does, which also says
        what it raises.
    """
    if split.note:
        yield Note(split.note)
    size = config.drawn_size
    training = yield from prepare_slices(
        split.training, config.patches, size, folder / "training", token=token
    )
    held_out = yield from prepare_slices(
        split.held_out, _plain(config), size, folder / "held_out", token=token
    )
    return TrainingData(training, held_out)


def _plain(config: RunConfig) -> PatchConfig:
    """Patches to judge by: as they are, and of any anatomy, to see it generalise."""
    return replace(
        config.patches,
        uniform_fraction=0.0,
        contrast_fraction=0.0,
        own_noise="keep",
        only="",
    )
