"""Networks as ONNX files, to be run without torch and without this program."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_usflow import __version__
from napari_usflow.errors import UsflowError
from napari_usflow.files import write_beside
from napari_usflow.networks.store import Network, load_network

if TYPE_CHECKING:
    import onnx

__all__ = ["export_onnx", "need_onnx", "onnx_model"]

_OPSET = 17
"""Of 2022: runtimes that are still kept up read it."""

_IR_VERSION = 8
_TOLD = ("pixel_mm", "licence")


def export_onnx(
    network: str | os.PathLike[str] | Network, path: str | os.PathLike[str]
) -> None:
    """Write a network as an ONNX file.

    It gives what the method of that network gives of a frame that fits into one tile
    (in float32), whatever its size:

    - input ``noisy``, float32 (N, 1, Z, X), nominally in [0, 1], on the pixel that the
      network was trained on;
    - input ``sigma``, float32 (N,), the standard deviation of its noise;
    - output ``clean``, float32 (N, 1, Z, X).

    Its metadata are ``usflow``, the header of the network's file as JSON; out of that,
    where it is there, ``pixel_mm`` and ``licence``; and ``network_sha256``, the hash of
    the network's file.

    Parameters
    ----------
    network : str, path or Network
        What :func:`~napari_usflow.networks.store.load_network` takes, or gives.
    path : str or path
        Ends in ``.onnx``; made or replaced only once it is complete.

    Raises
    ------
    ValueError
        When ``path`` has another ending.
    PriorError
        When there is no such network.
    UsflowError
        When onnx is not installed, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise ValueError(f"{path}: give the ONNX file a name that ends in .onnx")
    if not isinstance(network, Network):
        network = load_network(network, device="cpu")
    content = onnx_model(network).SerializeToString()
    try:
        with write_beside(path) as beside:
            beside.write_bytes(content)
    except OSError as error:
        raise UsflowError(
            f"{path} cannot be written: {error.strerror or error}"
        ) from error


def onnx_model(network: Network) -> onnx.ModelProto:
    """Make what :func:`export_onnx` writes.

    Raises
    ------
    UsflowError
        When onnx is not installed.
    """
    helper: Any = need_onnx("onnx").helper
    from napari_usflow.networks.onnx_graph import graph_of

    model: onnx.ModelProto = helper.make_model(
        graph_of(network.unet, network.name),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="napari-usflow",
        producer_version=__version__,
    )
    told = {name: str(network.card[name]) for name in _TOLD if name in network.card}
    told["network_sha256"] = network.sha256
    helper.set_model_props(model, {**told, "usflow": json.dumps(network.card)})
    return model


def need_onnx(package: str) -> Any:
    """Import ``onnx`` or ``onnxruntime``; UsflowError with the remedy when missing."""
    try:
        return import_module(package)
    except ImportError as error:
        raise UsflowError(
            f"networks as ONNX need the {package} package: "
            "pip install 'napari-usflow[onnx]'"
        ) from error
