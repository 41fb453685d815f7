"""Which torch device is used, and why; how its threads wait."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = [
    "available_devices",
    "choose_device",
    "computes_bfloat16",
    "let_waiting_threads_sleep",
]


def let_waiting_threads_sleep() -> None:
    """Set OpenMP's wait policy for this process, unless the user has set one.

    OpenMP's threads spin while they wait, and where another program wants the same
    cores torch is then ten times slower. Has no effect once torch is loaded. The
    command line and the plugin call it; importing the package changes nothing.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


_has_computed = False


def _after_fork() -> None:
    """Have a forked process compute in one thread.

    The threads of OpenMP do not survive a fork, and GNU's waits for them for ever.
    """
    if _has_computed:
        import torch

        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def available_devices() -> list[str]:
    """Names of the devices on this machine, the fastest first, ``cpu`` last."""
    import torch

    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def choose_device(name: str = "auto") -> torch.device:
    """Turn a user's wish into a torch device.

    Parameters
    ----------
    name : str
        ``auto`` takes the first of :func:`available_devices`; otherwise a torch
        device name such as ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    ValueError
        When that device is not on this machine.
    """
    global _has_computed
    import torch

    _has_computed = True
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    if name == "cuda" and any(n.startswith("cuda") for n in available):
        return torch.device("cuda:0")
    if name not in available:
        raise ValueError(
            f"device {name!r} is not on this machine; "
            f"choose auto or one of {', '.join(available)}"
        )
    return torch.device(name)


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 numbers by itself.

    Others emulate it, which is slower than float32: graphics cards before compute
    capability 8.0, processors without AVX-512 BF16. False where torch is too old to
    tell.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    told = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and told is not None and bool(told())
