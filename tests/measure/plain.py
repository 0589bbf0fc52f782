"""Small nets as lists of layers: as ONNX models, and as functions of torch.

Written once here, so that what an effective field is held against is another program's gradient of
the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Layer(NamedTuple):
    """A layer: ``conv``, ``relu``, ``tanh``, ``max``, ``mean``, ``keep`` or ``add`` (what is kept).

    Attributes
    ----------
    kind : str
        What it is.
    weight : ndarray or None
        Of a convolution.
    kernel, stride, pad, dilation : int
        Along each axis.
    groups : int
        Of a convolution.
    """

    kind: str
    weight: np.ndarray | None = None
    kernel: int = 1
    stride: int = 1
    pad: int = 0
    dilation: int = 1
    groups: int = 1


class Net:
    """Random nets: each method adds a layer."""

    def __init__(self, seed: int, channels: int, axes: int = 2) -> None:
        self.rng = np.random.default_rng(seed)
        self.first = self.channels = channels
        self.axes = axes
        self.layers: list[Layer] = []

    def conv(
        self,
        outs: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        pad: int | None = None,
        groups: int = 1,
    ) -> Net:
        """A convolution with weights as of He et al., padded to keep the size unless told."""
        shape = (outs, self.channels // groups, *(kernel,) * self.axes)
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weight = (self.rng.standard_normal(shape) * scale).astype(np.float32)
        pad = (kernel - 1) * dilation // 2 if pad is None else pad
        self.layers.append(Layer("conv", weight, kernel, stride, pad, dilation, groups))
        self.channels = outs
        return self

    def add(self, kind: str, kernel: int = 1, stride: int = 1, pad: int = 0) -> Net:
        """Another layer."""
        self.layers.append(Layer(kind, None, kernel, stride, pad))
        return self

    def relu(self) -> Net:
        return self.add("relu")

    # ------------------------------------------------------------ as models

    def model(self, size: int, rows: int | str = "N") -> onnx.ModelProto:
        """The net as a model of input ``x``, whose last value is ``y``."""
        nodes, weights, kept, at = [], [], "", "x"
        for k, layer in enumerate(self.layers):
            if layer.kind == "keep":
                kept = at
                continue
            out = "y" if k == len(self.layers) - 1 else f"v{k}"
            inputs, op, given = [at], _OPERATORS[layer.kind], {}
            if layer.kind in ("conv", "max", "mean"):
                given = {
                    "kernel_shape": [layer.kernel] * self.axes,
                    "strides": [layer.stride] * self.axes,
                    "pads": [layer.pad] * 2 * self.axes,
                }
            if layer.weight is not None:
                weights.append(numpy_helper.from_array(layer.weight, f"w{k}"))
                inputs.append(f"w{k}")
                given |= {"dilations": [layer.dilation] * self.axes, "group": layer.groups}
            if layer.kind == "add":
                inputs.append(kept)
            nodes.append(helper.make_node(op, inputs, [out], **given))
            at = out
        shape = [rows, self.first, *[size] * self.axes]
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", 1, shape)],
            [helper.make_tensor_value_info("y", 1, None)],
            weights,
        )
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)

    # ------------------------------------------------------------ as functions

    def torch(self, x: Any) -> Any:
        """What torch makes of a tensor, in floats of its type."""
        import torch
        from torch.nn import functional

        kept = x
        conv, maximum, mean = (
            getattr(functional, f"{name}{self.axes}d") for name in ("conv", "max_pool", "avg_pool")
        )
        for layer in self.layers:
            if layer.weight is not None:
                weight = torch.from_numpy(layer.weight).to(x.dtype)
                x = conv(x, weight, None, layer.stride, layer.pad, layer.dilation, layer.groups)
            elif layer.kind == "max":
                x = maximum(x, layer.kernel, layer.stride, layer.pad)
            elif layer.kind == "mean":
                x = mean(x, layer.kernel, layer.stride, layer.pad)
            elif layer.kind == "keep":
                kept = x
            elif layer.kind == "add":
                x = x + kept
            else:
                x = getattr(torch, layer.kind)(x)
        return x


_OPERATORS = {
    "conv": "Conv", "relu": "Relu", "tanh": "Tanh", "max": "MaxPool", "mean": "AveragePool",
    "add": "Add",
}  # fmt: skip


def laid(
    gradient: np.ndarray, own: Sequence[np.ndarray], first: Sequence[int], extent: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """What gradients add up to by offset from the units' own places, and of how many units.

    Parameters
    ----------
    gradient : ndarray, shape (units, elements along each axis)
        Of each unit by each element: their sizes.
    own : sequence of ndarray, shape (units,)
        By axis: each unit's own place.
    first, extent : sequence of int
        By axis: the first offset, and how many there are.
    """
    sums, many = np.zeros(extent), np.zeros(extent)
    for unit, sizes in enumerate(gradient):
        source, target = [], []
        for axis, size in enumerate(sizes.shape):
            begin = own[axis][unit] + first[axis]
            low, high = max(begin, 0), min(begin + extent[axis], size)
            source.append(slice(low, max(high, low)))
            target.append(slice(low - begin, max(high, low) - begin))
        sums[tuple(target)] += sizes[tuple(source)]
        many[tuple(target)] += 1
    return sums, many
