"""What stands in for operators that read, or write, where an index says: it holds no NaN."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from rfgraph.validation.nan.emitter import Emitter, LostError
from rfgraph.worker.protos import attributes_of, input_of


def gather(to: Emitter, node: onnx.NodeProto) -> None:
    """The index itself, spread over what it picks."""
    data, indices = node.input
    if data in to.live:
        raise LostError("its 'indices' say where it reads, and are computed from the data")
    rank = len(to.shapes[data])
    axis = attributes_of(node).get("axis", 0) % rank
    trailing = (1,) * (rank - 1 - axis)
    placed = to.reshaped(indices, (*to.shapes[indices], *trailing))
    to.spread(placed, to.shapes[node.output[0]], node.output[0])


def gather_elements(to: Emitter, node: onnx.NodeProto) -> None:
    """The index itself."""
    data, indices = node.input
    if data in to.live:
        raise LostError("its 'indices' say where it reads, and are computed from the data")
    to.emit("Identity", [indices], node.output[0])


def gather_nd(to: Emitter, node: onnx.NodeProto) -> None:
    """The mean of the index tuple, spread over what it picks."""
    data, indices = node.input
    if data in to.live:
        raise LostError("its 'indices' say where it reads, and are computed from the data")
    mean = to.mean(indices, [-1])
    leading = to.shapes[indices][:-1]
    shape = to.shapes[node.output[0]]
    placed = to.reshaped(mean, (*leading, *(1,) * (len(shape) - len(leading))))
    to.spread(placed, shape, node.output[0])


def one_hot(to: Emitter, node: onnx.NodeProto) -> None:
    """The index, spread along the new axis, and both values."""
    indices, depth, values = node.input
    if depth in to.live:
        raise LostError("the size of its output depends on the data")
    shape = to.shapes[node.output[0]]
    axis = attributes_of(node).get("axis", -1) % len(shape)
    placed = [n if k != axis else 1 for k, n in enumerate(shape)]
    read_ = to.reshaped(to.tame(indices), placed)
    if values in to.live:
        read_ = to.emit("Add", [read_, to.mean(values, None, keepdims=0)])
    to.spread(read_, shape, node.output[0])


def scatter(to: Emitter, node: onnx.NodeProto) -> None:
    """Itself, adding."""
    copy = to.with_floats(node)
    to.emit(node.op_type, copy.input, node.output[0], **attributes_of(node) | {"reduction": "add"})


def embed(to: Emitter, node: onnx.NodeProto) -> None:
    """The token, its segment and its position, spread over what they pick."""
    ids = [node.input[k] for k in (0, 1, 8) if input_of(node, k)]
    if any(name in to.live for name in node.input[2:7]):
        raise LostError("its embeddings are computed from the data")
    total = to.emit("Sum", [to.tame(name) for name in ids])
    placed = to.reshaped(total, (*to.shapes[node.input[0]], 1))
    for output in (node.output[0], *node.output[2:]):
        if output:
            to.spread(placed, to.shapes[output], output)
    if len(node.output) > 1 and node.output[1]:
        if input_of(node, 7):
            shape = to.shapes[node.output[1]]
            mean = to.mean(to.tame(node.input[7]), [1], keepdims=0)
            to.reshaped(mean, shape, node.output[1])
        else:
            to.constants.append(numpy_helper.from_array(np.zeros(1, np.float32), node.output[1]))


def selects(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether of several updates of one element the largest or smallest remains."""
    return attributes_of(node).get("reduction") in (b"max", b"min")
