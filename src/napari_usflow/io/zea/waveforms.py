"""The transmitted waveforms of a zea file: when an echo has its peak.

A record counts from the moment an element fires. The echo of a point is strongest later
by the time to the peak of the two-way waveform, whose samples have 250 MHz.
"""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np
import numpy.typing as npt

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    has_member,
    is_group,
    member_names,
    read_array,
    subgroup,
)
from napari_usflow.io.zea.layout import Container
from napari_usflow.ultrasound.bmode import envelope

__all__ = ["waveform_peaks_s"]

SAMPLING_HZ = 250e6
_MOST_BYTES = 2**26
_LENS = ("lens_thickness", "lens_sound_speed")


def waveform_peaks_s(
    found: Container, n_tx: int, notes: list[str]
) -> npt.NDArray[np.float64]:
    """Return the time to the peak of each transmit's two-way waveform.

    Parameters
    ----------
    found : Container
        Its scan is looked at.
    n_tx : int
        Number of transmits.
    notes : list of str
        Gets what was assumed.

    Returns
    -------
    ndarray, shape (n_tx,)
        Seconds; zeros for a file without waveforms.
    """
    groups = [g for g in (found.scan, found.probe) if g is not None]
    _note_lens(groups, notes)
    scan = found.scan
    peaks = [] if scan is None else [_peak_s(wave) for wave in _waves(scan)]
    if scan is None or not peaks:
        notes.append(
            "the file has no waveforms: echoes are taken to have their peak when the "
            "element fires"
        )
        return np.zeros(n_tx)
    places = np.zeros(n_tx, int)
    if has_member(scan, "tx_waveform_indices"):
        indices = read_array(scan, "tx_waveform_indices", max_bytes=2**20).ravel()
        if indices.size == n_tx:
            places = indices.astype(int)
    elif len(peaks) == n_tx:
        places = np.arange(n_tx)
    if places.min() < 0 or places.max() >= len(peaks):
        raise FileFormatError(
            f"{scan.file.filename}: tx_waveform_indices name waveform "
            f"{int(places.max())}; there are {len(peaks)}"
        )
    times = np.asarray(peaks)[places]
    notes.append(
        "the time to the peak of the two-way waveform, "
        f"{1e6 * float(times.mean()):.3g} us, is part of the start"
    )
    return times


def _waves(scan: h5py.Group) -> Iterator[npt.NDArray[np.float64]]:
    """Read the waveforms: rows of an array, or members of a group."""
    name = "waveforms_two_way"
    if not has_member(scan, name):
        return
    if is_group(scan, name):
        group = subgroup(scan, name)
        for member in sorted(member_names(group, 4096)):
            yield read_array(group, member, max_bytes=_MOST_BYTES).ravel().astype(float)
        return
    stored = find_dataset(scan, name, max_bytes=_MOST_BYTES)
    waves = np.nan_to_num(np.asarray(stored[()], np.float64))  # NaN pads short ones
    yield from waves.reshape(-1, waves.shape[-1])


def _peak_s(wave: npt.NDArray[np.float64]) -> float:
    """Return the time of the peak of the envelope, 0 for silence."""
    amplitude = envelope(wave[:, None])[:, 0]
    return float(np.argmax(amplitude)) / SAMPLING_HZ if amplitude.any() else 0.0


def _note_lens(groups: list[h5py.Group], notes: list[str]) -> None:
    """Note that a lens is not corrected for."""
    names = [name for name in _LENS if any(has_member(group, name) for group in groups)]
    if names:
        notes.append(f"the lens is not corrected for ({', '.join(names)})")
