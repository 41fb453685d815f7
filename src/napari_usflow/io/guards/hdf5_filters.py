"""Which compressed HDF5 datasets can be unpacked here."""

from __future__ import annotations

import h5py

__all__ = ["missing_filter"]


def missing_filter(dataset: h5py.Dataset) -> str | None:
    """Name a filter of a dataset that is not installed, None when all of them are.

    Filters beyond HDF5's own (zea writes Blosc) come with the package ``hdf5plugin``,
    which is imported only when a file needs one.
    """
    layout = dataset.id.get_create_plist()
    for number in range(layout.get_nfilters()):
        code, _, _, name = layout.get_filter(number)
        if h5py.h5z.filter_avail(code) or _is_plugin(code):
            continue
        label: str = name.split(b"\0")[0].decode("ascii", "replace").strip()
        return label or str(code)
    return None


def _is_plugin(code: int) -> bool:
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))
