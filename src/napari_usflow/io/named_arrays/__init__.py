"""Files of arrays with names of one's own: HDF5 and NumPy archives.

Nothing in such a file says what an array is. One that can only be the image is taken
for it; else the user says which array is what, with the names that MATLAB files take
(:class:`~napari_usflow.io.matlab.MatlabNames`). Axes are in the order of the file, as
h5py and NumPy show them: ``fzx`` for an image, ``ftcs`` for channel data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from napari_usflow.errors import FileFormatError
from napari_usflow.io import matlab
from napari_usflow.io.guards.file_checks import SourceFile
from napari_usflow.io.matlab import MatlabNames
from napari_usflow.io.matlab.variable_map import sole_image
from napari_usflow.io.opened import Opened

__all__ = ["Names", "SameFile", "open_arrays"]

T = TypeVar("T")

Names = MatlabNames | Mapping[str, Any]

_AXES = {"image_axes": "fzx", "samples_axes": "ftcs"}
_LISTED = 12


class SameFile(SourceFile):
    """A file that is read by other rules, and opened together with itself.

    Parameters
    ----------
    file : SourceFile
        The file itself.
    """

    def __init__(self, file: SourceFile) -> None:
        super().__init__(file.path)
        self._file = file

    @property
    def _first_look(self) -> tuple[bytes, bool]:
        return self._file._first_look

    def kept_open(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Keep open what is opened of the file in this context."""
        return self._file.kept_open()

    def handle(
        self, opener: Callable[[Path], AbstractContextManager[T]]
    ) -> AbstractContextManager[T]:
        """Return the open file that is shared, or one for a single context."""
        return self._file.handle(opener)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._file,)


def open_arrays(
    file: SourceFile, kind: str, names: Names | None, *, raw: bool
) -> Opened:
    """Open the image or the channel data of a file by its names, or list its arrays.

    Parameters
    ----------
    file : SourceFile
        One that lists its arrays in MATLAB's order, the reverse of its own.
    kind : str
        What the file is, for messages.
    names : MatlabNames or mapping, optional
        Which array is what.
    raw : bool
        Refuse a file of which no channel data are named.

    Raises
    ------
    FileFormatError
        When an array is missing or does not fit, or ``raw`` finds no channel data.
    ValueError
        When the names make no sense.
    """
    given = dict(names.given() if isinstance(names, MatlabNames) else names or {})
    for key, axes in _AXES.items():
        given[key] = str(given.get(key, axes))[::-1]
    listed = matlab.variables(file)
    shapes = {name: list(array.shape[::-1]) for name, array in listed.items()}
    shown = [f"{n} {'x'.join(map(str, s))}" for n, s in list(shapes.items())[:_LISTED]]
    shown += ["..."] * (len(shapes) > _LISTED)
    unknown = (
        f"{file} is {kind}; say with names which array is what (--names image=NAME "
        f"z_axis_m=NAME ...). It has {', '.join(shown) or 'no numbers'}"
    )
    meant = MatlabNames.from_mapping(given)
    if not (meant.image or meant.samples):
        image = sole_image(listed.values())
        if raw or (names and image is None):
            raise FileFormatError(unknown)
        if image is None:
            return Opened(details={"arrays": shapes}, instead=unknown)
        meant = replace(meant, image=image.name)
    opened = matlab.open_file(file, names=meant, raw=raw)
    return replace(opened, details={**opened.details, "arrays": shapes})
