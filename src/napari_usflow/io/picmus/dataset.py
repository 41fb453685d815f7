"""PICMUS datasets: channel data of plane waves, RF or IQ."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.channel_samples import Hdf5Samples, check_record
from napari_usflow.io.guards.file_checks import FilePath
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    open_hdf5,
    read_array,
    read_scalar,
    subgroup,
)
from napari_usflow.io.guards.hdf5_attributes import (
    read_integer_attribute,
    read_text_attribute,
)
from napari_usflow.io.picmus.layout import SIGNAL_FORMATS, kind_group
from napari_usflow.ultrasound.data import ChannelData, PlaneWave

__all__ = ["CENTER_FREQUENCY_HZ", "read_channel_data"]

CENTER_FREQUENCY_HZ = 5.208e6
"""Of the challenge's L11 probe; an RF file does not state it."""


def read_channel_data(path: FilePath) -> ChannelData:
    """Read a dataset; its samples stay in the file until they are indexed.

    The samples are IQ when the imaginary part is not zero, whatever the header says:
    files exist whose ``modulation_frequency`` is wrong. Where the imaginary part is
    zero they are RF, unless ``signal_format`` and ``modulation_frequency`` both say IQ.
    IQ with a modulation frequency of 0 is taken to be at the probe's 5.208 MHz. Every
    such decision is a sentence in ``metadata["notes"]``.

    Returns
    -------
    ChannelData
        Samples (frames, angles, channels, samples), float32 RF or complex64 IQ.

    Raises
    ------
    FileFormatError
        When the file is damaged, of another kind or not plausible.
    """
    with open_hdf5(path) as file:
        group = kind_group(file, "picmus-dataset")
        real = find_dataset(group, "data/real", ndim=(2, 3, 4), max_bytes=None)
        angles = read_array(group, "angles").ravel().astype(np.float64)
        elements = read_array(group, "probe_geometry", ndim=2).T.astype(np.float64)
        # MATLAB drops trailing axes of length 1, which come first here.
        shape = (1,) * (4 - real.ndim) + tuple(map(int, real.shape))
        expected = (angles.size, elements.shape[0])
        if shape[1:3] != expected or elements.shape[1] != 3:
            raise FileFormatError(
                f"{path}: data/real has shape {real.shape}, which does not fit "
                f"{angles.size} angles and probe_geometry {elements.T.shape}; "
                "(angles, channels, samples) and (3, channels) were expected"
            )
        fs, modulation, speed, start = (
            read_scalar(group, name)
            for name in (
                "sampling_frequency",
                "modulation_frequency",
                "sound_speed",
                "initial_time",
            )
        )
        _check_plausible(path, angles, elements, fs, speed, start)
        check_record(path, shape)
        is_iq, demodulation, notes = _signal(group, real, modulation)
        prf = read_scalar(group, "PRF") if has_member(group, "PRF") else 0.0
        metadata = {"title": read_text_attribute(group, "name"), "notes": notes}
        samples = _PicmusSamples(
            path,
            group.name.lstrip("/"),
            (shape[0], shape[1], shape[2], shape[3]),
            is_iq=is_iq,
            stored_ndim=real.ndim,
        )
    return ChannelData(
        samples,
        elements,
        fs,
        demodulation or CENTER_FREQUENCY_HZ,
        demodulation,
        speed,
        np.full(angles.size, start),
        [PlaneWave(float(angle)) for angle in angles],
        frame_interval_s=angles.size / prf if shape[0] > 1 and prf > 0 else None,
        metadata=metadata,
    )


def _signal(
    group: h5py.Group, real: h5py.Dataset, modulation: float
) -> tuple[bool, float, list[str]]:
    """Decide between RF and IQ; give that, the demodulation frequency and notes."""
    says_iq = read_integer_attribute(group, "signal_format") == SIGNAL_FORMATS["IQ"]
    has_imag = False
    if has_member(subgroup(group, "data"), "imag"):
        imag = find_dataset(group, "data/imag", max_bytes=None)
        if imag.shape != real.shape:
            raise FileFormatError(
                f"{group.file.filename}: data/real has shape {real.shape} "
                f"but data/imag {imag.shape}"
            )
        # A few records tell; all of them may be a quarter of a gigabyte.
        count = real.shape[-3] if real.ndim > 2 else 1
        for transmit in (count // 2, 0, count - 1):
            has_imag = has_imag or bool(np.any(_stored_record(imag, 0, transmit)))
    elif says_iq:
        raise FileFormatError(
            f"{group.file.filename}: signal_format IQ, but no data/imag"
        )
    is_iq = has_imag or (says_iq and modulation > 0)
    notes = []
    if is_iq != says_iq:
        notes.append(
            f"signal_format says {'IQ' if says_iq else 'RF'}, but the imaginary part "
            f"is {'not ' if has_imag else ''}zero: read as {'IQ' if is_iq else 'RF'}"
        )
    if is_iq and modulation <= 0:
        modulation = CENTER_FREQUENCY_HZ
        notes.append(
            "modulation_frequency is 0 in an IQ file: "
            f"{CENTER_FREQUENCY_HZ / 1e6:g} MHz of the PICMUS probe is used"
        )
    if not is_iq and modulation > 0:
        notes.append("modulation_frequency of an RF file is ignored")
    return is_iq, modulation if is_iq else 0.0, notes


def _check_plausible(
    path: FilePath,
    angles: npt.NDArray[np.float64],
    elements: npt.NDArray[np.float64],
    fs: float,
    speed: float,
    start: float,
) -> None:
    for name, value, low, high, unit in (
        ("sampling_frequency", fs, 1e4, 1e10, "Hz"),
        ("sound_speed", speed, 100.0, 1e4, "m/s"),
        ("initial_time", start, -1.0, 1.0, "s"),
        ("an angle", float(np.abs(angles).max()), 0.0, np.pi / 2, "rad"),
        ("probe_geometry", float(np.abs(elements).max()), 0.0, 1.0, "m"),
    ):
        if not low <= value <= high:
            raise FileFormatError(
                f"{path}: {name} is {value:g}; {low:g} to {high:g} {unit} was expected"
            )


def _stored_record(found: h5py.Dataset, frame: int, transmit: int) -> npt.NDArray[Any]:
    """Read (channels, samples) of one transmit, whichever leading axes are stored."""
    record: npt.NDArray[Any] = found[(frame, transmit)[4 - found.ndim :]]
    return record


class _PicmusSamples(Hdf5Samples):
    def __init__(
        self,
        path: FilePath,
        group: str,
        shape: tuple[int, int, int, int],
        *,
        is_iq: bool,
        stored_ndim: int,
    ) -> None:
        super().__init__(path, shape, np.complex64 if is_iq else np.float32)
        self._group = group
        self._stored_ndim = stored_ndim

    def _record(self, file: h5py.File, frame: int, transmit: int) -> npt.NDArray[Any]:
        real, *imag = (
            _stored_record(
                find_dataset(
                    file,
                    f"{self._group}/data/{part}",
                    ndim=self._stored_ndim,
                    max_bytes=None,
                ),
                frame,
                transmit,
            )
            for part in (("real", "imag") if self.dtype.kind == "c" else ("real",))
        )
        record = real.astype(self.dtype)
        if imag:
            record.imag = imag[0]
        return record
