"""Stacks that grow frame by frame on disk: OME-Zarr with a note of what is finished.

An OME-Zarr group (NGFF 0.5) whose image ``0`` has the axes t, y (depth) and x
(lateral), one chunk a frame, in millimetres and seconds. Beside it the array ``done``
says which frames are whole: it is written after them, so that a run that was killed
can go on, and redoes at most the frame it was at. What NGFF has no place for (what the
numbers are, black and white, the rays of a sector) is in a note of ours.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError, UsflowError
from napari_usflow.io.guards.file_checks import SourceFile, own_file
from napari_usflow.io.guards.hdf5 import MAX_ARRAY_BYTES
from napari_usflow.io.guards.zarr_pieces import check_array, check_pieces
from napari_usflow.io.opened import Opened
from napari_usflow.io.outputs.usflow_metadata import apply_notes, pack_notes
from napari_usflow.ultrasound.bmode import SILENCE_DB
from napari_usflow.ultrasound.data import (
    PixelGrid,
    PolarGrid,
    UltrasoundImage,
)
from napari_usflow.ultrasound.lazy_frames import MAX_FRAMES, lazy_stack

__all__ = ["PATTERNS", "TITLE", "ZarrStack", "detect", "open_file"]

TITLE = "the .zarr stacks written here"
PATTERNS = ("*.zarr",)

_NOTE = "usflow"
_FORMAT = "napari-usflow stack 1"
_LARGEST_NOTE = 16 * 2**20
_NO_ZARR = "writing .zarr needs the zarr package: pip install 'napari-usflow[cluster]'"


class ZarrStack:
    """A stack on disk, to be written frame by frame.

    Parameters
    ----------
    path : Path
        Folder of the group.
    like : UltrasoundImage
        Shape, values and grid of what will be written.
    provenance : mapping
        How it is made; a run that goes on must be made the same way.
    resume : bool
        Go on with what is there.

    Raises
    ------
    UsflowError
        When there is something else at ``path``, zarr is not installed, or there are
        more frames than are read back.
    """

    def __init__(
        self,
        path: Path,
        like: UltrasoundImage,
        provenance: Mapping[str, Any],
        *,
        resume: bool = False,
    ) -> None:
        if find_spec("zarr") is None:
            raise UsflowError(_NO_ZARR)
        made = json.loads(json.dumps(dict(provenance), default=str, sort_keys=True))
        shape = tuple(int(n) for n in like.data.shape)
        if shape[0] > MAX_FRAMES:
            raise UsflowError(
                f"{path}: {shape[0]} frames; at most {MAX_FRAMES} go into one stack"
            )
        self.path, self._is_new = path, not path.exists()
        if not self._is_new:
            group = self._earlier(path, made, shape, resume)
        else:
            try:
                group = self._new(path, like, made, shape)
            except OSError as error:
                raise UsflowError(
                    f"{path} cannot be written: {error.strerror or error}"
                ) from error
        self._frames, self._done = group["0"], group["done"]

    @property
    def missing(self) -> list[int]:
        """Frames that are not finished."""
        return [int(i) for i in np.flatnonzero(np.asarray(self._done[:]) == 0)]

    def remove_if_empty(self) -> None:
        """Remove a stack that was begun here and has no frame: its name is free."""
        if self._is_new and len(self.missing) == self._done.shape[0]:
            shutil.rmtree(self.path, ignore_errors=True)

    def write(self, index: int, frame: npt.NDArray[np.float32]) -> None:
        """Write a frame, and then that it is there.

        Raises
        ------
        UsflowError
            When the disk is full or fails; what was written before stays.
        """
        try:
            self._frames[index] = frame
            self._done[index] = 1
        except OSError as error:
            raise UsflowError(
                f"{self.path}: frame {index} cannot be written: "
                f"{error.strerror or error}; make room, and go on with --resume"
            ) from error

    def _new(
        self,
        path: Path,
        like: UltrasoundImage,
        made: dict[str, Any],
        shape: tuple[int, ...],
    ) -> Any:
        import zarr

        group = zarr.create_group(path)
        group.create_array(
            "0",
            shape=shape,
            chunks=(1, *shape[1:]),
            dtype="float32",
            fill_value=0.0,
            dimension_names=("t", "y", "x"),
        )
        group.create_array(
            "done", shape=shape[:1], chunks=(1,), dtype="uint8", fill_value=0
        )
        # The notes last: a group without them is not ours, and is not gone on with.
        group.attrs.update(
            {
                "ome": {"version": "0.5", "multiscales": [_multiscale(path, like)]},
                _NOTE: {
                    "format": _FORMAT,
                    **json.loads(pack_notes(like, {}, **_known_place(like))),
                    "made_by": made,
                },
            }
        )
        return group

    def _earlier(
        self, path: Path, made: dict[str, Any], shape: tuple[int, ...], resume: bool
    ) -> Any:
        import zarr

        if not _is_ours(path):
            raise UsflowError(f"{path} is something else already; choose another name")
        if not resume:
            raise UsflowError(
                f"{path} holds an earlier run; go on with it (--resume), or give "
                "another name"
            )
        try:
            _check_pieces(path, None)
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise UsflowError(
                f"{path} cannot be gone on with ({error}); choose another name"
            ) from error
        group: Any = zarr.open_group(path, mode="r+", use_consolidated=False)
        # What a killed run was writing; its name is never that of a piece.
        for left in path.rglob("*.partial"):
            left.unlink()
        stored = tuple(group["0"].shape) if "0" in group else ()
        if stored != shape:
            raise UsflowError(
                f"{path} holds a stack of {stored} and this one is {shape}; give "
                "another name"
            )
        before = _attributes(path)[_NOTE].get("made_by", {})
        keys = sorted({*before, *made})
        differ = [key for key in keys if before.get(key) != made.get(key)]
        if differ:
            raise UsflowError(
                f"{path} was made in another way ({', '.join(differ)}); give another "
                "name, or the same options"
            )
        return group


def detect(file: SourceFile) -> str | None:
    """Return whether a folder is a stack that was written here; reads a small file."""
    return "zarr-stack" if file.path.is_dir() and _is_ours(file.path) else None


def _is_ours(path: Path) -> bool:
    try:
        return bool(_attributes(path)[_NOTE]["format"] == _FORMAT)
    except (FileFormatError, LookupError, TypeError):
        return False


def open_file(file: SourceFile) -> Opened:
    """Open a stack; its frames are read when they are looked at.

    Those that are not finished yet are black.

    Raises
    ------
    FileFormatError
        When it is no stack that was written here, or not whole.
    """
    path = file.path
    try:
        import zarr
    except ImportError as error:
        raise FileFormatError(f"{path}: {_NO_ZARR}") from error
    attributes = _attributes(path)
    # A damaged group can fail in any way zarr and numpy know.
    try:
        _check_pieces(path, None)
        group: Any = zarr.open_group(path, mode="r", use_consolidated=False)
        frames, done = group["0"], group["done"]
        shape = tuple(int(n) for n in frames.shape)
        _check(frames, done)
        missing = int(np.count_nonzero(np.asarray(done[:]) == 0))
        note = attributes[_NOTE]
        metadata: dict[str, Any] = {}
        if missing:
            metadata["unfinished_frames"] = missing
        if note.get("pixel_size_known") is False:
            metadata["pixel_size_known"] = False
        if note.get("made_by"):
            metadata["provenance"] = note["made_by"]
        image = UltrasoundImage(
            lazy_stack(partial(_frame, path, shape[1:], _black(note)), shape),
            note["values"],
            _grid(attributes, (shape[1], shape[2])),
            metadata=metadata,
        )
        image = apply_notes(image, note)
    except Exception as error:
        raise FileFormatError(
            f"{path}: not a whole stack ({error}); write it again, or go on with it"
        ) from error
    return Opened([image], details={"unfinished_frames": missing})


def _check(frames: Any, done: Any) -> None:
    """Refuse arrays that are not laid out as they are here."""
    shape = tuple(int(n) for n in frames.shape)
    if len(shape) != 3 or done.shape != shape[:1] or shape[0] > MAX_FRAMES:
        raise ValueError(f"shapes {frames.shape} and {done.shape}")
    if tuple(frames.chunks) != (1, *shape[1:]) or frames.dtype != np.float32:
        raise ValueError(f"pieces {frames.chunks} of type {frames.dtype}")
    if tuple(done.chunks) != (1,) or done.dtype != np.uint8:
        raise ValueError(f"pieces {done.chunks} of type {done.dtype}")
    if 4 * math.prod(shape[1:]) > MAX_ARRAY_BYTES:
        raise ValueError(f"frames of {shape[1]} x {shape[2]} pixels")


def _check_pieces(path: Path, index: int | None) -> None:
    """Refuse links and inflated pieces: those of a frame, or of all that is done."""
    frames, done = path / "0", path / "done"
    note = check_array(done)
    count = min(int(note["shape"][0]), MAX_FRAMES)
    check_pieces(done, note, range(count) if index is None else [index])
    note = check_array(frames)
    if index is not None:
        check_pieces(frames, note, [index])


def _black(note: Mapping[str, Any]) -> float:
    return SILENCE_DB if note["values"] == "db" else 0.0


def _frame(
    path: Path, shape: tuple[int, ...], black: float, index: int
) -> npt.NDArray[np.float32]:
    """Read one frame; the group is opened for it, and closed again."""
    import zarr

    # As in read: any failure is that of a damaged group.
    try:
        _check_pieces(path, index)
        group: Any = zarr.open_group(path, mode="r", use_consolidated=False)
        if not group["done"][index]:
            return np.full(shape, black, np.float32)
        frame = np.asarray(group["0"][index], np.float32)
    except Exception as error:
        raise FileFormatError(f"{path}: frame {index} is damaged ({error})") from error
    if frame.shape != shape or np.isinf(frame).any():
        raise FileFormatError(f"{path}: frame {index} is damaged or was changed")
    return frame


def _known_place(image: UltrasoundImage) -> dict[str, Any]:
    """Return what NGFF cannot say about where the pixels are."""
    place: dict[str, Any] = {}
    if image.metadata.get("pixel_size_known") is False:
        place["pixel_size_known"] = False
    if isinstance(image.grid, PolarGrid):
        place["sector"] = asdict(image.grid)
    return place


def _grid(
    attributes: Mapping[str, Any], shape: tuple[int, int]
) -> PixelGrid | PolarGrid:
    sector = attributes[_NOTE].get("sector")
    if sector is not None:
        pairs = (sector[name] for name in ("radius_mm", "angle_rad", "apex_mm"))
        radius, angle, apex = ((float(a), float(b)) for a, b in pairs)
        return PolarGrid(shape, radius, angle, apex)
    place = attributes["ome"]["multiscales"][0]["datasets"][0]
    scale, shift = place["coordinateTransformations"]
    return PixelGrid(
        shape,
        (float(scale["scale"][1]), float(scale["scale"][2])),
        (float(shift["translation"][1]), float(shift["translation"][2])),
    )


def _multiscale(path: Path, like: UltrasoundImage) -> dict[str, Any]:
    """Describe the axes, as NGFF 0.5 has it."""
    known = not _known_place(like)
    spacing = like.spacing_mm if known else (1.0, 1.0)
    origin = like.origin_mm if known else (0.0, 0.0)
    unit = {"unit": "millimeter"} if known else {}
    scale = [like.frame_interval_s or 1.0, *spacing]
    return {
        "name": str(like.metadata.get("name", path.stem)),
        "axes": [
            {"name": "t", "type": "time", "unit": "second"},
            {"name": "y", "type": "space", **unit},
            {"name": "x", "type": "space", **unit},
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": scale},
                    {"type": "translation", "translation": [0.0, *origin]},
                ],
            }
        ],
    }


def _attributes(path: Path) -> dict[str, Any]:
    """Read the attributes of a group; FileFormatError when it has none."""
    try:
        file = own_file(path / "zarr.json", path)
        if file.stat().st_size > _LARGEST_NOTE:
            raise ValueError("its zarr.json is too large")
        return dict(json.loads(file.read_text(encoding="utf-8"))["attributes"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise FileFormatError(
            f"{path} is not a stack written by usflow ({error})"
        ) from error
