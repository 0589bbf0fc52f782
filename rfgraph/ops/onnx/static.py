"""Operators whose output does not depend on the data of any input."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from rfgraph.model import element_types
from rfgraph.model.graph import Kind, Node
from rfgraph.model.sizes import Shape, all_known, is_unknown
from rfgraph.ops.registry import Computed, Operation, Reads, describe, transfer
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Steering,
    by_last,
    integers,
    need,
)
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


def _shape(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    return (len(shapes[0][kind.attribute("start", 0) : kind.attribute("end")]),)


def _scalar(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    return ()


# The attributes of a Constant that are numbers or words, and what it then is made of.
_NUMBERS = {
    "value_float": element_types.FLOAT,
    "value_floats": element_types.FLOAT,
    "value_int": element_types.INT64,
    "value_ints": element_types.INT64,
    "value_string": element_types.STRING,
    "value_strings": element_types.STRING,
}


def _constant(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    ((name, value),) = kind.attributes.items()
    if name == "value":
        need(min(value.shape, default=0) >= 0)
        return tuple(value.shape)
    need(name in _NUMBERS)
    return (len(value),) if name.endswith("s") else ()


def _constant_type(kind: Kind, _: Sequence[int]) -> int:
    ((name, value),) = kind.attributes.items()
    return int(value.element_type) if name == "value" else _NUMBERS[name]


def _constant_of_shape(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    assert values[0] is not None
    sizes = integers(values[0])
    need(min(sizes, default=0) >= 0 and values[0].ndim == 1)
    return tuple(sizes)


def _filled_type(kind: Kind, _: Sequence[int]) -> int:
    value = kind.attribute("value")
    return element_types.FLOAT if value is None else int(value.element_type)


def _filling(kind: Kind) -> np.ndarray:
    """What all elements of a ConstantOfShape are."""
    value = kind.attribute("value")
    fill: np.ndarray = np.zeros(1, np.float32) if value is None else value.array()
    need(fill.size == 1 and fill.dtype.kind in "biuf")
    return fill.reshape(())


def _filled(kind: Kind, inputs: Sequence[Any]) -> Any:
    # One element in the place of all.
    return np.broadcast_to(_filling(kind), tuple(inputs[0].tolist()))


def _sizes(node: Node, shape: Shape) -> Shape:
    """The output of a Shape."""
    return shape[node.attribute("start", 0) : node.attribute("end")]


def _size(_: Node, shape: Shape) -> int:
    """The output of a Size."""
    return prod(shape)


def _told(_: Node, __: Shape | None, given: Shape) -> Shape:
    """The shape of a ConstantOfShape."""
    return given


describe("Constant", shape=ShapeRule(_constant, element=_constant_type), is_constant=True)
describe(
    "ConstantOfShape",
    shape=ShapeRule(_constant_of_shape, (0,), element=_filled_type),
    value=_filled,
    filling=_filling,
    growth=by_last,
    told=_told,
)
describe("RandomNormal RandomNormalLike RandomUniform RandomUniformLike", is_random=True)
describe("Shape", shape=ShapeRule(_shape), measured=_sizes)
describe("Size", shape=ShapeRule(_scalar), measured=_size)
