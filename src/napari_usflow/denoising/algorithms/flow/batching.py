"""Patches by batches that fit the memory of the device they are worked on.

On a graphics card the first batch tells how much a patch takes, and the next are as
large as half of what is free. Where memory ends all the same (others use the card too)
the batch is halved and done again; what was finished before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from napari_usflow.errors import JobError
from napari_usflow.jobs import Event, Note

if TYPE_CHECKING:
    import torch

    Work = Callable[[int, int], Generator[Event, None, None]]

__all__ = ["LARGEST_BATCH", "batch_events"]

LARGEST_BATCH = 256
"""Patches; more make no graphics card faster, and it looks at the token in between."""

_SHARE = 0.5


def batch_events(
    count: int, size: int, device: torch.device, work: Work
) -> Generator[Event, None, None]:
    """Work on patches, a batch at a time.

    Parameters
    ----------
    count : int
        How many there are.
    size : int
        How many at once; on a graphics card at first.
    device : torch.device
        Where the work is done.
    work : callable
        Given the first patch of a batch and the one after its last, makes the generator
        that works on it. It may be called again for some of the same patches.

    Yields
    ------
    Event
        Those of the work, and a note each time a batch did not fit.

    Raises
    ------
    JobError
        When a single patch does not fit.
    """
    done, grows = 0, _memory(device) is not None
    while done < count:
        stop = min(done + size, count)
        if (yield from _fits(work, done, stop)):
            if grows:
                size, grows = _as_many_as_fit(stop - done, size, device), False
            done = stop
            continue
        if stop - done == 1:
            raise JobError(
                f"a single patch does not fit into the free memory of {device}; close "
                "what else uses it, or take the device cpu"
            )
        size, grows = (stop - done) // 2, False
        _give_back(device)
        patches = "patch" if size == 1 else "patches"
        yield Note(f"The memory of {device} is full: on with {size} {patches} at once.")


def _fits(work: Work, start: int, stop: int) -> Generator[Event, None, bool]:
    """Work on a batch, and tell whether memory was enough."""
    import torch

    try:
        yield from work(start, stop)
    # Left at once: the error holds on to the batch's memory for as long as it lives.
    except torch.cuda.OutOfMemoryError:
        return False
    return True


def _as_many_as_fit(worked_on: int, size: int, device: torch.device) -> int:
    """Return the size of further batches after a first one."""
    memory = _memory(device)
    if memory is None or memory[0] <= 0:
        return size
    taken, free = memory
    return max(size, min(int(_SHARE * free * worked_on / taken), LARGEST_BATCH))


def _memory(device: torch.device) -> tuple[int, int] | None:
    """Most bytes that were taken since the last look, and those that are free now.

    None where nobody counts them: on a processor.
    """
    import torch

    if device.type != "cuda":
        return None
    now = torch.cuda.memory_allocated(device)
    taken = torch.cuda.max_memory_allocated(device) - now
    torch.cuda.reset_peak_memory_stats(device)
    cached = torch.cuda.memory_reserved(device) - now
    return taken, torch.cuda.mem_get_info(device)[0] + cached


def _give_back(device: torch.device) -> None:
    """Let go of memory that PyTorch keeps for later."""
    import torch

    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.empty_cache()
