"""The files of the PICMUS challenge, downloaded from its own site when asked for.

The archive holds the raw data of two phantoms, simulated and measured, with their pixel
grids and targets. Each file in it is held against the SHA-256 digests of the originals.
Other contents are kept, with a warning: the challenge may publish a new version, and
the readers trust no file in any case. Over plain http, where anybody on the way may put
others in their place, only the originals are taken.
"""

from __future__ import annotations

import hashlib
import stat
import threading
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from napari_usflow.errors import Cancelled, FileFormatError, UsflowError
from napari_usflow.files import write_beside
from napari_usflow.io.guards.file_checks import FilePath, starts_like
from napari_usflow.io.picmus.checksums import ORIGINALS
from napari_usflow.jobs import CancelToken, Event, Note, Progress

__all__ = ["ARCHIVE_URL", "challenge_files", "challenge_folder"]

ARCHIVE_URL = (
    "https://www.creatis.insa-lyon.fr/Challenge/IEEE_IUS_2016/sites/"
    "www.creatis.insa-lyon.fr.Challenge.IEEE_IUS_2016/files/archive_to_download.zip"
)
"""Where the challenge offers its archive (564 MB)."""

_MAX_ARCHIVE_BYTES = 8 * 2**30
_CHUNK = 2**20
_POLL_S = 0.05
_SILENCE_S = 30


def challenge_folder() -> Path:
    """Where the files are kept: ``picmus`` in the user's cache of napari-usflow."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("napari-usflow", appauthor=False)) / "picmus"


def challenge_files(
    *wanted: str,
    url: str = ARCHIVE_URL,
    folder: FilePath | None = None,
    token: CancelToken | None = None,
) -> Generator[Event, None, list[Path]]:
    """Return files of the challenge, downloading its archive if they are not there.

    Parameters
    ----------
    wanted : str
        Their names, such as ``contrast_speckle_expe_dataset_iq.hdf5``.
    url : str
        Address of the archive, http or https.
    folder : path, optional
        Where to keep the files; :func:`challenge_folder` when omitted.
    token : CancelToken, optional
        Looked at many times a second; what was downloaded so far is thrown away.

    Yields
    ------
    Event
        Progress of the download and of the unpacking, and notes: first of all that a
        download begins, then files that are not known as originals.

    Raises
    ------
    UsflowError
        When there is no connection, no space, or no such file in the archive.
    FileFormatError
        When what was downloaded is no whole zip archive, or wants to write elsewhere.
    """
    folder = challenge_folder() if folder is None else Path(folder)
    token = token or CancelToken()
    paths = [folder / name for name in wanted]
    if not all(path.is_file() for path in paths):
        yield Note(f"downloading the PICMUS archive, once; it is kept in {folder}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            archive = yield from _download(url, folder, token)
            yield from _unpack(archive, folder, token, only_originals=_is_open(url))
        except OSError as error:
            raise UsflowError(
                f"the PICMUS files cannot be kept in {folder} ({error}); free some "
                "space there or make it writable"
            ) from error
        archive.unlink(missing_ok=True)
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise UsflowError(f"the archive at {url} has no {', '.join(missing)}")
    return paths


class _Meter:
    """Progress hook for pooch, in place of its bar on the terminal."""

    def __init__(self, token: CancelToken) -> None:
        self.total, self.done = 0, 0
        self._token = token

    def update(self, count: int) -> None:
        self._token.raise_if_cancelled()
        self.done += count

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def _download(
    url: str, folder: Path, token: CancelToken
) -> Generator[Event, None, Path]:
    """Download in a thread of its own, which a stalled connection may hold up."""
    import pooch
    import requests

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsflowError(
            f"{url!r} is no address of a PICMUS archive; it starts with http or https"
        )
    meter = _Meter(token)
    outcome: dict[str, Any] = {}
    pooch.get_logger().setLevel("WARNING")

    def work() -> None:
        try:
            outcome["path"] = pooch.retrieve(
                url,
                known_hash=None,
                fname="picmus-archive.zip",
                path=folder,
                downloader=pooch.HTTPDownloader(
                    progressbar=meter, chunk_size=_CHUNK, timeout=_SILENCE_S
                ),
            )
        # Whatever it is, it must come out where the caller waits.
        except BaseException as error:  # noqa: BLE001
            outcome["error"] = error

    thread = threading.Thread(target=work, name="usflow-download", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_S)
        token.raise_if_cancelled()
        if meter.total:
            yield Progress(min(meter.done, meter.total), meter.total, "downloading")
    error = outcome.get("error")
    if isinstance(error, requests.RequestException):
        raise UsflowError(
            f"the PICMUS archive cannot be downloaded from {url} ({_reason(error)}); "
            "check the connection, or the address in the preferences"
        ) from error
    if error is not None:
        raise error
    return Path(outcome["path"])


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}".strip()
    name = type(error).__name__
    if "Timeout" in name:
        return f"no answer within {_SILENCE_S} s"
    if name == "ConnectionError":
        return "no connection to the server"
    return " ".join(str(error).split())[:200] or name


def _unpack(
    archive: Path, folder: Path, token: CancelToken, *, only_originals: bool
) -> Generator[Event, None, None]:
    """Unpack the HDF5 files of the archive side by side, checking each."""
    try:
        with zipfile.ZipFile(archive) as file:
            members = list(_members(file))
            total = sum(member.file_size for member in members)
            done = 0
            for member in members:
                name = PurePosixPath(member.filename).name
                digest = hashlib.sha256()
                with (
                    file.open(member) as source,
                    write_beside(folder / name) as beside,
                    beside.open("wb") as target,
                ):
                    while block := source.read(_CHUNK):
                        token.raise_if_cancelled()
                        target.write(block)
                        digest.update(block)
                        done += len(block)
                        yield Progress(done, total, "unpacking")
                    for note in _compare(name, digest.hexdigest()):
                        if only_originals:
                            raise FileFormatError(
                                f"{note.text}; over http only originals are taken: "
                                "give an address that starts with https"
                            )
                        yield note
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        start = starts_like(_start_of(archive))
        archive.unlink(missing_ok=True)
        raise FileFormatError(
            f"what was downloaded is no whole zip archive ({error}; {start})"
        ) from error
    except (FileFormatError, Cancelled):
        # A damaged archive would be found again, and asked for no more.
        archive.unlink(missing_ok=True)
        raise


def _is_open(url: str) -> bool:
    """Return whether an address is not protected against changes on the way."""
    parts = urlsplit(url)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "http" and not here


def _compare(name: str, digest: str) -> Iterator[Note]:
    """Say that a file is not one of the originals."""
    if name not in ORIGINALS:
        yield Note(f"{name} is not known as a file of the challenge")
    elif digest != ORIGINALS[name]:
        yield Note(
            f"{name} is not the file known from the challenge (SHA-256 {digest}): "
            "another version, or another's"
        )


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _members(file: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """List the HDF5 files of an archive that stays in its folder."""
    total = 0
    for member in file.infolist():
        parts = PurePosixPath(member.filename), PureWindowsPath(member.filename)
        if any(p.is_absolute() or p.anchor or ".." in p.parts for p in parts):
            raise FileFormatError(
                f"the archive wants to write {member.filename!r}, outside its folder"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise FileFormatError(f"{member.filename!r} in the archive is a link")
        total += member.file_size
        if total > _MAX_ARCHIVE_BYTES:
            raise FileFormatError("the archive declares more than 8 GiB")
        is_extra = member.filename.startswith("__MACOSX")
        if member.filename.lower().endswith((".hdf5", ".h5")) and not is_extra:
            yield member
