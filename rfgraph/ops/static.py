"""Operators whose output does not depend on the data of any input."""

from __future__ import annotations

from rfgraph.ops.registry import Operation, Reads, transfer


@transfer("Constant")
@transfer("ConstantOfShape")
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

    https://onnx.ai/onnx/operators/onnx__Shape.html
    """
    return []
