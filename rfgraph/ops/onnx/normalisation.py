"""Normalisations: each element, and statistics of the axes that are normalised."""

from __future__ import annotations

from dataclasses import replace

from rfgraph.model.graph import Kind
from rfgraph.ops.onnx.reduction import reduced
from rfgraph.ops.registry import Operation, Reads, axis_of, describe, transfer
from rfgraph.ops.rounding import at_ends, steady
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Steering,
    always,
    axis_in,
    need,
    unchanged,
)
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Elementwise,
    Factor,
    PerAxis,
    Read,
    Shape,
    aligned,
    block,
    same,
    window,
)


@transfer(
    "BatchNormalization",
    since=7,
    # Before version 14 inference leaves out the statistics.
    shape=lambda op: [op.shape(0), *[op.shape(1)] * (len(op.outputs) - 1)],
)
def batch_normalization(op: Operation) -> Reads:
    """In inference each element by itself; in training with statistics over all but channels.

    inference:  Y[n, c, o] <- X[n, c, o], scale[c], B[c], input_mean[c], input_var[c]
    training:   Y[n, c, o] <- X[n, c, o], X[all, c, all], scale[c], B[c]

    In training (``training_mode``; before version 14: more than one output) the second and third
    output read X[all, c, all] and the old statistic, the outputs after them X[all, c, all] alone.
    With ``spatial=0``, before version 9, each position is a channel of its own.

    https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
    """
    shape = op.shape(0)
    rank = len(shape)
    own = {1} if op.version >= 9 or op.attribute("spatial", 1) else set(range(1, rank))
    along = tuple(same(axis) for axis in range(1, len(own) + 1))
    if op.version >= 14:
        training = bool(op.attribute("training_mode", 0))
    else:
        training = sum(map(op.made, op.outputs)) > 1
    scale, B = PerAxis(1, along), PerAxis(2, along)
    times = (Factor(1, along),)
    if not training:
        given = [PerAxis(k, along, times) for k in op.inputs[3:]]
        return [Elementwise(0, times), *given, scale, B]
    others = set(range(rank)) - own
    statistics = reduced(0, shape, others, False)
    old = tuple(same(axis) for axis in range(len(own)))
    return (
        [Elementwise(0, times), reduced(0, shape, others, True, times), scale, B],
        [statistics, PerAxis(3, old)],
        [statistics, PerAxis(4, old)],
        [statistics],
        [statistics],
    )


@transfer("InstanceNormalization", since=6)
def instance_normalization(op: Operation) -> Reads:
    """Each element, and the statistics of its channel.

    Y[n, c, o] <- X[n, c, o], X[n, c, all], scale[c], B[c]

    https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html
    """
    shape = op.shape(0)
    times = (Factor(1, (same(1),)),)
    return [
        Elementwise(0, times),
        reduced(0, shape, set(range(2, len(shape))), True, times),
        PerAxis(1, (same(1),)),
        PerAxis(2, (same(1),)),
    ]


@transfer("GroupNormalization", since=18)
def group_normalization(op: Operation) -> Reads:
    """Each element, and the statistics of its group of channels.

    Y[n, c, o] <- X[n, c, o], X[n, channels of c's group, all], scale, bias

    scale and bias have an entry a group before version 21, a channel from then on.

    https://onnx.ai/onnx/operators/onnx__GroupNormalization.html
    """
    shape = op.shape(0)
    groups = op.attribute("num_groups")
    if groups < 1 or shape[1] % groups:
        raise ValueError(f"{shape[1]} channels can't be divided into {groups} groups")
    size = shape[1] // groups
    spatial: list[AxisRead] = [STATISTIC] * (len(shape) - 2)
    parameter = same(1) if op.version >= 21 else block(1, size, 1)
    times = (Factor(1, (parameter,)),)
    return [
        Elementwise(0, times),
        PerAxis(0, (same(0), block(1, size, size), *spatial), times),
        PerAxis(1, (parameter,)),
        PerAxis(2, (parameter,)),
    ]


def _with_statistics(op: Operation) -> list[Shape | None]:
    """The shape of the first input, and that of its statistics from `axis` on."""
    shape = op.shape(0)
    axis = axis_of(op.attribute("axis", -1), len(shape))
    return [shape, *[(*shape[:axis], *(1,) * (len(shape) - axis)) for _ in op.outputs[1:]]]


# Before ONNX had them, as RMSNormalization the second, onnxruntime did.
@transfer("LayerNormalization", since=1, shape=_with_statistics)
@transfer("SimplifiedLayerNormalization", since=1, shape=_with_statistics)
@transfer("LayerNormalization", since=17)
@transfer("RMSNormalization", since=23)
def layer_normalization(op: Operation) -> Reads:
    """Each element, and the statistics over the axes from `axis` on; the other outputs are these.

    Y[o] <- X[o], X[o before `axis`, all from `axis` on], scale, B

    https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
    https://onnx.ai/onnx/operators/onnx__RMSNormalization.html
    """
    shape = op.shape(0)
    axis = axis_of(op.attribute("axis", -1), len(shape))
    statistics = reduced(0, shape, set(range(axis, len(shape))), True)
    parameters: list[Read] = [Elementwise(k) for k in op.inputs[1:]]
    times = (Factor(1, aligned(len(op.shape(1)), len(shape))),) if op.has(1) else ()
    return (
        [Elementwise(0, times), replace(statistics, times=times), *parameters],
        *[list[Read]([statistics]) for _ in op.outputs[1:]],
    )


@transfer("LpNormalization", since=1)
def lp_normalization(op: Operation) -> Reads:
    """Each element, and the norm of one axis.

    Y[o] <- X[o], X[all along `axis`]

    https://onnx.ai/onnx/operators/onnx__LpNormalization.html
    """
    shape = op.shape(0)
    return [
        Elementwise(0),
        reduced(0, shape, {axis_of(op.attribute("axis", -1), len(shape))}, True),
    ]


@transfer("MeanVarianceNormalization", since=9)
def mean_variance_normalization(op: Operation) -> Reads:
    """Each element, and the statistics over `axes`.

    Y[o] <- X[o], X[all along `axes`]

    https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html
    """
    shape = op.shape(0)
    axes = {axis_of(axis, len(shape)) for axis in op.attribute("axes", [0, 2, 3])}
    return [Elementwise(0), reduced(0, shape, axes, True)]


@transfer("LRN", since=1)
def lrn(op: Operation) -> Reads:
    """Each element reads the channels around its own.

    Y[n, c, o] <- X[n, c - floor((size-1)/2) .. c + ceil((size-1)/2), o]

    size=3, three channels:   c: 0 1 2   reads: {0,1} {0,1,2} {1,2}

    https://onnx.ai/onnx/operators/onnx__LRN.html
    """
    size = op.attribute("size")
    rank = len(op.shape(0))
    channels = window(1, size, 1, 1, (size - 1) // 2)
    return [PerAxis(0, (same(0), channels, *[same(axis) for axis in range(2, rank)]))]


def _layer_norm(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    need(kind.outputs == 1)
    axis_in(kind.attribute("axis", -1), len(shapes[0]))
    return shapes[0]


def _batch_norm(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    need(kind.outputs == 1 and len(shapes[0]) > 1)
    need(all(shape == (shapes[0][1],) for shape in shapes[1:]))
    return shapes[0]


def _has_its_axis(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    """As the input, which has the axis that an attribute names."""
    axis_in(kind.attribute("axis", -1), len(shapes[0]))
    return shapes[0]


describe("BatchNormalization", shape=ShapeRule(_batch_norm))
describe("LayerNormalization RMSNormalization", shape=ShapeRule(_layer_norm))
describe("LpNormalization", shape=ShapeRule(_has_its_axis))
describe("InstanceNormalization LRN", shape=ShapeRule(unchanged))
# Deprecated at 18, where inference refuses it, and from 21 on a function, as
# MeanVarianceNormalization is, whose body infers wrongly.
describe("GroupNormalization MeanVarianceNormalization", shape=ShapeRule(unchanged, instead=always))
describe("BatchNormalization LayerNormalization LpNormalization", rounding=steady)
describe("LRN", rounding=at_ends)
describe(
    "GroupNormalization InstanceNormalization LayerNormalization LpNormalization "
    "MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization",
    streamed="normalise each step over its channels, or by what is past (cumulatively)",
)
