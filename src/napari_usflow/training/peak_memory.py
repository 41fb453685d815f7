"""Peak memory of the tensors of a computation."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["peak_bytes"]

# A convolution on a processor reorders its operands for itself. Measured on training
# steps as what the process grew by beyond its tensors, in largest tensors: 3 to 5.
_COPIES = 3


def peak_bytes(work: Callable[[], Any], device: torch.device) -> int:
    """Run something and return the most bytes that it took at once.

    Tensors that were there before do not count. What a checkpointed forward pass
    computes again in the backward pass does, which no look at the saved tensors tells.
    """
    if device.type == "cuda":
        # Its backward pass runs in a thread of its own, and PyTorch counts by itself.
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return int(torch.cuda.max_memory_allocated(device)) - before
    counter = _Counter()
    with counter:
        work()
    return counter.peak + _COPIES * counter.largest


class _Counter(TorchDispatchMode):
    """Follows every storage from the operation that makes it to its end."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self.largest = self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        # Operands that have not been seen were there before.
        self._follow((args, kwargs), counted=False)
        result = func(*args, **(kwargs or {}))
        self._follow(result, counted=True)
        return result

    def _follow(self, tensors: Any, *, counted: bool) -> None:
        for leaf in tree_leaves(tensors):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                self._note(storage, storage.nbytes() if counted else 0)

    def _note(self, storage: torch.UntypedStorage, size: int) -> None:
        key = storage._cdata
        if key in self._alive:
            return
        self._alive.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        self.largest = max(self.largest, size)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._now -= size
