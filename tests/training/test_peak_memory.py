"""The most memory of a computation, counted tensor by tensor."""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from napari_usflow.training.peak_memory import peak_bytes

CPU = torch.device("cpu")
MEGABYTE = 2**20
KERNELS = 3  # largest tensors, for what kernels take


def megabytes(count: int = 1) -> torch.Tensor:
    return torch.ones(count * MEGABYTE // 4)


def test_what_is_let_go_does_not_count_with_what_comes_later() -> None:
    def work() -> None:
        for _ in range(5):
            megabytes(2)

    assert peak_bytes(work, CPU) == (2 + KERNELS * 2) * MEGABYTE


def test_what_is_kept_adds_up_and_views_do_not() -> None:
    def work() -> None:
        kept = [megabytes() for _ in range(5)]
        kept += [one.view(2, -1)[0] for one in kept]

    assert peak_bytes(work, CPU) == (5 + KERNELS) * MEGABYTE


def test_what_was_there_before_does_not_count() -> None:
    before = megabytes(8)
    assert peak_bytes(lambda: before + 1, CPU) == (8 + KERNELS * 8) * MEGABYTE
    assert peak_bytes(lambda: before.add_(1), CPU) == 0


def test_checkpointing_lowers_the_peak_by_what_is_computed_again() -> None:
    def chain(x: torch.Tensor) -> torch.Tensor:
        for _ in range(4):
            x = torch.sin(x)  # its derivative needs the input
        return x

    def run(again: bool) -> None:
        x = megabytes().requires_grad_(True)
        for _ in range(4):
            x = checkpoint(chain, x, use_reentrant=False) if again else chain(x)
        x.sum().backward()

    plain, less = (peak_bytes(lambda a=a: run(a), CPU) for a in (False, True))
    # Sixteen inputs are kept, or four and those of one chain.
    assert plain >= (16 + KERNELS) * MEGABYTE
    assert (8 + KERNELS) * MEGABYTE <= less <= (12 + KERNELS) * MEGABYTE
