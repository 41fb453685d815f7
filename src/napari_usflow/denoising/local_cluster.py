"""A dask cluster on this machine, which serves the process that started it alone.

Whoever may talk to a scheduler or a worker may have it run any code, and other users of
the machine can reach a port of the loopback too. So both speak TLS with credentials
that are made for the cluster and kept in memory, and neither answers HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from napari_usflow.errors import UsflowError

__all__ = ["NO_DISTRIBUTED", "local_client"]

NO_DISTRIBUTED = (
    "workers and schedulers need dask.distributed: pip install 'napari-usflow[cluster]'"
)

_MESSAGES = 20


@contextmanager
def local_client(workers: int) -> Iterator[None]:
    """Start a local cluster of ``workers`` processes and close it on exit.

    Raises
    ------
    UsflowError
        When dask.distributed, or cryptography for its TLS, is not installed.
    """
    try:
        import dask.config
        from dask.distributed import Client, LocalCluster
        from distributed.security import Security

        security = Security.temporary()
    except ImportError as error:
        raise UsflowError(NO_DISTRIBUTED) from error
    # One thread each: a frame is one task, and threads of torch would contend.
    # The last messages are kept for whoever debugs dask, a thousand of them; each holds
    # what is to be done to a frame, so that memory would grow with every frame.
    with (
        dask.config.set(
            {
                "distributed.admin.low-level-log-length": _MESSAGES,
                "distributed.scheduler.http.routes": [],
                "distributed.worker.http.routes": [],
            }
        ),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            security=security,
        ) as cluster,
        Client(cluster, security=security) as client,
    ):
        # dask starts a web server for its dashboard even where there is none.
        cluster.scheduler.loop.add_callback(cluster.scheduler.http_server.stop)
        client.register_plugin(_without_web_server())
        yield


def _without_web_server() -> Any:
    """Return a plugin that stops the web server of each worker, now and to come."""
    from dask.distributed import WorkerPlugin

    class WithoutWebServer(WorkerPlugin):
        name = "usflow-without-web-server"

        def setup(self, worker: Any) -> None:
            worker.http_server.stop()

    return WithoutWebServer()
