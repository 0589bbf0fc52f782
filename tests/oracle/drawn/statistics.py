"""Operators that read whole axes: normalisations, softmax, reductions, running sums."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ..builder import (
    SPATIAL,
    Builder,
    Value,
    operator,
)
from ..observe import Shape


@operator("BatchNormalization", ranks=(2, 3, 4, 5))
def batch_normalization(b: Builder, x: Value, op: str) -> Value:
    """Inference: four numbers a channel."""
    c = x.shape[1]
    scale, bias, mean = b.weight(c), b.weight(c), b.weight(c)
    return b.op(op, x, scale, bias, mean, b.positive(c), epsilon=1e-3)


@operator("InstanceNormalization", ranks=SPATIAL)
def instance_normalization(b: Builder, x: Value, op: str) -> Value:
    """Statistics of each channel."""
    c = x.shape[1]
    return b.op(op, x, b.weight(c), b.weight(c), epsilon=1e-2)


@operator("GroupNormalization", since=18, ranks=SPATIAL)
def group_normalization(b: Builder, x: Value, op: str) -> Value:
    """Statistics of each group of channels; scales by group before opset 21."""
    groups = b.divisor(x.shape[1])
    c = groups if b.opset < 21 else x.shape[1]
    return b.op(op, x, b.weight(c), b.weight(c), num_groups=groups, epsilon=1e-2)


def _trailing(b: Builder, x: Value) -> tuple[int | None, Shape]:
    """The first of the trailing axes, or nothing for the last, and their shape."""
    axis = b.choice((None, -1, b.axis(x.rank), b.axis(x.rank)))
    return axis, x.shape[-1 if axis is None else axis :]


@operator("LayerNormalization", since=17, weight=2)
def layer_normalization(b: Builder, x: Value, op: str) -> Value:
    """Statistics over the trailing axes."""
    axis, shape = _trailing(b, x)
    bias = b.weight(*shape, live=0.2) if b.chance(0.5) else None
    return b.op(op, x, b.weight(*shape, live=0.2), bias, axis=axis, epsilon=1e-2)


@operator("RMSNormalization", since=23, weight=2)
def rms_normalization(b: Builder, x: Value, op: str) -> Value:
    """Statistics over the trailing axes."""
    axis, shape = _trailing(b, x)
    return b.op(op, x, b.weight(*shape, live=0.2), axis=axis)


@operator("LRN", ranks=(4,))
def lrn(b: Builder, x: Value, op: str) -> Value:
    """A window of channels."""
    return b.op(op, x, size=b.choice((1, 3, 5)), alpha=0.1, bias=1.5)


@operator("MeanVarianceNormalization", ranks=(4,), weight=1)
def mean_variance_normalization(b: Builder, x: Value, op: str) -> Value:
    """Statistics over some axes."""
    return b.op(op, x, axes=b.choice((None, [0, 2, 3], [2, 3], [1, 2, 3])))


@operator("LpNormalization", weight=0.5)
def lp_normalization(b: Builder, x: Value, op: str) -> Value:
    """The norm along one axis."""
    return b.op(op, x, axis=b.axis(x.rank), p=b.choice((1, 2)))


@operator("Softmax", "LogSoftmax", "Hardmax", weight=3)
def softmax(b: Builder, x: Value, op: str) -> Value:
    """One axis from opset 13 on, all axes from one on before."""
    return b.op(op, x, axis=b.axis(x.rank) if b.chance(0.8) else None)


_REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
)


@operator(*_REDUCTIONS, weight=10)
def reduction(b: Builder, x: Value, op: str) -> Value:
    """Axes as attribute, as input, none; empty axes that reduce all or nothing."""
    if op == "ReduceLogSum":
        x = b.op("Exp", b.op("Tanh", x))
    keepdims = b.choice((None, 0, 1))
    since = 13 if op == "ReduceSum" else 18
    if b.opset >= since and b.chance(0.5):
        empty = np.zeros(0, np.int64) if b.chance(0.6) else None
        noop = b.choice((None, 0, 1))
        return b.op(op, x, empty, keepdims=keepdims, noop_with_empty_axes=noop)
    if b.chance(0.15):
        return b.op(op, x, keepdims=keepdims)
    axes = b.axes(x.rank) if b.opset >= 11 else b.some(range(x.rank))
    inputs, given = b.with_ints(since, "axes", axes)
    return b.op(op, x, *inputs, keepdims=keepdims, **given)


@operator("ArgMax", "ArgMin", weight=1.5)
def arg_reduction(b: Builder, x: Value, op: str) -> Value:
    """An index along one axis, as a number."""
    axis = b.axis(x.rank) if b.opset >= 11 else b.rng.randrange(x.rank)
    last = b.choice((None, 0, 1)) if b.opset >= 12 else None
    keepdims = b.choice((None, 0, 1))
    found = b.op(
        op, x, axis=axis if b.chance(0.8) else None, keepdims=keepdims, select_last_index=last
    )
    return b.op("Cast", found, to=TensorProto.FLOAT)


@operator("CumSum", since=11, weight=1.5)
def cumsum(b: Builder, x: Value, op: str) -> Value:
    """All before, or after, with or without itself."""
    axis = np.array(b.axis(x.rank), np.int64)
    exclusive, reverse = b.choice((None, 0, 1)), b.choice((None, 0, 1))
    return b.op(op, x, axis, exclusive=exclusive, reverse=reverse)
