"""Operators whose output does not depend on the data of any input."""

from __future__ import annotations

from rfgraph.model.sizes import all_known, is_unknown
from rfgraph.ops.registry import Computed, Operation, Reads, transfer
from rfgraph.reads.words import PerAxis, Stage, part, point

_COMPUTED = "its shape is computed: all of it is read"


@transfer("Constant")
@transfer("ConstantOfShape", computed=_COMPUTED)
@transfer("EyeLike")
@transfer("RandomNormal")
@transfer("RandomNormalLike")
@transfer("RandomUniform")
@transfer("RandomUniformLike")
def nothing(op: Operation) -> Reads:
    """Of the input only the shape counts, or there is none.

    Y[o] <- nothing

    Where the shape itself depends on the data, so does the output.

    https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html
    """
    for k in op.inputs:
        if op.live(k):
            op.shape(k)
            if op.op_type == "ConstantOfShape":
                raise Computed("its shape is computed from the data")
    return []


@transfer("Shape")
@transfer("Size")
def size(op: Operation) -> Reads:
    """Of the input only the sizes count. On what decides one every element of the input depends.

    Shape: Y[k] <- nothing, the first element where the data decide the size of axis ``start + k``
    Size:  Y <- nothing, the first element where the data decide a size

    https://onnx.ai/onnx/operators/onnx__Shape.html
    https://onnx.ai/onnx/operators/onnx__Size.html
    """
    shape = op.shape(0)
    if op.op_type == "Shape":
        shape = shape[op.attribute("start", 0) : op.attribute("end")]
    if all_known(shape):
        return []
    first = PerAxis(0, (point(0),) * len(op.shape(0)))
    if op.op_type == "Size":
        return [first]
    places = [k for k, size in enumerate(shape) if is_unknown(size)]
    return [PerAxis(Stage((1,), [first]), (part(0, k, 1),)) for k in places]
