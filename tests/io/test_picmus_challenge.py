"""The download of the PICMUS archive, from a server on the loopback address."""

from __future__ import annotations

import hashlib
import http.server
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_usflow.errors import Cancelled, FileFormatError, UsflowError
from napari_usflow.io.picmus import challenge
from napari_usflow.io.picmus.challenge import ARCHIVE_URL, challenge_files
from napari_usflow.io.picmus.checksums import ORIGINALS
from napari_usflow.jobs import CancelToken, Note, Progress, result_of

pytest.importorskip("pooch")

NAME = "contrast_speckle_expe_scan.hdf5"
PLACE = "archive_to_download/database/experiments/contrast_speckle"
CONTENT = b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 40


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    content = b""
    status = 200
    seconds = 0.0
    requests = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        server = self.server
        server.requests += 1
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()
        parts = 20 if server.seconds else 1
        step = -(-len(server.content) // parts)
        try:
            for start in range(0, len(server.content), max(step, 1)):
                self.wfile.write(server.content[start : start + step])
                time.sleep(server.seconds / parts)
        except OSError:
            pass  # the client has gone, as a test wants it to

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def originals(monkeypatch) -> None:
    """A challenge of one small file."""
    known = {NAME: hashlib.sha256(CONTENT).hexdigest()}
    monkeypatch.setattr(challenge, "ORIGINALS", known)


def _url(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/archive.zip"


def _all(events):
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as stop:
            return seen, stop.value


def test_the_archive_is_downloaded_once_and_unpacked_side_by_side(
    server, originals, tmp_path
) -> None:
    server.content = _zip(
        {f"{PLACE}/{NAME}": CONTENT, f"{PLACE}/das_rf.m": b"function", "a/": b""}
    )

    seen, (path,) = _all(challenge_files(NAME, url=_url(server), folder=tmp_path))
    again, _ = _all(challenge_files(NAME, url=_url(server), folder=tmp_path))

    assert path == tmp_path / NAME
    assert path.read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
    assert server.requests == 1 and again == []
    assert str(tmp_path) in seen[0].text
    assert seen[-1] == Progress(len(CONTENT), len(CONTENT), "unpacking")


def test_a_file_that_is_not_listed_is_kept_with_a_warning(
    server, originals, tmp_path
) -> None:
    server.content = _zip({f"{PLACE}/{NAME}": CONTENT, f"{PLACE}/new.hdf5": CONTENT})

    seen, _ = _all(challenge_files(NAME, url=_url(server), folder=tmp_path))

    notes = [event.text for event in seen if isinstance(event, Note)]
    assert notes[1:] == ["new.hdf5 is not known as a file of the challenge"]
    assert (tmp_path / "new.hdf5").exists()


def test_a_file_that_is_not_the_original_is_kept_with_a_warning(
    server, originals, tmp_path
) -> None:
    other = CONTENT[:-1] + b"?"
    server.content = _zip({f"{PLACE}/{NAME}": other})

    seen, (path,) = _all(challenge_files(NAME, url=_url(server), folder=tmp_path))

    assert path.read_bytes() == other
    (_, note) = (event.text for event in seen if isinstance(event, Note))
    assert note.startswith(f"{NAME} is not the file known from the challenge")
    assert hashlib.sha256(other).hexdigest() in note


@pytest.mark.parametrize(
    "name", ["/etc/x.hdf5", "../x.hdf5", "a/../../x.hdf5", "C:\\x.hdf5", "..\\x.hdf5"]
)
def test_members_that_lead_elsewhere_are_refused(
    server, originals, tmp_path, name
) -> None:
    server.content = _zip({name: CONTENT, f"{PLACE}/{NAME}": CONTENT})

    with pytest.raises(FileFormatError, match="outside its folder"):
        result_of(challenge_files(NAME, url=_url(server), folder=tmp_path / "kept"))

    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def test_links_in_the_archive_are_refused(server, originals, tmp_path) -> None:
    link = zipfile.ZipInfo(f"{PLACE}/{NAME}")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(link, "/etc/passwd")
    server.content = buffer.getvalue()

    with pytest.raises(FileFormatError, match="is a link"):
        result_of(challenge_files(NAME, url=_url(server), folder=tmp_path))


@pytest.mark.parametrize("content", [b"<html>sign in</html>", b"PK\x03\x04", b""])
def test_what_is_no_archive_is_said_to_be_none(
    server, originals, tmp_path, content
) -> None:
    server.content = content

    with pytest.raises(FileFormatError, match="no whole zip archive"):
        result_of(challenge_files(NAME, url=_url(server), folder=tmp_path))

    # The next attempt downloads again.
    server.content = _zip({f"{PLACE}/{NAME}": CONTENT})
    result_of(challenge_files(NAME, url=_url(server), folder=tmp_path))


def test_offline_the_address_and_the_preference_are_named(originals, tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/archive.zip"

    with pytest.raises(UsflowError, match="no connection to the server") as caught:
        result_of(challenge_files(NAME, url=url, folder=tmp_path))

    assert url in str(caught.value) and "preferences" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_archive_gives_the_server_s_answer(
    server, originals, tmp_path
) -> None:
    server.status = 404

    with pytest.raises(UsflowError, match="the server answers 404 Not Found"):
        result_of(challenge_files(NAME, url=_url(server), folder=tmp_path))


@pytest.mark.parametrize(
    ("name", "content"), [(NAME, CONTENT[:-1] + b"?"), ("new.hdf5", CONTENT)]
)
def test_over_http_only_originals_are_taken(
    server, originals, tmp_path, monkeypatch, name: str, content: bytes
) -> None:
    monkeypatch.setattr(challenge, "_is_open", lambda url: True)
    server.content = _zip({f"{PLACE}/{name}": content})

    with pytest.raises(FileFormatError, match="over http only originals are taken"):
        result_of(challenge_files(NAME, url=_url(server), folder=tmp_path))
    assert list(tmp_path.iterdir()) == []

    server.content = _zip({f"{PLACE}/{NAME}": CONTENT})
    assert result_of(challenge_files(NAME, url=_url(server), folder=tmp_path))


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("http://mirror/a.zip", True),
        ("http://127.0.0.1.evil.org/a.zip", True),
        ("https://mirror/a.zip", False),
        ("http://127.0.0.1:8000/a.zip", False),
        ("http://localhost/a.zip", False),
    ],
)
def test_what_comes_over_http_from_another_machine_may_be_changed(url, is_open) -> None:
    assert challenge._is_open(url) is is_open


def test_an_archive_without_the_file_is_said_to_lack_it(
    server, originals, tmp_path
) -> None:
    server.content = _zip({"read_me.txt": b"hello"})

    with pytest.raises(UsflowError, match=f"has no {NAME}"):
        result_of(challenge_files(NAME, url=_url(server), folder=tmp_path))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b.zip", "archive.zip"])
def test_only_web_addresses_are_followed(tmp_path, url) -> None:
    with pytest.raises(UsflowError, match="starts with http or https"):
        result_of(challenge_files(NAME, url=url, folder=tmp_path))


def test_a_download_reports_and_can_be_stopped(server, originals, tmp_path) -> None:
    server.content, server.seconds = bytes(4 * 2**20), 10.0
    token = CancelToken()
    events = challenge_files(NAME, url=_url(server), folder=tmp_path, token=token)
    for event in events:
        if isinstance(event, Progress):
            break
    assert event.total == 4 * 2**20

    token.cancel()
    start = time.perf_counter()
    with pytest.raises(Cancelled):
        list(events)

    assert time.perf_counter() - start < 0.5
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    "name",
    [
        "contrast_speckle_expe_phantom.hdf5",
        "contrast_speckle_expe_scan.hdf5",
        "contrast_speckle_simu_phantom.hdf5",
        "resolution_distorsion_simu_phantom.hdf5",
    ],
)
def test_real_originals_have_the_listed_digests(real_data, name) -> None:
    path = real_data / "ultrasound" / "picmus-phantoms-scan" / name

    assert hashlib.sha256(path.read_bytes()).hexdigest() == ORIGINALS[name]


def test_the_preference_starts_with_the_challenge_s_own_address() -> None:
    from npe2 import PluginManifest

    root = Path(__file__).parents[2]
    manifest = PluginManifest.from_file(root / "src/napari_usflow/napari.yaml")
    files = manifest.contributions.configurations["files"]

    assert files.properties["picmus_url"].default == ARCHIVE_URL
