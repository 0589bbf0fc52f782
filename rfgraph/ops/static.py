"""Operators whose output does not depend on the data of any input."""

from __future__ import annotations

from rfgraph.ops.registry import Computed, Operation, Reads, transfer

_COMPUTED = "its shape is computed: all of it is read"


@transfer("Constant")
@transfer("ConstantOfShape", computed=_COMPUTED)
@transfer("EyeLike")
@transfer("RandomNormal")
@transfer("RandomNormalLike")
@transfer("RandomUniform")
@transfer("RandomUniformLike")
@transfer("Shape")
@transfer("Size")
def nothing(op: Operation) -> Reads:
    """Of the input only the shape counts, or there is none.

    Y[o] <- nothing

    Where the shape itself depends on the data, so does the output.

    https://onnx.ai/onnx/operators/onnx__Shape.html
    """
    for k in op.inputs:
        if op.live(k):
            op.shape(k)
            if op.node.op_type == "ConstantOfShape":
                raise Computed("its shape is computed from the data")
    return []
