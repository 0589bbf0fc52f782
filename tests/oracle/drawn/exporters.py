"""Patterns that exporters write: sizes computed from shapes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from ..builder import (
    Builder,
    Operand,
    Value,
    operator,
)
from .common import branch, unsqueezed


@operator("reshape by shape", weight=1.5)
def reshape_by_shape(b: Builder, x: Value, op: str) -> Value:
    """Shape, Gather, Unsqueeze, Concat, Reshape: how exporters write ``x.view(n, -1)``."""
    keep = b.rng.randint(0, x.rank - 1)
    parts: list[Operand] = []
    if b.chance(0.5) or b.opset < 15:
        shape = b.op("Shape", x)
        sizes = [b.op("Gather", shape, np.array(k, np.int64)) for k in range(keep)]
        parts += [unsqueezed(b, size, [0]) for size in sizes]
    elif keep:
        parts.append(b.op("Shape", x, start=0, end=keep))
    parts.append(b.integers([-1]))
    if b.chance(0.4):
        parts.append(b.integers([x.shape[-1] if keep < x.rank - 1 else 1]))
    return b.op("Reshape", x, b.op("Concat", *parts, axis=0))


@operator("flatten by size")
def flatten_by_size(b: Builder, x: Value, op: str) -> Value:
    """Size as the target of a Reshape."""
    return b.op("Reshape", x, unsqueezed(b, b.op("Size", x), [0]))


@operator("expand by shape")
def expand_by_shape(b: Builder, x: Value, op: str) -> Value:
    """A statistic expanded to the shape of what it is of."""
    return b.op("Expand", branch(b, x), b.op("Shape", x))


@operator("constant of shape")
def constant_of_shape(b: Builder, x: Value, op: str) -> Value:
    """A constant of the value's own shape, joined or added to it."""
    tensor = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.5])
    value = tensor if b.chance(0.7) else None
    made = b.op("ConstantOfShape", b.op("Shape", x), value=value)
    if b.chance(0.5):
        return b.op("Concat", x, made, axis=b.rng.randrange(x.rank))
    return b.op("Add", made, x)


@operator("slice by shape", since=10)
def slice_by_shape(b: Builder, x: Value, op: str) -> Value:
    """Half of an axis, its length taken from the shape."""
    axis = b.rng.randrange(x.rank)
    length = b.op("Gather", b.op("Shape", x), np.array([axis], np.int64))
    half = b.op("Div", length, np.array([2], np.int64))
    bounds = [half, length] if b.chance(0.5) else [np.array([0], np.int64), half]
    return b.op("Slice", x, *bounds, np.array([axis], np.int64))
