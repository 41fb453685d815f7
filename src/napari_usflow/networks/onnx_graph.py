"""A network as the graph of an ONNX file, node by node from its layers.

It depends on no exporter and its version. A frame of any size is continued to a
multiple of what the network halves, as :class:`~napari_usflow.networks.unet.UNet` does.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from napari_usflow.networks.unet import LARGEST_ACTIVATION, Blur

if TYPE_CHECKING:
    from torch import nn

    from napari_usflow.networks.unet import UNet

__all__ = ["graph_of"]

_EVERY_SECOND = {"kernel_shape": [2, 2], "strides": [2, 2]}


def graph_of(unet: UNet, name: str) -> onnx.GraphProto:
    """Draw a network.

    Returns
    -------
    GraphProto
        With the inputs ``noisy``, float32 (N, 1, Z, X), and ``sigma``, float32 (N,),
        and the output ``clean``, float32 (N, 1, Z, X).
    """
    graph = _Graph()
    _draw(graph, unet)
    value, number = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    image: list[str | int | None] = ["batch", 1, "rows", "columns"]
    return helper.make_graph(
        graph.nodes,
        name,
        [value("noisy", number, image), value("sigma", number, ["batch"])],
        [value("clean", number, image)],
        graph.initializers,
    )


class _Graph:
    """Nodes and constants of a graph, in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._numbers = count()

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node and give the name of its one output."""
        output = name or f"{kind.lower()}_{next(self._numbers)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [output], name=output, **attributes)
        )
        return output

    def constant(self, values: Any, name: str = "") -> str:
        """Add a constant, whole numbers as int64, and give its name."""
        array = np.asarray(values)
        if array.dtype.kind == "i":  # of 32 bits on Windows
            array = array.astype(np.int64)
        name = name or f"constant_{next(self._numbers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def layer(self, kind: str, x: str, layer: nn.Module, name: str, **how: Any) -> str:
        """Add a convolution with the weights of a torch layer."""
        weights = [
            self.constant(getattr(layer, part).detach().cpu().numpy(), f"{name}.{part}")
            for part in ("weight", "bias")
        ]
        return self.add(kind, x, *weights, name=name, **how)


def _draw(graph: _Graph, unet: UNet) -> None:
    """Add the layers of a network."""
    sizes = [graph.add("Shape", "noisy", start=axis, end=axis + 1) for axis in (2, 3)]
    padded = "noisy"
    for axis, size in zip((2, 3), sizes, strict=True):
        padded = _padded(graph, padded, size, axis, unet.config.multiple)
    pixels = graph.add("SpaceToDepth", padded, blocksize=2)
    level = graph.add("Reshape", "sigma", graph.constant([-1, 1, 1, 1]))
    plane = graph.add(
        "Concat", graph.constant([1, 1]), graph.add("Shape", pixels, start=2), axis=0
    )
    x = graph.add("Concat", pixels, graph.add("Expand", level, plane), axis=1)
    x = _convolution(graph, x, unet.head, "head")
    skips = []
    for i, (before, down) in enumerate(zip(unet.before, unet.down, strict=True)):
        x = _blocks(graph, x, before, f"before.{i}")
        skips.append(x)
        x = graph.layer(
            "Conv", _blurred(graph, x, unet, i), down, f"down.{i}", **_EVERY_SECOND
        )
    x = _blocks(graph, x, unet.middle, "middle")
    for i in reversed(range(len(skips))):
        x = graph.layer("ConvTranspose", x, unet.up[i], f"up.{i}", **_EVERY_SECOND)
        x = _blurred(graph, x, unet, i)
        x = graph.add("Add", x, skips[i])
        x = _blocks(graph, x, unet.after[i], f"after.{i}")
    x = _convolution(graph, x, unet.tail, "tail")
    noise = graph.add("DepthToSpace", x, blocksize=2)
    clean = graph.add("Sub", padded, noise)
    graph.add(
        "Slice",
        clean,
        graph.constant([0, 0]),
        graph.add("Concat", *sizes, axis=0),
        graph.constant([2, 3]),
        name="clean",
    )


def _padded(graph: _Graph, image: str, size: str, axis: int, multiple: int) -> str:
    """Continue an axis of length (1,) ``size`` by its mirror image, as torch's does.

    Pixel i is that of i modulo 2 (size - 1), counted back from there on.
    """
    one = graph.constant([1])
    many = graph.constant([multiple])
    more = graph.add("Add", size, graph.constant([multiple - 1]))
    wanted = graph.add("Mul", graph.add("Div", more, many), many)
    last = graph.add("Sub", size, one)
    period = graph.add("Max", graph.add("Add", last, last), one)
    scalars = graph.constant(np.array([], np.int64))
    index = graph.add(
        "Range",
        graph.constant(np.array(0)),
        graph.add("Reshape", wanted, scalars),
        graph.constant(np.array(1)),
    )
    index = graph.add("Mod", index, period)
    index = graph.add("Min", index, graph.add("Sub", period, index))
    return graph.add("Gather", image, index, axis=axis)


def _convolution(graph: _Graph, x: str, layer: nn.Module, name: str) -> str:
    return graph.layer("Conv", x, layer, name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def _blocks(graph: _Graph, x: str, blocks: Any, name: str) -> str:
    largest = graph.constant(np.array(LARGEST_ACTIVATION, np.float32))
    for i, block in enumerate(blocks):
        change = _convolution(graph, x, block.first, f"{name}.{i}.first")
        change = graph.add("Mul", change, graph.add("Sigmoid", change))
        change = graph.add("Min", change, largest)
        change = _convolution(graph, change, block.second, f"{name}.{i}.second")
        x = graph.add("Add", x, change)
    return x


def _blurred(graph: _Graph, x: str, unet: UNet, scale: int) -> str:
    """Filter each channel of a scale against aliasing, where the network does."""
    if not isinstance(unet.blur, Blur):
        return x
    channels = unet.config.channels[scale]
    kernel = unet.blur.kernel.expand(channels, 1, 3, 3).cpu().numpy()
    return graph.add(
        "Conv",
        x,
        graph.constant(kernel.copy()),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        group=channels,
    )
