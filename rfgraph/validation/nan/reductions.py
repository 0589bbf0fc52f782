"""What stands in for operators that pick from whole axes: maxima and sorting."""

from __future__ import annotations

import onnx

from rfgraph.validation.nan.emitter import Emitter, LostError
from rfgraph.worker.protos import attributes_of


def reduction(to: Emitter, node: onnx.NodeProto) -> None:
    """The mean over the same axes."""
    copy = to.with_floats(node)
    to.emit("ReduceMean", copy.input, node.output[0], **attributes_of(node))


def arg_reduction(to: Emitter, node: onnx.NodeProto) -> None:
    """The mean over the same axis."""
    given = attributes_of(node)
    keepdims = given.get("keepdims", 1)
    to.mean(node.input[0], [given.get("axis", 0)], node.output[0], keepdims=keepdims)


def top_k(to: Emitter, node: onnx.NodeProto) -> None:
    """The mean over the same axis, repeated."""
    if len(node.input) > 1 and node.input[1] in to.live:
        raise LostError("the size of its output depends on the data")
    mean = to.mean(node.input[0], [attributes_of(node).get("axis", -1)])
    for output in filter(None, node.output):
        to.spread(mean, to.shapes[output], output)


def hardmax(to: Emitter, node: onnx.NodeProto) -> None:
    """The softmax over the same axis, or axes before opset 13."""
    to.emit("Softmax", node.input, node.output[0], **attributes_of(node))
