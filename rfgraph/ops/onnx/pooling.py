"""Pools."""

from __future__ import annotations

from math import ceil, inf

from rfgraph.model.graph import Kind
from rfgraph.model.sizes import Shape
from rfgraph.ops.onnx.windows import spatial_windows, window_sizes
from rfgraph.ops.registry import Operation, Reads, Windows, describe, transfer
from rfgraph.ops.rounding import steady
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Steering,
    need,
)
from rfgraph.prune.passing import Sums
from rfgraph.reads.words import STATISTIC, PerAxis, same, window


@transfer("AveragePool")
@transfer("LpPool")
@transfer("MaxPool")
def pool(op: Operation) -> Reads:
    """Each output position reads one dilated window of X, channel by channel.

    Y[n, c, o] <- X[n, c, o*s - p + d*k],  0 <= k < K, each spatial axis

    K=2 s=2 ceil_mode, three inputs:   o: 0 1   reads: {0,1} {2}

    Padding is never read, whether ``count_include_pad`` counts it or not; ``ceil_mode`` only
    adds outputs. ``Indices`` of MaxPool tells where the maximum is, so it reads the same.

    https://onnx.ai/onnx/operators/onnx__MaxPool.html
    https://onnx.ai/onnx/operators/onnx__AveragePool.html
    https://onnx.ai/onnx/operators/onnx__LpPool.html
    """
    windows = spatial_windows(op, tuple(op.attribute("kernel_shape")))
    along = [
        window(axis, w.kernel, w.stride, w.dilation, w.pad) for axis, w in enumerate(windows, 2)
    ]
    return [PerAxis(0, (same(0), same(1), *along))]


@transfer("GlobalAveragePool")
@transfer("GlobalLpPool")
@transfer("GlobalMaxPool")
def global_pool(op: Operation) -> Reads:
    """Each channel reads all of its own positions.

    Y[n, c, 0] <- X[n, c, all]

    three inputs:   o: 0   reads: {0,1,2}

    https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html
    """
    rank = len(op.shape(0))
    return [PerAxis(0, (same(0), same(1), *[STATISTIC] * (rank - 2)))]


def _is_ceiled(kind: Kind) -> bool:
    """With ``ceil_mode`` a window that would begin beyond the input and its first padding does
    not count (https://onnx.ai/onnx/operators/onnx__AveragePool.html); inference counts it.
    """
    return bool(kind.attribute("ceil_mode", 0) and kind.attribute("kernel_shape"))


def _pooled_shape(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    shape, kernel = shapes[0], kind.attribute("kernel_shape")
    if not _is_ceiled(kind):
        need(len(shape) > 2)
        return (*shape[:2], *window_sizes(kind, shape[2:], kernel))
    rank = len(kernel)
    strides = kind.attribute("strides") or [1] * rank
    dilations = kind.attribute("dilations") or [1] * rank
    pads = kind.attribute("pads") or [0] * (2 * rank)
    auto_pad = kind.attribute("auto_pad", "NOTSET")
    sizes = []
    for a, n in enumerate(shape[2:]):
        if auto_pad.startswith("SAME"):
            sizes.append(ceil(n / strides[a]))
            continue
        begin, end = (pads[a], pads[a + rank]) if auto_pad == "NOTSET" else (0, 0)
        reach = (kernel[a] - 1) * dilations[a] + 1
        count = -((reach - n - begin - end) // strides[a]) + 1
        if (count - 1) * strides[a] >= n + begin:
            count -= 1
        sizes.append(count)
    return (*shape[:2], *sizes)


def _shape_of_one(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    need(len(shapes[0]) > 2)
    return shapes[0][:2] + (1,) * (len(shapes[0]) - 2)


def _has_places(kind: Kind) -> bool:
    """The reference's Indices are others than those of runtimes."""
    return kind.outputs > 1


describe("AveragePool LpPool MaxPool", shape=ShapeRule(_pooled_shape, instead=_is_ceiled))
describe("AveragePool LpPool MaxPool", rounding=steady)
describe(
    "GlobalAveragePool GlobalLpPool GlobalMaxPool",
    shape=ShapeRule(_shape_of_one),
)
describe("MaxPool", differs=_has_places, by_place=(1,))
describe("AveragePool GlobalAveragePool", facts=Sums())


describe(
    "AveragePool",
    windows=Windows(
        lambda _: 0.0, is_mean=lambda operation: not operation.attribute("count_include_pad", 0)
    ),
)
describe("LpPool", windows=Windows(lambda _: 0.0))
describe("MaxPool", windows=Windows(lambda _: -inf))
describe(
    "GlobalAveragePool GlobalLpPool GlobalMaxPool",
    streamed="pool over a window, or export the model without it and pool what it gives",
)
