"""What stands in for recurrent layers."""

from __future__ import annotations

import onnx

from rfgraph.validation.nan.emitter import Emitter, LostError
from rfgraph.worker.protos import input_of


def recurrent(to: Emitter, node: onnx.NodeProto) -> None:
    """Itself with its default activations, without bias, peepholes and clipping."""
    if not to.live.isdisjoint((*node.input[1:4], *node.input[7:])):
        raise LostError("its weights are computed from the data")
    copy = to.with_floats(node)
    for k in (3, 7):
        if input_of(node, k):
            copy.input[k] = ""
    given = [a for a in copy.attribute if not a.name.startswith(("activation", "clip"))]
    del copy.attribute[:]
    copy.attribute.extend(given)
    to.nodes.append(copy)


def mean_of_all(to: Emitter, node: onnx.NodeProto) -> None:
    """The mean of all that lives."""
    if not to.live.isdisjoint(node.input[1:4]):
        raise LostError("its weights are computed from the data")
    means = [to.mean(name, None, keepdims=0) for name in node.input if name in to.live]
    total = to.emit("Sum", means)
    for output in filter(None, node.output):
        to.spread(total, to.shapes[output], output)
