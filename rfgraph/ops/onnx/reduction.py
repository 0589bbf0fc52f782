"""Reductions, running sums and the softmax family."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import prod
from typing import Any

import numpy as np

from rfgraph.model.graph import Kind, Node
from rfgraph.ops.registry import Operation, Reads, axis_of, describe, transfer
from rfgraph.ops.rounding import Rounding, steady
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Steering,
    axes_given,
    axis_in,
    need,
    unchanged,
)
from rfgraph.prune.passing import SoftmaxWeights, Sums
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Coordinate,
    Elementwise,
    Factor,
    PerAxis,
    Shape,
    Source,
    running,
    same,
)

_COMPUTED_AXES = "its axes are computed: all of every input is read"


def reduced(
    k: Source, shape: Shape, axes: set[int], keepdims: bool, times: tuple[Factor, ...] = ()
) -> PerAxis:
    """Input `k` of `shape` read whole along `axes`; without `keepdims` the output lacks them."""
    reads: list[AxisRead] = []
    out = 0
    for axis in range(len(shape)):
        if axis in axes:
            reads.append(STATISTIC)
            out += keepdims
        else:
            reads.append(same(out))
            out += 1
    return PerAxis(k, tuple(reads), times)


@transfer("ReduceL1", computed=_COMPUTED_AXES)
@transfer("ReduceL2", computed=_COMPUTED_AXES)
@transfer("ReduceLogSum", computed=_COMPUTED_AXES)
@transfer("ReduceLogSumExp", computed=_COMPUTED_AXES)
@transfer("ReduceMax", computed=_COMPUTED_AXES)
@transfer("ReduceMean", computed=_COMPUTED_AXES)
@transfer("ReduceMin", computed=_COMPUTED_AXES)
@transfer("ReduceProd", computed=_COMPUTED_AXES)
@transfer("ReduceSum", computed=_COMPUTED_AXES)
@transfer("ReduceSumSquare", computed=_COMPUTED_AXES)
def reduce(op: Operation) -> Reads:
    """Each output element reads the whole of the reduced axes.

    Y[o] <- X[o along kept axes, all along `axes`]

    (2, 3) over axis 1:   o: 0 1   reads: {(0,0),(0,1),(0,2)} {(1,0),(1,1),(1,2)}

    No axes means all, or none with ``noop_with_empty_axes``. `axes` is an attribute before
    version 18 (13 for ReduceSum), then an input.

    https://onnx.ai/onnx/operators/onnx__ReduceSum.html
    """
    shape = op.shape(0)
    axes = _axes(op)
    if not axes:
        return [Elementwise(0)]
    return [reduced(0, shape, axes, bool(op.attribute("keepdims", 1)))]


def _axes(op: Operation) -> set[int]:
    """The axes that a reduction is over; none if it leaves all as they are."""
    rank = len(op.shape(0))
    axes = op.integers(1, "axes", [])
    if not axes and op.attribute("noop_with_empty_axes", 0):
        return set()
    return {axis_of(axis, rank) for axis in axes or range(rank)}


@transfer("ArgMax")
@transfer("ArgMin")
def arg_reduce(op: Operation) -> Reads:
    """Each output element reads the whole of one axis.

    Y[o] <- X[o along the other axes, all along `axis`]

    https://onnx.ai/onnx/operators/onnx__ArgMax.html
    """
    shape = op.shape(0)
    axis = axis_of(op.attribute("axis", 0), len(shape))
    return [reduced(0, shape, {axis}, bool(op.attribute("keepdims", 1)))]


def set_in_relation(op: Operation, inputs: Sequence[int], axis: int, total: Source = 0) -> PerAxis:
    """What a softmax reads along `axis` of `total`, the sum of `inputs`: all with a weight."""
    shape = op.shape(inputs[0])
    times: tuple[Factor, ...] = ()
    if op.op_type in ("Softmax", "BiasSoftmax") and op.prune:
        # Imported where constants cut.
        from rfgraph.prune.masks import masked

        zeros = masked([op.known(k) for k in inputs], len(shape), axis, op)
        if zeros is not None:
            along = [Coordinate(a) if a == axis else same(a) for a in range(len(shape))]
            times = (Factor(zeros, tuple(along)),)
    return reduced(total, shape, {axis}, True, times)


@transfer("Hardmax", since=13)
@transfer("LogSoftmax", since=13)
@transfer("Softmax", since=13)
def softmax(op: Operation) -> Reads:
    """Each element is set in relation to all along `axis`: itself, and a statistic of the axis.

    Y[o] <- X[o], X[all along `axis`]

    An element that is alone along `axis` is 1 (LogSoftmax: 0), whatever it was: pruned, it is not
    read.

    https://onnx.ai/onnx/operators/onnx__Softmax.html
    """
    shape = op.shape(0)
    if not shape:
        return [Elementwise(0)]
    axis = axis_of(op.attribute("axis", -1), len(shape))
    if shape[axis] == 1 and op.prune:
        return []
    return [Elementwise(0), set_in_relation(op, [0], axis)]


@transfer("Hardmax", since=1)
@transfer("LogSoftmax", since=1)
@transfer("Softmax", since=1)
def flat_softmax(op: Operation) -> Reads:
    """Before version 13 the input is taken as a matrix: all axes from `axis` on count as one.

    Y[o] <- X[o], X[all along axes from `axis` on]

    https://onnx.ai/onnx/operators/onnx__Softmax.html
    """
    shape = op.shape(0)
    axis = op.attribute("axis", 1)
    axis = axis if axis == len(shape) else axis_of(axis, len(shape))
    if axis == len(shape) - 1:
        return [Elementwise(0), set_in_relation(op, [0], axis)]
    return [Elementwise(0), reduced(0, shape, set(range(axis, len(shape))), True)]


@transfer("CumProd", since=26, computed=_COMPUTED_AXES)
@transfer("CumSum", since=11, computed=_COMPUTED_AXES)
def cum_sum(op: Operation) -> Reads:
    """Each element reads those up to its own place, or from it on with ``reverse``.

    Y[o] <- X[0 .. o along `axis`];  ``exclusive`` leaves out o itself

    three inputs:   o: 0 1 2   reads: {0} {0,1} {0,1,2}

    https://onnx.ai/onnx/operators/onnx__CumSum.html
    """
    shape = op.shape(0)
    axis = axis_of(int(op.constant(1, "axis").reshape(())), len(shape))
    reads: list[AxisRead] = [same(a) for a in range(len(shape))]
    reads[axis] = running(
        axis,
        shape[axis],
        reverse=bool(op.attribute("reverse", 0)),
        exclusive=bool(op.attribute("exclusive", 0)),
    )
    return [PerAxis(0, tuple(reads))]


def axis_of_rows(node: Node, rank: int) -> int | None:
    """The axis of a softmax; before version 13, and in BiasSoftmax, axes from one on are one."""
    old = node.version < 13
    axis = node.attribute("axis", 1 if old else -1) % rank
    return None if old and axis < rank - 1 else int(axis)


def _along_axis(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    """As the input, which has an axis that an attribute names."""
    old = kind.version < 13
    axis_in(kind.attribute("axis", 1 if old else -1), len(shapes[0]))
    return shapes[0]


def _reduced_shape(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    shape, axes = shapes[0], axes_given(kind, values[0])
    if not axes:
        if kind.attribute("noop_with_empty_axes", 0):
            return shape
        # An empty attribute is none.
        axes = list(range(len(shape)))
    gone = {axis_in(axis, len(shape)) for axis in axes}
    if kind.attribute("keepdims", 1):
        return tuple([1 if a in gone else n for a, n in enumerate(shape)])
    return tuple([n for a, n in enumerate(shape) if a not in gone])


def _reduced_to_place(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    axis = axis_in(kind.attribute("axis", 0), len(shapes[0]))
    kept = (1,) if kind.attribute("keepdims", 1) else ()
    return (*shapes[0][:axis], *kept, *shapes[0][axis + 1 :])


def _reduced(function: Callable[..., Any]) -> Callable[[Kind, Sequence[Any]], Any]:
    def evaluated(kind: Kind, inputs: Sequence[Any]) -> Any:
        value = inputs[0]
        need(value.dtype.kind in "iu" and value.size)
        axes = kind.attribute("axes")
        if len(inputs) > 1 and inputs[1] is not None:
            axes = inputs[1].reshape(-1).tolist()
        if not axes:
            if kind.attribute("noop_with_empty_axes", 0):
                return value
            axes = range(value.ndim)
        keep = bool(kind.attribute("keepdims", 1))
        return function(value, axis=tuple(axes), dtype=value.dtype, keepdims=keep)

    return evaluated


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    def evaluated(value: Any, axis: Any, dtype: Any, keepdims: bool) -> Any:
        return function(value, axis=axis, keepdims=keepdims)

    return evaluated


def _cumsum(kind: Kind, inputs: Sequence[Any]) -> Any:
    value, axis = inputs[0], int(inputs[1].item())
    need(value.dtype.kind in "iu" and -value.ndim <= axis < value.ndim)
    turned = np.flip(value, axis) if kind.attribute("reverse", 0) else value
    summed = np.cumsum(turned, axis, dtype=value.dtype)
    if kind.attribute("exclusive", 0):
        summed = summed - turned
    return np.flip(summed, axis) if kind.attribute("reverse", 0) else summed


# So many elements are summed up at once.
_VECTOR = 4


def _aligned(op: Operation, _: Collection[int]) -> Rounding:
    """Elements that lie side by side are summed up from where a vector begins in memory. Whether
    they do is up to the runtime, which moves transpositions.
    """
    shape = op.shape(0)
    length = prod(shape[axis] for axis in _axes(op))
    if length % _VECTOR and length > _VECTOR:
        return Rounding(
            reason=f"its sums of {length} elements begin where a vector begins in memory"
        )
    return Rounding()


describe(
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare",
    shape=ShapeRule(_reduced_shape, (1,)),
)
describe("ArgMax ArgMin", shape=ShapeRule(_reduced_to_place))
describe("Hardmax LogSoftmax Softmax", shape=ShapeRule(_along_axis))
describe("CumSum", shape=ShapeRule(unchanged), value=_cumsum, is_running=True)
describe("ReduceMax", value=_reduced(_extreme(np.max)))
describe("ReduceMin", value=_reduced(_extreme(np.min)))
describe("ReduceProd", value=_reduced(np.prod))
describe("ReduceSum", value=_reduced(np.sum))
describe("CumSum ReduceMean ReduceSum", facts=Sums())
describe("Softmax", facts=SoftmaxWeights(axis_of_rows))
describe("LogSoftmax Softmax", rounding=steady)
describe("ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMin", rounding=steady)
describe("ReduceProd ReduceSumSquare", rounding=steady)
describe("ReduceMean ReduceSum", rounding=_aligned)
describe(
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare ArgMax ArgMin",
    streamed="reduce over a window, or over what is past (cumulatively)",
)
describe("Hardmax LogSoftmax Softmax", streamed="attend within a window, or behind a causal mask")
