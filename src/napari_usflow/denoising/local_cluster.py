"""A dask cluster on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_usflow.errors import UsflowError

__all__ = ["NO_DISTRIBUTED", "local_client"]

NO_DISTRIBUTED = (
    "workers and schedulers need dask.distributed: pip install 'napari-usflow[cluster]'"
)

_MESSAGES = 20


@contextmanager
def local_client(workers: int) -> Iterator[None]:
    """Be the client of so many new processes; they end with the context.

    Raises
    ------
    UsflowError
        When dask.distributed is not installed.
    """
    try:
        import dask.config
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise UsflowError(NO_DISTRIBUTED) from error
    # One thread each: a frame is one task, and threads of torch would contend.
    # The last messages are kept for whoever debugs dask, a thousand of them; each holds
    # what is to be done to a frame, so that memory would grow with every frame.
    with (
        dask.config.set({"distributed.admin.low-level-log-length": _MESSAGES}),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster),
    ):
        yield
