"""A small writer of ONNX graphs in which only the topology is real.

Receptive fields depend on kernels, strides, paddings and wiring and on nothing else, so
the published networks are written here with two channels a layer and without training.
Weights are ones: no analysis may take a tap for absent because its weight is zero.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SAME = "SAME_UPPER"
"""TensorFlow's SAME: the odd element of padding goes to the end, and depends on the size."""
VALID = "VALID"
HALF = "HALF"
"""Half the kernel on both sides, written as numbers: what PyTorch models call `same`."""

_LAYER = re.compile(r"(dw|max|avg)?(\d+)x(\d+)(?:/(\d+))?(v|p\d+)?(c)?")


class Builder:
    """Writes one model with the input ``x`` of shape (1, 3, resolution, resolution).

    Values are handled by name; a node's output gets a name of its own unless it is told one.

    Parameters
    ----------
    resolution
        Height and width of the input.
    same
        Padding of the layers that say nothing: `SAME` or `HALF`.
    valid
        Padding of the layers marked ``v``; `SAME` turns a network's VALID layers into SAME.
    """

    def __init__(self, resolution: int, *, same: str = SAME, valid: str = VALID) -> None:
        self._same = same
        self._valid = valid
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._channels = {"x": 3}
        shape = [1, 3, resolution, resolution]
        self._input = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)

    def channels(self, x: str) -> int:
        """Tell the number of channels of a value."""
        return self._channels[x]

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        channels: int = 0,
        name: str = "",
        **attributes: Any,
    ) -> str:
        """Add any node with one output; ``channels`` is 0 where it keeps its first input's."""
        output = name or f"{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self._channels[output] = channels or self._channels[inputs[0]]
        return output

    def constant(self, values: Sequence[int] | np.ndarray[Any, Any]) -> str:
        """Add an initializer: integers as int64 (a shape, pads), or an array as it is."""
        name = f"constant_{len(self._initializers)}"
        array = np.asarray(values, None if isinstance(values, np.ndarray) else np.int64)
        self._initializers.append(numpy_helper.from_array(array, name))
        return name

    def ones(self, *shape: int) -> str:
        """Add a float initializer of ones."""
        return self.constant(np.ones(shape, np.float32))

    def conv(
        self,
        x: str,
        kernel: tuple[int, int],
        stride: int = 1,
        padding: str = "",
        *,
        out: int = 2,
        group: int = 1,
        name: str = "",
    ) -> str:
        """Convolve, then Relu; ``name`` names the activation, which is what papers tabulate."""
        weight = self.ones(out, self.channels(x) // group, *kernel)
        attributes = self._window(kernel, stride, padding)
        y = self.node("Conv", [x, weight], channels=out, group=group, **attributes)
        return self.node("Relu", [y], name=name)

    def chain(self, x: str, layers: str, *, out: int = 2, name: str = "") -> str:
        """Apply layers written as a line of text, e.g. ``"1x1 3x3/2v"``.

        A layer is ``[dw|max|avg]KxK[/stride][v|pN][c]``: a convolution with Relu, a depthwise
        one, a max or an average pool; ``v`` is the network's VALID, ``pN`` pads by N, neither
        is its SAME, and ``c`` is ceil mode. ``a|b`` applies both layers and concatenates.

        Parameters
        ----------
        x
            The value to start from.
        layers
            Layers, separated by spaces.
        out
            Channels of the last convolution of all; the others have two.
        name
            Name of the last value.
        """
        *inner, last = layers.split()
        for layer in inner:
            x = self._fork(x, layer, 2, "")
        return self._fork(x, last, out, name)

    def mixed(self, x: str, branches: Sequence[str], *, name: str = "") -> str:
        """Concatenate chains that start from the same value: an Inception module."""
        return self.concat([self.chain(x, branch) for branch in branches], name=name)

    def concat(self, parts: Sequence[str], *, name: str = "") -> str:
        """Concatenate along the channels."""
        total = sum(self.channels(part) for part in parts)
        return self.node("Concat", parts, channels=total, name=name, axis=1)

    def halves(self, x: str) -> tuple[str, str]:
        """Split the channels in two."""
        first, second = f"{x}_first", f"{x}_second"
        self._nodes.append(helper.make_node("Split", [x], [first, second], name=first, axis=1))
        self._channels[first] = self._channels[second] = self._channels[x] // 2
        return first, second

    def add(self, a: str, b: str, *, name: str = "") -> str:
        """Add two values of one shape."""
        return self.node("Add", [a, b], name=name)

    def relu(self, x: str, *, name: str = "") -> str:
        """Activate."""
        return self.node("Relu", [x], name=name)

    def batch_norm(self, x: str, *, name: str = "") -> str:
        """Normalise with constant statistics, as at inference."""
        parameters = [self.ones(self.channels(x)) for _ in range(4)]
        return self.node("BatchNormalization", [x, *parameters], name=name)

    def pad(self, x: str, amount: int) -> str:
        """Pad height and width with zeros at both ends, in a node of its own."""
        ends = [0, 0, amount, amount]
        return self.node("Pad", [x, self.constant(ends * 2)])

    def model(self, output: str) -> onnx.ModelProto:
        """Return the model whose output is the value of that name, checked as a whole."""
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * 4)
        graph = helper.make_graph(
            self._nodes, "published", [self._input], [result], self._initializers
        )
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _fork(self, x: str, layer: str, out: int, name: str) -> str:
        if "|" not in layer:
            return self._layer(x, layer, out, name)
        return self.concat([self._layer(x, part, out, "") for part in layer.split("|")], name=name)

    def _layer(self, x: str, layer: str, out: int, name: str) -> str:
        match = _LAYER.fullmatch(layer)
        if match is None:
            raise ValueError(f"layer {layer!r} is not [dw|max|avg]KxK[/stride][v|pN][c]")
        kind, height, width, stride, padding, ceil = match.groups(default="")
        kernel = int(height), int(width)
        step = int(stride or 1)
        if kind in ("max", "avg"):
            op = {"max": "MaxPool", "avg": "AveragePool"}[kind]
            attributes = self._window(kernel, step, padding)
            return self.node(op, [x], name=name, ceil_mode=int(bool(ceil)), **attributes)
        if kind == "dw":
            width_in = self.channels(x)
            return self.conv(x, kernel, step, padding, out=width_in, group=width_in, name=name)
        return self.conv(x, kernel, step, padding, out=out, name=name)

    def _window(self, kernel: tuple[int, int], stride: int, padding: str) -> dict[str, Any]:
        """Give the attributes that Conv and the pools share."""
        window: dict[str, Any] = {"kernel_shape": list(kernel), "strides": [stride, stride]}
        if padding.startswith("p"):
            return window | {"pads": [int(padding[1:])] * 4}
        mode = self._valid if padding == "v" else self._same
        if mode == HALF:
            return window | {"pads": [k // 2 for k in kernel] * 2}
        return window | {"auto_pad": mode}
