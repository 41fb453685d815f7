"""A cluster on this machine does not grow with the work that it is given."""

from __future__ import annotations

import pytest

from napari_usflow.denoising.local_cluster import local_client

distributed = pytest.importorskip("distributed")


def test_messages_of_tasks_that_are_done_are_not_kept() -> None:
    with local_client(1):
        client = distributed.get_client()
        for number in range(60):
            assert client.submit(divmod, number, 7).result() == divmod(number, 7)

        assert len(client.scheduler_comm.recent_message_log) < 60
