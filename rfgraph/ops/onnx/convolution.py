"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import gcd, prod

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.ops.onnx.windows import bias, spatial_windows, taps, window_sizes
from rfgraph.ops.registry import Operation, Reads, Windows, describe, transfer
from rfgraph.ops.rounding import BLOCK, Rounding
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Steering,
    need,
)
from rfgraph.prune.passing import Sums
from rfgraph.reads.words import (
    WHOLE,
    AxisRead,
    Coordinate,
    Factor,
    PerAxis,
    Read,
    Shape,
    Source,
    Tap,
    block,
    same,
    tiled,
    transposed_window,
    window,
)


def _channels(outputs: int, inputs: int, group: int) -> AxisRead:
    """The input channels that an output channel reads: those of its group."""
    if group == 1:
        return WHOLE
    return block(1, outputs // group, inputs // group)


def convolved(
    op: Operation,
    kernel: int,
    *,
    data: Source,
    weights: Source | None,
    zeros: int | np.ndarray | None,
) -> list[Read]:
    """What a convolution reads of its data, input 0, and of its kernel, input `kernel`.

    `data` and `weights` are these inputs, or stages of their shapes; None: weights that are
    not computed. `zeros` are the elements of the kernel that are 0, or the kernel's number.
    """
    X, W, Y = op.shape(0), op.shape(kernel), op.out()
    group = op.attribute("group", 1)
    if op.attribute("kernel_shape", list(W[2:])) != list(W[2:]):
        raise ValueError(f"kernel_shape is {op.attribute('kernel_shape')}, and W has the shape {W}")
    if group < 1 or X[1] != W[1] * group or W[0] % group:
        raise ValueError(f"X has {X[1]} channels, W has {W[0]} by {W[1]}, and group is {group}")
    channels = _channels(W[0], X[1], group)
    windows = spatial_windows(op, W[2:])
    along = [window(axis, *w) for axis, w in enumerate(windows, 2)]
    times: tuple[Factor, ...] = ()
    if zeros is not None:
        times = (Factor(zeros, (same(1), *[Tap(axis) for axis in range(1, len(X))])),)
    reads: list[Read] = [PerAxis(data, (same(0), channels, *along), times)]
    if weights is not None:
        used = []
        for axis, w in enumerate(windows, 2):
            o, k = np.ogrid[: Y[axis], : w.kernel]
            i = o * w.stride - w.pad + k * w.dilation
            used.append(taps(axis, (i >= 0) & (i < X[axis])))
        reads.append(PerAxis(weights, (same(1), WHOLE, *used)))
    return reads


@transfer("Conv", since=1)
def conv(op: Operation) -> Reads:
    """Each output position reads one dilated window of X, within its channel group.

    Y[n, m, o] <- X[n, channels c of m's group, o*s - p + d*k] * W[m, c, k],  0 <= k < K,
                  each spatial axis

    K=3 s=2 p=1, five inputs:   o: 0 1 2   reads: {0,1} {1,2,3} {3,4}

    A computed W is read at the taps that do not meet padding.

    https://onnx.ai/onnx/operators/onnx__Conv.html
    """
    reads = convolved(op, 1, data=0, weights=1 if op.live(1) else None, zeros=1)
    if op.live(2):
        reads.append(bias(2))
    return reads


@transfer("ConvTranspose", since=1)
def conv_transpose(op: Operation) -> Reads:
    """The adjoint of Conv: an output position reads the inputs whose window covers it.

    Y[n, m, o] <- X[n, channels c of m's group, i] * W[c, m in its group, k]
                  where  o + p - i*s = d*k,  0 <= k < K,  each spatial axis

    K=3 s=2 p=1, three inputs:   o: 0 1 2 3 4   reads: {0} {0,1} {1} {1,2} {2}

    https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
    """
    X, W, Y = op.shape(0), op.shape(1), op.out()
    rank = len(X) - 2
    group = op.attribute("group", 1)
    if group < 1 or X[1] != W[0] or X[1] % group:
        raise ValueError(f"X has {X[1]} channels, W has {W[0]} by {W[1]}, and group is {group}")
    strides = op.attribute("strides") or [1] * rank
    dilations = op.attribute("dilations") or [1] * rank
    if min((*W[2:], *strides, *dilations), default=1) < 1:
        raise ValueError(f"kernel {W[2:]}, strides {strides} and dilations {dilations}")
    auto_pad = op.attribute("auto_pad", "NOTSET")
    extra = op.attribute("output_padding") or [0] * rank
    pads = (op.attribute("pads") or [0] * rank)[:rank]
    if op.attribute("output_shape") or auto_pad.startswith("SAME"):
        pads = []
        for axis in range(rank):
            reach = (W[axis + 2] - 1) * dilations[axis] + 1
            total = strides[axis] * (X[axis + 2] - 1) + extra[axis] + reach - Y[axis + 2]
            total = max(total, 0)
            pads.append(total // 2 if auto_pad == "SAME_UPPER" else total - total // 2)
    elif auto_pad == "VALID":
        pads = [0] * rank
    # The second axis of W is the output channel's place within its group.
    own: AxisRead = tiled(1, W[1]) if group > 1 else same(1)
    channels = _channels(W[1] * group, X[1], group)
    windows = list(enumerate(zip(W[2:], strides, dilations, pads, strict=True), 2))
    along = [transposed_window(axis, *w, Y[axis]) for axis, w in windows]
    weight = Factor(1, (Coordinate(1), own, *[Tap(axis, w) for axis, w in windows]))
    reads: list[Read] = [PerAxis(0, (same(0), channels, *along), (weight,))]
    if op.live(1):
        kernel = []
        for axis in range(2, rank + 2):
            s, d = strides[axis - 2], dilations[axis - 2]
            o, k = np.ogrid[: Y[axis], : W[axis]]
            at = o + pads[axis - 2] - k * d
            used = (at % s == 0) & (at >= 0) & (at < X[axis] * s)
            kernel.append(taps(axis, used, s // gcd(s, d)))
        reads.append(PerAxis(1, (channels, own, *kernel)))
    if op.live(2):
        reads.append(bias(2))
    return reads


def convolved_shape(x: int, w: int) -> Callable[[Kind, Extents, Steering], Shape]:
    """How a convolution of input `x` with a kernel that is input `w` has its shape."""

    def output(kind: Kind, shapes: Extents, _: Steering) -> Shape:
        X, W = shapes[x], shapes[w]
        group = kind.attribute("group", 1)
        need(len(X) == len(W) > 2 and X[1] == W[1] * group and W[0] % group == 0)
        need(tuple(kind.attribute("kernel_shape") or W[2:]) == W[2:])
        return (X[0], W[0], *window_sizes(kind, X[2:], W[2:]))

    return output


def _is_of_told_size(kind: Kind) -> bool:
    """An `output_shape` is that of the spatial axes, which inference takes for all. With
    ``auto_pad=SAME_*`` the output is size * stride long, to which inference adds
    `output_padding` (https://onnx.ai/onnx/operators/onnx__ConvTranspose.html); runtimes don't
    lengthen it to that where it is shorter by itself.
    """
    return bool(
        kind.attribute("output_shape") or kind.attribute("auto_pad", "NOTSET").startswith("SAME")
    )


def _transposed_shape(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    X, W = shapes[:2]
    rank = len(X) - 2
    strides = kind.attribute("strides") or [1] * rank
    dilations = kind.attribute("dilations") or [1] * rank
    extra = kind.attribute("output_padding") or [0] * rank
    channels = W[1] * kind.attribute("group", 1)
    if _is_of_told_size(kind):
        sizes = list(kind.attribute("output_shape") or [])[-rank:]
        if not sizes:
            for a, n in enumerate(X[2:]):
                reach = (W[a + 2] - 1) * dilations[a] + 1
                sizes.append(min(n * strides[a], (n - 1) * strides[a] + extra[a] + reach))
        return (X[0], channels, *sizes)
    pads = kind.attribute("pads") or [0] * (2 * rank)
    if kind.attribute("auto_pad", "NOTSET") == "VALID":
        pads = [0] * (2 * rank)
    need(len(W) == len(X) > 2 and W[0] == X[1] and len(pads) == 2 * rank)
    need(rank == len(strides) == len(dilations) == len(extra))
    need(tuple(kind.attribute("kernel_shape") or W[2:]) == W[2:])
    sizes = [
        (n - 1) * strides[a]
        + extra[a]
        + (W[a + 2] - 1) * dilations[a]
        + 1
        - pads[a]
        - pads[a + rank]
        for a, n in enumerate(X[2:])
    ]
    need(min(*sizes, *X[2:], *W[2:]) > 0)
    return (X[0], channels, *sizes)


def _convolved_sums(op: Operation, axes: Collection[int]) -> Rounding:
    """A product of matrices with a column for each place of the output. In two dimensions kernels
    on blocks of channels take its place, for the groups that fill them.
    """
    X, W, Y = op.shape(0), op.shape(1), op.out()
    if not any(axis > 1 for axis in axes):
        return Rounding()
    group = op.attribute("group", 1)
    # Of a convolution of single channels blocks are made of several groups.
    parts = (W[0],) if W[0] == X[1] == group else (W[1], W[0] // group)
    fits = group == 1 or not any(channels % BLOCK for channels in parts)
    return Rounding(prod(W[1:]), prod(Y[2:]), len(W) == 4 and not op.live(1) and fits)


def _transposed_sums(op: Operation, axes: Collection[int]) -> Rounding:
    """A product of matrices with a column for each place of the input."""
    X, W = op.shape(0), op.shape(1)
    if not any(axis > 1 for axis in axes):
        return Rounding()
    return Rounding(W[0] // op.attribute("group", 1), prod(X[2:]))


describe("Conv", shape=ShapeRule(convolved_shape(0, 1)), rounding=_convolved_sums)
describe(
    "ConvTranspose",
    shape=ShapeRule(_transposed_shape, instead=_is_of_told_size),
    rounding=_transposed_sums,
)
describe("Conv ConvTranspose", facts=Sums(bias=2))
describe("Conv", windows=Windows(lambda _: 0.0))
describe("ConvTranspose", windows=Windows(lambda _: 0.0, transposed=True))
