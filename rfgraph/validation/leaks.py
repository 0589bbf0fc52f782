"""Operators whose kernels let through what the operator does not read.

Of onnxruntime's kernels, LRN's keeps a running sum over the channels: it adds what comes into the
window and takes off what leaves it, and what rounding leaves of that stays in all sums behind. It
is small, but a change is a change, and what follows may make it large. So such a node is exchanged
for others that compute the same and keep nothing: no tolerance, which could hide what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import onnx
from onnx import TensorProto, helper

from rfgraph.worker.protos import (
    Key,
    attributes_of,
    element_type_of,
    key_of,
    names_in,
    subgraphs_of,
    types_of,
    walk,
)


def without_leaks(model: onnx.ModelProto) -> None:
    """Exchange the nodes whose kernels leak, those of subgraphs too, in place.

    Examples
    --------
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 8, opset_import: ["": 17]> '
    ...     "g (float[1, 9, 4, 4] x) => (float[1, 9, 4, 4] y) { y = LRN <size = 3> (x) }"
    ... )
    >>> without_leaks(model)
    >>> "LRN" in [node.op_type for node in model.graph.node]
    False
    """
    if not any(key_of(node) in LEAKS for node in walk(model.graph.node)):
        return
    taken = names_in(model.graph)
    names = (name for k in count(1) if (name := f"exact_{k}") not in taken)
    types = {name: element_type_of(kind) for name, kind in types_of(model).items()}
    _exchange(model.graph, names.__next__, types)


def _exchange(graph: onnx.GraphProto, fresh: Callable[[], str], types: Mapping[str, int]) -> None:
    """Write out the operators of a graph, and of those within it, that leak."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for inner in subgraphs_of(node):
            _exchange(inner, fresh, types)
        write = LEAKS.get(key_of(node))
        if write is None:
            nodes.append(node)
        else:
            write(node, _Writer(nodes, fresh, types.get(node.input[0], 0)))
    # Some of them are the graph's own.
    kept = onnx.GraphProto(node=nodes)
    del graph.node[:]
    graph.node.extend(kept.node)


class _Writer:
    """Appends nodes.

    Parameters
    ----------
    nodes : list of onnx.NodeProto
        Where to.
    fresh : callable
        Gives a name that nothing has.
    kind : int
        The type of floats; 0: of 32 bits.
    """

    def __init__(self, nodes: list[onnx.NodeProto], fresh: Callable[[], str], kind: int) -> None:
        self._nodes = nodes
        self._fresh = fresh
        self._kind = kind or TensorProto.FLOAT

    def emit(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node, and return its output."""
        output = output or self._fresh()
        self._nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def number(self, value: float) -> str:
        """A scalar."""
        tensor = helper.make_tensor("", self._kind, [], [value])
        return self.emit("Constant", value=tensor)

    def sizes(self, *values: int) -> str:
        """A shape."""
        tensor = helper.make_tensor("", TensorProto.INT64, [len(values)], values)
        return self.emit("Constant", value=tensor)


def _lrn(node: onnx.NodeProto, to: _Writer) -> None:
    """X / (bias + alpha * mean of X^2 over the window) ^ beta, channels moved last for the mean."""
    given = attributes_of(node)
    X, size = node.input[0], given["size"]
    rows = to.emit("Reshape", to.emit("Mul", X, X), to.sizes(0, 0, -1))
    means = to.emit(
        "AveragePool",
        to.emit("Transpose", rows, perm=[0, 2, 1]),
        kernel_shape=[size],
        pads=[(size - 1) // 2, size // 2],
        count_include_pad=1,
    )
    mean = to.emit("Reshape", to.emit("Transpose", means, perm=[0, 2, 1]), to.emit("Shape", X))
    scaled = to.emit("Mul", mean, to.number(given.get("alpha", 1e-4)))
    base = to.emit("Add", scaled, to.number(given.get("bias", 1.0)))
    divisor = to.emit("Pow", base, to.number(given.get("beta", 0.75)))
    to.emit("Div", X, divisor, output=node.output[0])


# What writes the nodes that stand in for one, established with onnxruntime 1.32's CPU kernels: of
# all the others no other does such a thing.
LEAKS: Mapping[Key, Callable[[onnx.NodeProto, _Writer], None]] = {("", "LRN"): _lrn}
