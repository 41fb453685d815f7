"""Interface between the training engine and a kind of model."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

from napari_usflow.jobs import CancelToken
from napari_usflow.parameter_changes import changed
from napari_usflow.parameters import check_parameters
from napari_usflow.training.events import Estimated
from napari_usflow.training.run_config import RunConfig, kind_of_run, read_run_config

if TYPE_CHECKING:
    from torch import Tensor

    from napari_usflow.training.run_folder import RunFolder
    from napari_usflow.training.trainer import Trainer

__all__ = ["Beginning", "Recipe", "RunOptions"]

ConfigT = TypeVar("ConfigT", bound=RunConfig)


class RunOptions(TypedDict, total=False):
    """Options of every training run; defaults are those of :func:`~.engine.train`."""

    changes: Sequence[str]
    resume: bool | str | os.PathLike[str]
    start: str | os.PathLike[str] | None
    validation: str | os.PathLike[str] | None
    minutes: float | None
    device: str
    processes: int
    nodes: int
    token: CancelToken | None


@dataclass(frozen=True)
class Beginning(Generic[ConfigT]):
    """Weights to begin with.

    Attributes
    ----------
    weights : dict
    card : dict
        Of the file that they are from.
    config : RunConfig
        The run's, with the architecture of these weights.
    """

    weights: Mapping[str, Tensor]
    card: dict[str, Any]
    config: ConfigT

    def note(self, start: str | os.PathLike[str]) -> str:
        """Return a note where the pixel of the training data differs, else "".

        Parameters
        ----------
        start : str or path
            The name that the user gave.
        """
        theirs = self.card.get("pixel_mm")
        ours = self.config.patches.pixel_mm
        if theirs is None or math.isclose(theirs, ours, rel_tol=0.01):
            return ""
        return (
            f"{start} was trained at a pixel of {theirs:g} mm, this run is at "
            f"{ours:g} mm: what it knows of sizes has to be learned anew"
        )


def _nothing_to_check(config: RunConfig) -> None:
    """Fit every configuration."""


@dataclass(frozen=True)
class Recipe(Generic[ConfigT]):
    """A kind of model that :func:`~.engine.train` can train.

    Attributes
    ----------
    result : str
        Name of the file that comes out of it.
    configs : mapping
        Named configurations.
    default : str
        Name of the one that is meant when none is given.
    remedy : str
        What to change when a step does not fit in memory.
    begin_with : callable
        Given the name of a model or its file and the configuration, reads the weights
        that a new run begins with.
    estimate : callable
        Given configuration and device, ``step`` and ``processes``, finds what the steps
        from that one on will take.
    trainer : callable
        Given what :class:`~.trainer.Trainer` takes, makes the state of the run.
    save : callable
        Given what is trained, a path and the card, writes the file.
    check : callable
        Raises ValueError when the fields of a configuration do not fit together.
    """

    result: str
    configs: Mapping[str, ConfigT]
    default: str
    remedy: str
    begin_with: Callable[[str | os.PathLike[str], ConfigT], Beginning[ConfigT]]
    estimate: Callable[..., Estimated]
    trainer: Callable[..., Trainer[ConfigT, Any]]
    save: Callable[[Any, Path, dict[str, Any]], None]
    check: Callable[[ConfigT], None] = _nothing_to_check

    def configuration(
        self,
        config: ConfigT | str | None,
        earlier: RunFolder | None,
        changes: Sequence[str] = (),
    ) -> ConfigT:
        """Find the configuration: given, by name, or that of the run that goes on.

        Parameters
        ----------
        config : RunConfig or str, optional
        earlier : RunFolder, optional
            Of the run that goes on.
        changes : sequence of str
            See :func:`napari_usflow.parameter_changes.changed`.
        """
        usual = self.configs[self.default]
        kind = None if earlier is None else kind_of_run(earlier.config)
        if earlier is not None and kind not in (None, usual.kind):
            raise ValueError(
                f"{earlier.path} is a {kind} training run, but a {usual.kind} was "
                "requested; choose another folder"
            )
        if earlier is not None and earlier.config.is_file() and config is None:
            config = read_run_config(earlier.config, type(usual)())
        if config is None or isinstance(config, str):
            name = config or self.default
            if name not in self.configs:
                raise ValueError(
                    f"there is no configuration {name!r}; choose one of "
                    f"{', '.join(self.configs)}"
                )
            config = self.configs[name]
        if not isinstance(config, type(usual)):
            raise ValueError(
                f"config is a {type(config).__name__}; pass a {type(usual).__name__} "
                f"or one of {', '.join(self.configs)}"
            )
        config = changed(config, changes)
        for part in (config, config.architecture, config.patches):
            check_parameters(part)
        return config
