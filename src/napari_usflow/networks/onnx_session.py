"""Networks run by onnxruntime, which is faster than torch where bfloat16 is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_usflow.networks.onnx_export import need_onnx, onnx_model
from napari_usflow.networks.store import Network

__all__ = ["onnx_pass"]


def onnx_pass(
    network: Network, noisy: npt.NDArray[np.float32], sigma: float
) -> tuple[Callable[[], npt.NDArray[np.float32]], Callable[[], None]]:
    """Prepare a pass through a network, on the processor and in float32.

    It is shared out over as many threads as torch would share it over now; the result
    does not depend on how many they are.

    Parameters
    ----------
    network : Network
        Its session is kept for the next pass.
    noisy : ndarray, shape (Z, X), float32
        Nominally in [0, 1], of any size.
    sigma : float
        Standard deviation of its noise.

    Returns
    -------
    compute : callable
        Gives the result, an ndarray of the same shape, within what the input shows
        nearby.
    stop : callable
        Ends a computation in another thread at its next layer, by an exception there.

    Raises
    ------
    UsflowError
        When onnx or onnxruntime is not installed.
    """
    import torch

    runtime = need_onnx("onnxruntime")
    session = _opened(network, torch.get_num_threads())
    options = runtime.RunOptions()
    given = {
        "noisy": np.ascontiguousarray(noisy)[None, None],
        "sigma": np.array([sigma], dtype=np.float32),
    }

    def compute() -> npt.NDArray[np.float32]:
        (clean,) = session.run(["clean"], given, options)
        result: npt.NDArray[np.float32] = clean[0, 0]
        return result

    def stop() -> None:
        options.terminate = True

    return compute, stop


@lru_cache(maxsize=2)
def _opened(network: Network, threads: int) -> Any:
    runtime = need_onnx("onnxruntime")
    # Builds for Windows report on themselves unless they are told not to.
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait must sleep, as torch's do.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(
        onnx_model(network).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
