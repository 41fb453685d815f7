"""Raw exports of Clarius scanners: a ``.raw`` file and the ``.yml`` file beside it.

The ``.raw`` file has a header of five uint32 (kind, frames, lines, samples a line,
bytes a sample), then for each frame a uint64 time in nanoseconds and its lines, one
after the other. Three kinds are read: the B-mode picture before scan conversion (8-bit
grey, values ``display``), IQ (pairs of int16) and beamformed RF (int16), both as the
decibels of their envelope, 0 dB being the maximum of the first frame. The lines of a
Doppler ensemble are frames of their own; they show flow, and are not for denoising.

Lines are placed by the element they are received at, (element - 95.5) pitch. Steered
lines, which run to x + r sin a, z = r cos a, are laid on upright pixels by linear
interpolation. A ``.yml`` file without the probe's pitch is taken to come from an L7
(192 elements, 0.2 mm). Depth is counted from the sample at which B-mode exports begin,
as in the pictures of the scanner's own application: sample n lies at
(n + delay - 16) c / (2 fs), c = 1540 m/s.

Reference: the format is described in https://github.com/clariusdev/raw.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.file_checks import (
    SourceFile,
    open_binary,
    own_file,
    regular_file,
    starting_bytes,
)
from napari_usflow.io.opened import Opened
from napari_usflow.ultrasound.bmode import envelope, log_compress
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage, pixel_count
from napari_usflow.ultrasound.lazy_frames import check_frame_count, lazy_stack

__all__ = ["PATTERNS", "TITLE", "detect", "open_file"]

TITLE = "Clarius exports"
PATTERNS = ("*.raw", "*.yml", "*.raw.lzo")

_HEADER = struct.Struct("<5I")
_TIME_BYTES = 8
_YML_START = b"# raw data parameters"
_YML_BYTES = 2**24
_LZO = b"\x89LZO\0"
_SOUND_SPEED_M_S = 1540.0
_ELEMENTS = 192
_L7_PITCH_MM = 0.2
_FIRST_SAMPLE = 16
_DOPPLER = (
    "its lines are Doppler ensembles, from which the echoes of tissue may have been "
    "filtered; denoise the B-mode export (_env.raw) of the same recording"
)
_BYTES = {"display": 1, "rf": 2, "iq": 4}
# Bounded, so that the time to search a text grows with its length and no faster.
_LINE = re.compile(
    r"rx element:\s{0,9}([-+.\deE]{1,40})[^}\n]{0,400}?"
    r"angle:\s{0,9}([-+.\deE]{1,40})",
    re.IGNORECASE,
)


def detect(file: SourceFile) -> str | None:
    """Return ``clarius`` for either file of a pair, by what is in it, else None."""
    path = regular_file(file)
    if file.start.startswith(_YML_START):
        return "clarius" if path.with_suffix(".raw").is_file() else None
    if file.start.startswith(_LZO) and path.name.endswith(".raw.lzo"):
        return "clarius"
    if _layout(file) is not None:
        return "clarius"
    # Samples that were cut short are recognised by their parameters.
    yml = path.with_suffix(".yml")
    is_pair = path.suffix == ".raw" and yml.is_file()
    if is_pair and starting_bytes(yml).startswith(_YML_START):
        return "clarius"
    return None


def open_file(file: SourceFile) -> Opened:
    """Open an export; lazy, one chunk a frame, where it holds more than one frame.

    Parameters
    ----------
    file : SourceFile
        The ``.raw`` file, or the ``.yml`` file of the same name.

    Raises
    ------
    FileFormatError
        When a file of the pair is missing or damaged, they do not fit each other, or
        the lines are those of a curved array.
    """
    path = regular_file(file)
    if path.name.endswith(".lzo"):
        raise FileFormatError(
            f"{path} is compressed with LZO; unpack it first (lzop -d {path.name})"
        )
    raw = file if path.suffix == ".raw" else SourceFile(path.with_suffix(".raw"))
    if raw is not file:
        own_file(raw.path, raw.path.parent)
    with raw.kept_open():
        export = _Export.open(raw)
        data: Any = export.frame(0)[None]
    if export.frames > 1:
        data = lazy_stack(export.frame, (export.frames, *export.grid.shape))
    metadata: dict[str, Any] = {
        "source": str(raw),
        "signal": export.signal,
        "notes": export.notes,
    }
    if export.ensemble > 1:
        metadata["not_for_denoising"] = _DOPPLER
    image = UltrasoundImage(
        data,
        "display" if export.signal == "display" else "db",
        export.grid,
        frame_interval_s=export.frame_interval_s,
        metadata=metadata,
    )
    return Opened([image], details={"signal": export.signal})


def _layout(file: SourceFile) -> tuple[int, int, int, int] | None:
    """Return (frames, lines, samples, bytes a sample) if the file has that length."""
    start = file.start[: _HEADER.size]
    if len(start) < _HEADER.size:
        return None
    _, frames, lines, samples, size = _HEADER.unpack(start)
    expected = _HEADER.size + frames * (_TIME_BYTES + lines * samples * size)
    plausible = min(frames, lines, samples) > 0 and size in _BYTES.values()
    if not plausible or expected != file.path.stat().st_size:
        return None
    return frames, lines, samples, size


@dataclass(frozen=True)
class _Export:
    """A pair of files, and how its records become frames."""

    file: SourceFile
    signal: Literal["display", "rf", "iq"]
    stored: tuple[int, int, int]  # frames, lines, samples
    ensemble: int
    x_mm: npt.NDArray[np.float64]
    r_mm: npt.NDArray[np.float64]
    angle_rad: float
    grid: PixelGrid
    frame_interval_s: float | None
    reference: float
    notes: list[str]

    @property
    def frames(self) -> int:
        """Number of images: frames of the file times lines of an ensemble."""
        return self.stored[0] * self.ensemble

    def frame(self, index: int) -> npt.NDArray[np.float32]:
        """Return an image on the grid, grey or decibels."""
        records = self._records(index)
        if self.signal == "display":
            return self._upright(records.astype(np.float32))
        amplitude = self._upright(_amplitude(records))
        return log_compress(amplitude, self.reference)

    def _records(self, index: int) -> npt.NDArray[Any]:
        """Read the lines of one image, shape (samples, lines)."""
        frame, shot = divmod(index, self.ensemble)
        return _read_frame(self.file, self.signal, self.stored, frame)[
            :, shot :: self.ensemble
        ]

    def _upright(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Lay steered lines on upright pixels; nothing is known beside them."""
        if self.angle_rad == 0:
            return image
        z_mm, x_mm = self.grid.axes_mm()
        along = np.tan(self.angle_rad) * z_mm
        rows = [
            np.interp(x_mm - shift, self.x_mm, row, left=0.0, right=0.0)
            for shift, row in zip(along, image, strict=True)
        ]
        return np.asarray(rows, np.float32)

    @classmethod
    def open(cls, raw: SourceFile) -> _Export:
        """Read the parameters and check that they fit the data."""
        yml = raw.path.with_suffix(".yml")
        layout = _layout(raw)
        if layout is None:
            raise FileFormatError(
                f"{raw} is no Clarius export, or cut short: its header does not fit "
                f"its {raw.path.stat().st_size} bytes"
            )
        if not yml.is_file():
            raise FileFormatError(
                f"{raw} needs {yml.name} beside it, which says how it was sampled"
            )
        own_file(yml, yml.parent)
        frames, lines, samples, size = layout
        check_frame_count(raw.path, frames)
        text = _yml_text(yml)
        signal = next(name for name, count in _BYTES.items() if count == size)
        elements, angle_deg = _lines(yml, text, lines)
        ensemble = _ensemble(raw, elements)
        elements = elements[::ensemble]
        pitch_mm, notes = _pitch(yml, text)
        rate_hz = 1e6 * _quantity(yml, text, "sampling rate", "MHz")
        step_mm = 1e3 * _SOUND_SPEED_M_S / (2 * rate_hz)
        delay = _quantity(yml, text, "delay samples", "", default=_FIRST_SAMPLE)
        r_mm = np.asarray((delay - _FIRST_SAMPLE + np.arange(samples)) * step_mm, float)
        x_mm = np.asarray((elements - (_ELEMENTS - 1) / 2) * pitch_mm, float)
        angle_rad = math.radians(angle_deg)
        notes.append(f"sound speed {_SOUND_SPEED_M_S:g} m/s is assumed")
        if ensemble > 1:
            notes.append(f"{ensemble} firings of each line are frames of their own")
        stored = (frames, lines, samples)
        export = cls(
            raw,
            signal,  # type: ignore[arg-type]
            stored,
            ensemble,
            x_mm,
            r_mm,
            angle_rad,
            _grid(x_mm, r_mm, angle_rad),
            _interval_s(raw, stored, size) if ensemble == 1 else None,
            1.0,
            notes,
        )
        if signal == "display":
            return export
        peak = float(export._upright(_amplitude(export._records(0))).max())
        return cls(**{**vars(export), "reference": peak or 1.0})


def _read_frame(
    path: SourceFile, signal: str, stored: tuple[int, int, int], frame: int
) -> npt.NDArray[Any]:
    """Read one frame of the file, shape (samples, lines)."""
    _, lines, samples = stored
    size = lines * samples * _BYTES[signal]
    with open_binary(path) as file:
        file.seek(_HEADER.size + frame * (_TIME_BYTES + size) + _TIME_BYTES)
        raw = file.read(size)
    if len(raw) != size:
        raise FileFormatError(f"{path} has changed since it was opened")
    numbers = np.frombuffer(raw, "u1" if signal == "display" else "<i2")
    if signal == "iq":
        pairs = numbers.reshape(lines, samples, 2).astype(np.float32)
        return (pairs[..., 0] + 1j * pairs[..., 1]).T
    return numbers.reshape(lines, samples).T


def _amplitude(records: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return envelope(records if np.iscomplexobj(records) else records.astype(np.float32))


def _interval_s(
    path: SourceFile, stored: tuple[int, int, int], sample_bytes: int
) -> float | None:
    """Return the mean time between frames, by the first and the last stamp."""
    frames, lines, samples = stored
    if frames < 2:
        return None
    step = _TIME_BYTES + lines * samples * sample_bytes
    stamps = []
    with open_binary(path) as file:
        for frame in (0, frames - 1):
            file.seek(_HEADER.size + frame * step)
            stamps.append(int.from_bytes(file.read(_TIME_BYTES), "little"))
    elapsed_s = 1e-9 * (stamps[1] - stamps[0])
    return elapsed_s / (frames - 1) if elapsed_s > 0 else None


def _grid(
    x_mm: npt.NDArray[np.float64], r_mm: npt.NDArray[np.float64], angle_rad: float
) -> PixelGrid:
    z_mm = r_mm * math.cos(angle_rad)
    dz, dx = z_mm[1] - z_mm[0], x_mm[1] - x_mm[0]
    shifts = math.tan(angle_rad) * z_mm[[0, -1]]
    left, right = x_mm[0] + shifts.min(), x_mm[-1] + shifts.max()
    columns = pixel_count(float(right - left), float(dx))
    return PixelGrid(
        (z_mm.size, columns), (float(dz), float(dx)), (float(z_mm[0]), float(left))
    )


def _yml_text(path: Path) -> str:
    if path.stat().st_size > _YML_BYTES:
        raise FileFormatError(f"{path} is too long for the parameters of an export")
    return path.read_text("utf-8", "replace")


def _quantity(
    path: Path, text: str, name: str, unit: str, *, default: float | None = None
) -> float:
    """Read ``name: number unit`` that is positive."""
    match = re.search(
        rf"^[ \t]*{name}:[ \t]*([-+.\deE]{{1,40}})[ \t]*{unit}", text, re.MULTILINE
    )
    try:
        value = float(match[1]) if match else default
    except ValueError:
        value = None
    if value is None or not 0 < value < 1e9:
        raise FileFormatError(f"{path} does not state {name!r} in {unit or 'numbers'}")
    return value


def _lines(path: Path, text: str, count: int) -> tuple[npt.NDArray[np.float64], float]:
    """Return the element each line is received at, and the angle of all of them."""
    try:
        lines = np.array([[float(n) for n in pair] for pair in _LINE.findall(text)])
    except ValueError as error:
        raise FileFormatError(f"{path} has a line that is no number") from error
    if lines.shape != (count, 2) or not np.isfinite(lines).all():
        raise FileFormatError(f"{path} lists {len(lines)} lines; the data have {count}")
    elements, angles = lines.T
    if np.ptp(angles) > 0.01 or abs(angles[0]) > 60:
        raise FileFormatError(
            f"{path}: its lines run at {angles.min():g} to {angles.max():g} degrees; "
            "parallel lines (of a linear array) are read"
        )
    return elements, float(angles[0])


def _ensemble(path: SourceFile, elements: npt.NDArray[np.float64]) -> int:
    """Count how often each line is fired before the next."""
    moves = np.flatnonzero(np.diff(elements)) + 1
    count = int(moves[0]) if moves.size else elements.size
    steps = np.diff(elements[::count])
    even = steps.size > 0 and steps[0] > 0 and np.ptp(steps) < 0.01 * steps[0]
    if not even or elements.size % count or moves.size != elements.size // count - 1:
        raise FileFormatError(
            f"{path} has lines at the elements {elements[:3].tolist()} ... "
            f"{elements[-1]:g}; evenly spaced lines, each fired equally often, are read"
        )
    return count


def _pitch(path: Path, text: str) -> tuple[float, list[str]]:
    """Return the element pitch in mm: newer exports state that of the probe."""
    if re.search(r"\bradius:\s{0,9}0{0,9}[1-9]", text):
        raise FileFormatError(f"{path} is of a curved array; linear arrays are read")
    match = re.search(r"\bpitch:\s{0,9}([.\d]{1,20})\s{0,9}(um|µm|mm)?", text)
    if match is not None:
        try:
            value = float(match[1])
        except ValueError as error:
            raise FileFormatError(f"{path} has a pitch that is no number") from error
        pitch_mm = value if match[2] == "mm" else value / 1e3
        if 0.01 < pitch_mm < 2:
            return pitch_mm, []
    note = (
        f"the file does not state the pitch of the elements: {_L7_PITCH_MM:g} mm (L7) "
        "is assumed; set the layer's scale for another probe"
    )
    return _L7_PITCH_MM, [note]
