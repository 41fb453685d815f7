"""Jobs that overlap leave torch with as many threads as they found."""

from __future__ import annotations

import threading

import pytest
import torch

from napari_usflow._napari.jobs import worker
from napari_usflow._napari.jobs.worker import one_core_left_to_the_window


@pytest.fixture(autouse=True)
def four_threads(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(worker.os, "cpu_count", lambda: 4)
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_a_job_leaves_one_core_and_gives_it_back() -> None:
    with one_core_left_to_the_window():
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("first_to_end", [0, 1], ids=["in turn", "nested"])
def test_overlapping_jobs_give_all_threads_back(first_to_end: int) -> None:
    jobs = [one_core_left_to_the_window() for _ in range(2)]
    for job in jobs:
        job.__enter__()
        assert torch.get_num_threads() == 3

    jobs[first_to_end].__exit__(None, None, None)
    assert torch.get_num_threads() == 3
    jobs[1 - first_to_end].__exit__(None, None, None)

    assert torch.get_num_threads() == 4


def test_a_job_that_fails_beside_another_gives_its_share_back() -> None:
    with one_core_left_to_the_window():
        with pytest.raises(KeyError), one_core_left_to_the_window():
            raise KeyError("failed")
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 4


def test_many_jobs_in_threads_give_all_threads_back() -> None:
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait(timeout=20)
        for _ in range(20):
            with one_core_left_to_the_window():
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert worker._Threads.jobs == 0
    assert worker._Threads.usual == 4
