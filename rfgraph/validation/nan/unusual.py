"""What stands in where the kernel, or what is asked of it, is out of the ordinary."""

from __future__ import annotations

import onnx

from rfgraph.validation.nan.emitter import Emitter, LostError
from rfgraph.worker.protos import attributes_of


def depart(to: Emitter, node: onnx.NodeProto) -> None:
    """Nothing."""
    raise LostError("the kernel of onnxruntime departs from the specification here")


def split(to: Emitter, node: onnx.NodeProto) -> None:
    """Itself, with a name for every part."""
    copy = to.with_floats(node)
    copy.output[:] = [name or to.fresh() for name in node.output]
    to.nodes.append(copy)


def is_to_reals(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether a DFT is an inverse that makes real numbers."""
    given = attributes_of(node)
    return bool(given.get("inverse") and given.get("onesided"))


def leaves_one_out(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether an output is left out."""
    return not all(node.output)


def has_given_shape(to: Emitter, node: onnx.NodeProto) -> bool:
    """Whether a MaxUnpool is given the shape of its output."""
    return len(node.input) > 2
