"""Saving projects and writing reports, in a thread that the window waits for."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_usflow._napari.jobs.modal_wait import wait_for
from napari_usflow._napari.project.capture import project_of
from napari_usflow.evaluate.project.hashes import hashed_events
from napari_usflow.evaluate.project.store import write_project_events
from napari_usflow.evaluate.report.content import report_of
from napari_usflow.jobs import CancelToken, Event

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_usflow._napari.measure.bench import Bench

__all__ = ["free_path", "reports_folder", "save_project", "write_report"]


def save_project(viewer: ViewerModel, path: Path, *, link: bool = False) -> None:
    """Save what a viewer shows.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    path : Path
        Ends in ``.usflow``.
    link : bool
        Leave images in their own files where these lie beside the project.

    Raises
    ------
    Cancelled
        When the user stopped it; an earlier project is whole then.
    """
    project, token = project_of(viewer), CancelToken()

    def events() -> Generator[Event, None, None]:
        hashed = yield from hashed_events(
            project, folder=path.parent if link else None, token=token
        )
        yield from write_project_events(path, hashed, token=token)

    wait_for(events(), f"Saving {path.name}", token=token)


def write_report(
    viewer: ViewerModel, path: Path, *, title: str = "", bench: Bench | None = None
) -> None:
    """Write a report on what a viewer shows, as HTML or, by the ending, PDF.

    Raises
    ------
    FileFormatError
        When there is no image to report on.
    Cancelled
        When the user stopped it.
    """
    project, token = project_of(viewer, bench), CancelToken()
    # matplotlib draws in the window's thread; only hashing may take long.
    events = hashed_events(replace(project, saved=""), token=token)
    hashed = wait_for(events, f"Report {path.name}", token=token)
    report = report_of(hashed, title=title)
    if path.suffix.lower() == ".pdf":
        from napari_usflow.evaluate.report.pdf import write_pdf

        write_pdf(path, report)
    else:
        from napari_usflow.evaluate.report.html import write_html

        write_html(path, report)


def reports_folder() -> Path:
    """Return the folder of reports among the user's documents, made if it is not there.

    Raises
    ------
    OSError
        When it cannot be made.
    """
    from platformdirs import user_documents_path

    folder = user_documents_path() / "napari-usflow reports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def free_path(folder: Path, name: str, suffix: str) -> Path:
    """Return a path that nothing is at yet."""
    letters = "".join(c if c.isalnum() or c in " -_." else "_" for c in name).strip()
    stem = letters[:60].strip(" .") or "report"
    path, number = folder / f"{stem}{suffix}", 2
    while path.exists():
        path, number = folder / f"{stem} {number}{suffix}", number + 1
    return path
