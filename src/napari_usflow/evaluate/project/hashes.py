"""Hashes of the files that the images of a project come from, and links to them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_usflow.errors import UsflowError
from napari_usflow.evaluate.project.model import Project
from napari_usflow.io import image_events
from napari_usflow.io.formats import open_file
from napari_usflow.io.project.images import Link, StoredImage, file_sha256
from napari_usflow.jobs import CancelToken, Event, Progress, result_of

__all__ = ["hashed_events"]


def hashed_events(
    project: Project, *, folder: Path | None = None, token: CancelToken | None = None
) -> Generator[Event, None, Project]:
    """Note the SHA-256 of each file that an image comes from, where it is there.

    Parameters
    ----------
    project : Project
    folder : Path, optional
        Images whose files lie in this folder, and whose pixels are those of the file,
        become links.
    token : CancelToken, optional
        Looked at between images.

    Returns
    -------
    Project
    """
    images, known = [], dict[Path, str]()
    for number, image in enumerate(project.images):
        if token is not None:
            token.raise_if_cancelled()
        source = image.provenance.get("source")
        path = Path(source) if isinstance(source, str) else None
        try:
            is_file = path is not None and path.is_file()
        except (OSError, ValueError):
            is_file = False
        if path is not None and is_file:
            digest = known.setdefault(path, "") or file_sha256(path)
            known[path] = digest
            noted = {**image.provenance, "source_sha256": digest}
            image = replace(image, provenance=noted)
            if folder is not None and path.parent.resolve() == folder.resolve():
                image = _linked(image, path, digest)
        images.append(image)
        yield Progress(number + 1, len(project.images))
    return replace(project, images=images)


def _linked(image: StoredImage, path: Path, digest: str) -> StoredImage:
    """Return an image as a link where its pixels are those of the file."""
    if image.data is None:
        return image
    try:
        originals = result_of(image_events(open_file(path)))
    except (UsflowError, ValueError):
        return image
    for number, original in enumerate(originals):
        count = int(original.data.shape[0])
        shape = tuple(original.data.shape[1 if count == 1 else 0 :])
        if shape != tuple(image.data.shape) or original.data.dtype != image.data.dtype:
            continue
        middle = count // 2
        shown = image.data if count == 1 else image.data[middle]
        if np.array_equal(np.asarray(original.data[middle]), np.asarray(shown)):
            return replace(image, link=Link(path.name, digest, number))
    return image
