"""Frames of DICOM files, unpacked without the risk of losing the process.

GDCM ends the process on about one in a hundred damaged frames. What Pillow unpacks as
well (JPEG, JPEG 2000) is left to it; what only GDCM does is done by a process apart,
which is started when it is needed and waits for the next frame.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.io.guards.dicom_pixels import check_frame
from napari_usflow.io.guards.file_checks import FilePath, open_binary

__all__ = ["decoded_frame", "serve"]

_SAFE = "pillow"
_RISKY = "gdcm"
_DIED = "it ends the program that unpacks it; the frame is damaged"


def decoded_frame(path: FilePath, index: int) -> npt.NDArray[Any]:
    """Read one frame; YBR becomes RGB, a palette is not applied.

    Parameters
    ----------
    path : path
        A DICOM file whose header was checked.
    index : int
        Of the frame.

    Raises
    ------
    FileFormatError
        When the frame unpacks to more than the header declares.
    Exception
        Whatever pydicom and its decoders raise.
    """
    from pydicom import dcmread
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    check_frame(path, index)
    with open_binary(path) as file:
        meta = dcmread(file, specific_tags=[], stop_before_pixels=True).file_meta
        syntax = meta.TransferSyntaxUID
        plugins = get_decoder(syntax).available_plugins if syntax.is_compressed else ()
        file.seek(0)
        if _RISKY not in plugins:
            return np.asarray(pixel_array(file, index=index))
        if _SAFE in plugins:
            # GDCM reads some files that Pillow does not.
            with suppress(Exception):
                return np.asarray(pixel_array(file, index=index, decoding_plugin=_SAFE))
    return _apart(Path(path), index)


class _Process:
    """A process that unpacks frames, one after the other."""

    def __init__(self) -> None:
        start = (
            f"import sys; sys.path[:0] = {sys.path!r}; "
            f"from {__name__} import serve; serve()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def frame(self, path: Path, index: int) -> npt.NDArray[Any]:
        """Have a frame unpacked; EOFError when the process ended over it."""
        order = {"path": os.fsencode(path.absolute()).hex(), "index": index}
        taken: Any = self._process.stdin
        given: Any = self._process.stdout
        with suppress(OSError):  # it has ended; then there is no answer either
            taken.write(json.dumps(order).encode() + b"\n")
            taken.flush()
        answer = given.readline()
        if not answer:
            raise EOFError(_DIED)
        header = json.loads(answer)
        if "error" in header:
            raise ValueError(header["error"])
        raw = given.read(header["bytes"])
        return np.frombuffer(raw, header["dtype"]).reshape(header["shape"])

    def end(self) -> None:
        """Close it."""
        self._process.kill()
        self._process.communicate()


_lock = threading.Lock()
# By the number of this process: one that was forked has pipes of its own.
_processes: dict[int, _Process] = {}


def _apart(path: Path, index: int) -> npt.NDArray[Any]:
    with _lock:
        if os.getpid() not in _processes:
            _processes[os.getpid()] = _Process()
        process = _processes[os.getpid()]
        try:
            return process.frame(path, index)
        except ValueError:
            raise
        except BaseException:
            # It died, or an answer is still under way.
            del _processes[os.getpid()]
            process.end()
            raise


def serve() -> None:
    """Unpack frames as they are asked for on standard input, until it is closed."""
    import warnings

    from pydicom.pixels.utils import pixel_array

    warnings.simplefilter("ignore")
    # What decoders print must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        path = os.fsdecode(bytes.fromhex(order["path"]))
        # It is for the other process to say what is wrong.
        try:
            frame = np.ascontiguousarray(
                pixel_array(path, index=order["index"], decoding_plugin=_RISKY)
            )
            raw = frame.tobytes()
            header = {"bytes": len(raw), "dtype": frame.dtype.str, "shape": frame.shape}
        except Exception as error:  # noqa: BLE001
            raw, header = b"", {"error": " ".join(str(error).split())}
        answers.write(json.dumps(header).encode() + b"\n" + raw)
        answers.flush()
