"""Pools."""

from __future__ import annotations

from rfgraph.ops.onnx.windows import spatial_windows
from rfgraph.ops.registry import Operation, Reads, describe, transfer
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


describe("AveragePool GlobalAveragePool", facts=Sums())
