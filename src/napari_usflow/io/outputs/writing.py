"""Writing images: each file whole or not at all, whatever its kind."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import UsflowError, size_text
from napari_usflow.files import write_beside
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.outputs import OUTPUTS, Options, output_of
from napari_usflow.jobs import CancelToken, Event, Progress, result_of
from napari_usflow.ultrasound.bmode import log_compress
from napari_usflow.ultrasound.data import UltrasoundImage
from napari_usflow.ultrasound.lazy_frames import lazy_stack
from napari_usflow.ultrasound.scan_convert import as_picture

__all__ = [
    "OUTPUT_SUFFIXES",
    "check_folder",
    "check_image",
    "check_output",
    "check_place",
    "check_result",
    "in_decibels",
    "in_decibels_events",
    "room_for",
    "write",
    "write_events",
]

OUTPUT_SUFFIXES = tuple(
    suffix for output in OUTPUTS.values() for suffix in output.SUFFIXES
)
"""Endings of the names that can be written.

``.tif``: float32, for ImageJ, with the pixel size. ``.ome.tif``: float32 with units,
frame time and provenance. ``.hdf5``: envelope, a PICMUS image. ``.zea.hdf5``: zea.
``.png`` and ``.mp4``: 8-bit, as shown. ``.npy``: float32 values.
"""

_MOST_IN_MEMORY = 256 * 2**20

# These keep an envelope as it is; the others hold decibels.
_KEEP_ENVELOPE = ("ome", "picmus", "zea")


def check_output(path: Path, source: Path | None = None) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises
    ------
    ValueError
        When its ending is unknown, its folder is missing, or it is the input.
    """
    if output_of(path) is None:
        raise ValueError(
            f"{path}: cannot write {path.suffix or 'a name without an ending'}; "
            f"choose one of {', '.join(OUTPUT_SUFFIXES)}"
        )
    check_place(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; choose a file name")
    both_exist = source is not None and source.exists() and path.exists()
    if source is not None and both_exist and path.samefile(source):
        raise ValueError(f"{path} is the input; choose another name for the result")


def check_place(path: Path) -> None:
    """Refuse a place where nothing can be written, by trying to.

    Raises
    ------
    ValueError
        When the folder is missing or may not be written to, or the name is too long.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    try:
        with tempfile.TemporaryFile(dir=path.parent), suppress(FileNotFoundError):
            path.lstat()  # fails for a name that is too long
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from error


def check_folder(path: Path) -> None:
    """Make a folder for results; refuse one that nothing can be written to.

    Raises
    ------
    ValueError
        When it is a file, cannot be made, or may not be written to.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; choose a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{path} cannot be made: {error.strerror}") from error
    check_place(path / "results")


def check_image(path: Path, image: UltrasoundImage) -> None:
    """Refuse an image that the kind of file has no place for, before any work.

    Raises
    ------
    ValueError
        Saying why, and what to write instead.
    """
    check_output(path)
    output = output_of(path)
    if output is not None:
        output.check(path, image)


def check_result(path: Path, image: UltrasoundImage) -> None:
    """Refuse an output that cannot hold what an image becomes, before the first frame.

    Parameters
    ----------
    path : Path
        Where the result will be written.
    image : UltrasoundImage
        Of the shape, the grid and the kind of values of the result, which are not
        whole numbers; its data are not looked at.

    Raises
    ------
    ValueError
        As :func:`check_image`.
    """
    shape = tuple(int(size) for size in image.data.shape)
    frame = np.broadcast_to(np.float32(0), shape[1:])
    outline = image.with_data(lazy_stack(lambda index: frame, shape))
    if output_of(path) is not OUTPUTS["zea"]:
        outline = as_picture(outline)
    elif image.values == "display":
        raise ValueError(
            f"{path}: zea keeps display grey in whole numbers of 8 bits, and a result "
            "has others; write .ome.tif"
        )
    check_image(path, outline)


def write(
    path: FilePath,
    image: UltrasoundImage,
    *,
    dynamic_range_db: float = 60.0,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write an image in the kind of file that the ending of its name says.

    TIFF and NumPy hold float32: decibels for ``db`` and ``envelope``
    (:func:`in_decibels`), grey as it is for ``display``. OME-TIFF, PICMUS and zea keep
    an envelope. PNG and MP4 hold what a screen shows: black and white are the image's
    ``metadata["value_range"]``, else ``-dynamic_range_db`` and 0 dB, or 0 and 255 for
    ``display``. A sector is scan-converted; only zea has a place for its lines.

    Parameters
    ----------
    path : str or path
        Created or replaced only once it is complete; see :data:`OUTPUT_SUFFIXES`.
    image : UltrasoundImage
        Its frames are read one by one.
    dynamic_range_db : float
        For PNG and MP4.
    provenance : mapping, optional
        What was done to the image; TIFF, OME-TIFF, PICMUS and zea keep it.

    Raises
    ------
    TypeError
        When ``image`` is an array, which says nothing of its values and pixels.
    ValueError
        When the ending is unknown, or the format has no place for the image.
    UsflowError
        When it cannot be written, on a full disk for example; nothing is left behind.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_usflow as usf
    >>> grid = usf.PixelGrid((16, 8), (0.1, 0.2), (5.0, 0.0))
    >>> image = usf.UltrasoundImage(np.zeros((1, 16, 8)), "db", grid)
    >>> usf.write("image.tif", image)
    >>> usf.read("image.tif")[0].spacing_mm
    (0.1, 0.2)
    """
    if not isinstance(image, UltrasoundImage):
        raise TypeError(
            f"image is {type(image).__name__}; write takes an UltrasoundImage, which "
            "says what its values and pixels are: UltrasoundImage(array, 'db', grid)"
        )
    options = Options(dynamic_range_db, provenance=provenance or {})
    result_of(write_events(Path(path), image, options))


def write_events(
    path: Path, image: UltrasoundImage, options: Options
) -> Generator[Event, None, None]:
    """Do what :func:`write` does, reporting each frame and heeding a token."""
    output = output_of(path)
    if output is not OUTPUTS["zea"]:
        image = as_picture(image)
    check_image(path, image)
    if output is None:  # check_image has refused it
        return
    if output not in [OUTPUTS[name] for name in _KEEP_ENVELOPE]:
        image = yield from in_decibels_events(image, options.token)
    try:
        with write_beside(path) as beside:
            yield from output.write(beside, image, options)
            _sync(beside)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        if "requested and" in reason:  # numpy's words for a full disk
            reason = os.strerror(errno.ENOSPC)
        raise UsflowError(
            f"{path} cannot be written: {reason}; nothing was left behind"
        ) from error


def in_decibels(image: UltrasoundImage) -> UltrasoundImage:
    """Log-compress an envelope; other images are given back as they are.

    0 dB is the maximum of the whole stack, so that frames over time keep their
    relative brightness; of each frame where the frames are different compoundings,
    whose sums are not comparable. A stack that is read lazily stays so.
    """
    return result_of(in_decibels_events(image, CancelToken()))


def in_decibels_events(
    image: UltrasoundImage, token: CancelToken
) -> Generator[Event, None, UltrasoundImage]:
    """Do what :func:`in_decibels` does, reporting the search for the maximum."""
    if image.values != "envelope":
        return image
    source, frames = image.data, int(image.data.shape[0])
    reference: float | None = None
    if image.frame_axis == "t":
        peak = 0.0
        for index in range(frames):
            token.raise_if_cancelled()
            peak = max(peak, float(np.asarray(source[index]).max()))
            yield Progress(index + 1, frames, "looking for the maximum")
        reference = peak or None

    def compressed(index: int) -> Any:
        return log_compress(np.asarray(source[index], np.float32), reference)

    if isinstance(source, np.ndarray):
        stack: Any = np.stack([compressed(index) for index in range(frames)])
    else:
        stack = lazy_stack(compressed, tuple(source.shape))
    return image.with_data(stack, values="db")


def room_for(shape: tuple[int, ...], folder: Path) -> npt.NDArray[np.float32]:
    """Return an array for results that are written once they are whole.

    Parameters
    ----------
    shape : tuple of int
        (frames, axial, lateral).
    folder : Path
        Where the output will be. What is larger than 256 MiB is kept in a nameless
        file there until then, and not in memory.

    Returns
    -------
    ndarray, float32

    Raises
    ------
    UsflowError
        When the disk is too full.
    """
    size = 4 * math.prod(shape)
    if size <= _MOST_IN_MEMORY:
        return np.empty(shape, np.float32)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UsflowError(
            f"{folder} has {size_text(free)} left and the result takes "
            f"{size_text(size)}; make room, or write .zarr, frame by frame"
        )
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # A promise of room that is then not kept would end the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, np.float32, "w+", shape=shape)
    except OSError as error:
        raise UsflowError(
            f"{folder} cannot hold a result of {size_text(size)}: {error.strerror}"
        ) from error


def _sync(path: Path) -> None:
    """Have a file on the disk, where it fits or not, before it replaces another."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
