"""What stands in for operators that read, for each element, one of each operand."""

from __future__ import annotations

import onnx

from rfgraph.validation.nan.emitter import Emitter, LostError
from rfgraph.worker.protos import input_of


def own(to: Emitter, node: onnx.NodeProto) -> None:
    """Each element reads its own."""
    if node.input[0] not in to.live:
        raise LostError("an operand beside the first is computed from the data")
    to.emit("Identity", node.input[:1], node.output[0])


def summed(to: Emitter, node: onnx.NodeProto) -> None:
    """The sum of the operands that are given, broadcast alike."""
    to.sum(node.input, node.output[0])


def dropout(to: Emitter, node: onnx.NodeProto) -> None:
    """The data; the mask is by chance."""
    if len(node.input) > 2 and not to.live.isdisjoint(node.input[1:]):
        raise LostError("its 'ratio' or 'training_mode' is computed from the data")
    to.emit("Identity", node.input[:1], node.output[0])
    if len(node.output) > 1 and node.output[1]:
        copy = to.with_floats(node)
        if input_of(node, 1) in to.live:
            copy.input[1] = ""
        copy.output[0] = to.fresh()
        to.nodes.append(copy)


def has_live_limit(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether an operand beside the first lives."""
    return not to.live.isdisjoint(node.input[1:])
