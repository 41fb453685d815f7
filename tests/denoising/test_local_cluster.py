"""A cluster on this machine does not grow with the work that it is given."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import psutil
import pytest

from napari_usflow.denoising.local_cluster import local_client
from napari_usflow.errors import UsflowError

distributed = pytest.importorskip("distributed")


def test_messages_of_tasks_that_are_done_are_not_kept() -> None:
    with local_client(1):
        client = distributed.get_client()
        for number in range(60):
            assert client.submit(divmod, number, 7).result() == divmod(number, 7)

        assert len(client.scheduler_comm.recent_message_log) < 60


def _listening() -> list[tuple[str, int]]:
    """Addresses at which this process and those that it started listen."""
    here = psutil.Process()
    name = "net_connections" if psutil.version_info >= (6,) else "connections"
    return [
        connection.laddr[:2]
        for process in (here, *here.children(recursive=True))
        for connection in getattr(process, name)("inet")
        if connection.status == psutil.CONN_LISTEN
    ]


def test_no_process_without_the_credentials_can_talk_to_a_cluster() -> None:
    from distributed.comm import connect
    from distributed.security import Security

    with local_client(2):
        client = distributed.get_client()
        assert client.submit(divmod, 9, 7).result() == (1, 2)
        # Plugins, and what stops the scheduler's server, are done by then.
        time.sleep(0.5)
        addresses = _listening()
        assert len(addresses) >= 3
        for host, port in addresses:
            assert host == "127.0.0.1"
            with pytest.raises(OSError):
                distributed.Client(f"tcp://{host}:{port}", timeout=2)
            theirs = Security.temporary().get_connection_args("client")
            with pytest.raises(OSError):
                asyncio.run(connect(f"tls://{host}:{port}", timeout=2, **theirs))


def test_a_cluster_answers_no_http() -> None:
    with local_client(1):
        client = distributed.get_client()
        assert client.submit(divmod, 9, 7).result() == (1, 2)
        time.sleep(0.5)
        for address in _listening():
            with socket.create_connection(address, timeout=2) as connection:
                connection.settimeout(2)
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                try:
                    answer = connection.recv(64)
                except OSError:
                    answer = b""
            assert not answer.startswith(b"HTTP")


def test_what_a_cluster_needs_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.x509", None)

    with pytest.raises(UsflowError, match=r"napari-usflow\[cluster\]"), local_client(1):
        pass
