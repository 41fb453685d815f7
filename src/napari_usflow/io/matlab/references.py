"""Cells and arrays of structs in a MATLAB 7.3 file, which are HDF5 object references.

A reference names a place in the same file, no other. What it leads to is looked up
under its name like any member, so that links are not followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import h5py
import numpy as np

from napari_usflow.errors import FileFormatError
from napari_usflow.io.guards.hdf5 import (
    find_dataset,
    is_group,
    member_names,
    subgroup,
)
from napari_usflow.io.guards.hdf5_attributes import read_text_attribute
from napari_usflow.io.matlab.steps import Step, steps_of

__all__ = ["numbers_within", "place_of", "struct_count"]

_MOST = 4096
_DEEPEST = 8
_MAX_FIELDS = 512


def numbers_within(file: h5py.File, root: str) -> Iterator[tuple[str, str]]:
    """List what a variable holds: names as in MATLAB, and where the numbers are."""
    yield from islice(_walk(file, root, root, _DEEPEST), _MOST)


def place_of(file: h5py.File, name: str) -> str:
    """Return the place of a variable, or of what is within it.

    Raises
    ------
    FileFormatError
        When there is no such thing.
    """
    place, steps = steps_of(name)
    element = 0
    for step in steps:
        if step.kind == "field":
            place = f"{place}/{step.name}"
            if element == 0:
                continue
            # Of an array of structs each field holds a reference for every element.
            step, element = Step("element", index=element), 0
            if step.index == 1 and not _is_array_of_structs(file, place):
                continue
        elif step.kind == "element" and is_group(file, place):
            element = step.index
            continue
        places = _referenced(file, place)
        if not 1 <= step.index <= len(places):
            raise FileFormatError(
                f"{file.filename} has no {name!r}: there are {len(places)} elements"
            )
        place = places[step.index - 1]
    return place


def struct_count(file: h5py.File, root: str) -> int:
    """Return how many elements an array of structs has; 0 when there is none."""
    if not is_group(file, root):
        return 0
    for field in member_names(subgroup(file, root), 1):
        if _is_array_of_structs(file, f"{root}/{field}"):
            return len(_referenced(file, f"{root}/{field}"))
    return 1


def _walk(
    file: h5py.File, name: str, place: str, depth: int
) -> Iterator[tuple[str, str]]:
    if depth == 0:
        return
    if not is_group(file, place):
        if _is_cell(file, place):
            for number, cell in enumerate(_referenced(file, place), 1):
                yield from _walk(file, f"{name}{{{number}}}", cell, depth - 1)
        else:
            yield name, place
        return
    for field in member_names(subgroup(file, place), _MAX_FIELDS):
        inside = f"{place}/{field}"
        if is_group(file, inside) or not _is_array_of_structs(file, inside):
            yield from _walk(file, f"{name}.{field}", inside, depth - 1)
            continue
        for number, element in enumerate(_referenced(file, inside), 1):
            yield from _walk(file, f"{name}({number}).{field}", element, depth - 1)


def _is_cell(file: h5py.File, place: str) -> bool:
    try:
        dataset = find_dataset(file, place, kinds="O", max_bytes=None)
    except FileFormatError:
        return False
    return _holds_references(dataset)


def _is_array_of_structs(file: h5py.File, place: str) -> bool:
    try:
        dataset = find_dataset(file, place, kinds="O", max_bytes=None)
    except FileFormatError:
        return False
    return _holds_references(dataset) and not read_text_attribute(
        dataset, "MATLAB_class"
    )


def _holds_references(found: h5py.Dataset) -> bool:
    return h5py.check_ref_dtype(found.dtype) is h5py.Reference


def _referenced(file: h5py.File, place: str) -> list[str]:
    """Return the places that an array of references leads to, in MATLAB's order."""
    dataset = find_dataset(file, place, kinds="O", max_bytes=8 * _MOST)
    if not _holds_references(dataset) or math.prod(dataset.shape) > _MOST:
        raise FileFormatError(f"{file.filename}, {place} holds no references")
    # The axes stand in reverse, so that the order of the file is MATLAB's.
    references = np.asarray(dataset[()]).ravel()
    places = []
    for reference in references:
        name = h5py.h5r.get_name(reference, file.id) if reference else None
        places.append("" if name is None else name.decode("utf-8", "replace")[1:])
    return places
