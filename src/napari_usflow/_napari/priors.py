"""The user's own priors: which there are, which was chosen last, and who wants to know.

They are remembered in the plugin's preferences, where napari keeps those.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_usflow._napari.settings import own_priors, remember_own_priors
from napari_usflow.io.writing import write_beside

__all__ = ["OwnPriors", "own_priors_registry", "prior_label"]

_MOST = 10
_KEPT = "kept"


class OwnPriors(QObject):
    """The priors a user trained and took into use, the newest first."""

    chosen = Signal(str)
    """A prior is to be used from now on, by its path."""

    def __init__(self) -> None:
        super().__init__()
        self._paths = [path for path in own_priors() if Path(path).is_file()]
        self._current = ""

    def paths(self) -> list[str]:
        """Give those that still exist."""
        return [path for path in self._paths if Path(path).is_file()]

    def current(self) -> str:
        """Give the one chosen since napari was started; empty when none was."""
        return self._current if Path(self._current).is_file() else ""

    def choose(self, prior: str | os.PathLike[str]) -> None:
        """Take a prior file into use, in every widget that offers priors."""
        path = str(Path(prior).absolute())
        self._paths = [path, *(p for p in self._paths if p != path)][:_MOST]
        self._current = path
        remember_own_priors(self._paths)
        self.chosen.emit(path)

    def keep(self, prior: Path) -> Path:
        """Take the prior of a checkpoint into use, as a copy beside the checkpoints.

        A run drops its older checkpoints as it goes on; what the user denoises with
        has to stay.

        Parameters
        ----------
        prior : Path
            ``RUN/checkpoints/step-0001234.safetensors``.

        Returns
        -------
        Path
            ``RUN/kept/RUN-step-1234.safetensors``: results name it in their metadata.
        """
        run = prior.parent.parent
        step = int(prior.stem.removeprefix("step-"))
        kept = run / _KEPT / f"{run.name}-step-{step}.safetensors"
        kept.parent.mkdir(exist_ok=True)
        with write_beside(kept) as beside:
            shutil.copyfile(prior, beside)
        self.choose(kept)
        return kept


@cache
def own_priors_registry() -> OwnPriors:
    """Give the one registry of this process."""
    return OwnPriors()


def prior_label(name_or_path: str) -> str:
    """Name a prior so that those of different runs can be told apart."""
    path = Path(name_or_path)
    if path.parent.name == _KEPT:
        return path.stem
    return path.parent.name if path.name == "prior.safetensors" else path.name
