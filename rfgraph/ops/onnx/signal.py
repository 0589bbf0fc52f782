"""Fourier transforms and windows."""

from __future__ import annotations

from rfgraph.ops.registry import Operation, Reads, axis_of, describe, transfer
from rfgraph.ops.shaping import (
    by_sizes,
)
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Elementwise,
    Factor,
    Fixed,
    PerAxis,
    Read,
    Shape,
    Tap,
    same,
    window,
)

_COMPUTED = "a size, a step or an axis: all of every input is read"


@transfer("DFT", since=17, computed=_COMPUTED)
def dft(op: Operation) -> Reads:
    """Along one axis each output element mixes the signal by fixed weights.

    output[o, k, c] <- input[o, 0 .. n-1, all]

    n is the signal's length, or `dft_length` where that is less: the rest is not read. With
    ``onesided`` and ``inverse`` n is dft_length // 2 + 1, of which the other half follows.

    five elements, dft_length=3:   k: 0 1 2   reads: {0,1,2} {0,1,2} {0,1,2}

    `axis` is an attribute before version 20, then an input. The last axis holds the real and
    the imaginary part.

    https://onnx.ai/onnx/operators/onnx__DFT.html
    """
    shape, rank = op.shape(0), len(op.shape(0))
    if op.version >= 20:
        axis = int(op.constant(2, "axis").reshape(())) if op.has(2) else -2
    else:
        axis = op.attribute("axis", 1)
    axis = axis_of(axis, rank)
    count = shape[axis]
    if op.has(1):
        length = int(op.constant(1, "dft_length").reshape(()))
        if op.attribute("onesided", 0) and op.attribute("inverse", 0):
            length = length // 2 + 1
        count = min(count, length)
    along: list[AxisRead] = [same(a) for a in range(rank)]
    along[axis] = Fixed(0, count, statistic=True)
    along[-1] = STATISTIC
    return [PerAxis(0, tuple(along))]


def _frames(op: Operation) -> tuple[int, int]:
    """Step and length of the frames; without a window they are as long as the signal."""
    step = int(op.constant(1, "frame_step").reshape(()))
    if op.has(3):
        return step, int(op.constant(3, "frame_length").reshape(()))
    return step, op.shape(2)[0] if op.has(2) else op.shape(0)[1]


def _stft_shape(op: Operation) -> Shape:
    """ONNX's inference gives up where there is neither a window nor a frame length, and is not
    asked where `onesided` is left out.
    """
    shape, (step, length) = op.shape(0), _frames(op)
    bins = length // 2 + 1 if op.attribute("onesided", 1) else length
    return (shape[0], (shape[1] - length) // step + 1, bins, 2)


@transfer("STFT", since=17, shape=_stft_shape, computed=_COMPUTED)
def stft(op: Operation) -> Reads:
    """Each frame is a window of the signal, mixed by fixed weights after a product with `window`.

    output[n, f, k, c] <- signal[n, f*frame_step + j, all] * window[j],  0 <= j < frame_length

    frame_length=4, frame_step=2:   f: 0 1   reads: {0,1,2,3} {2,3,4,5}

    https://onnx.ai/onnx/operators/onnx__STFT.html
    """
    step, length = _frames(op)
    parts = [STATISTIC] * (len(op.shape(0)) - 2)
    times = (Factor(2, (Tap(1),)),) if op.has(2) else ()
    frame = window(1, length, step, 1, 0)
    reads: list[Read] = [PerAxis(0, (same(0), frame, *parts), times)]
    if op.has(2):
        reads.append(PerAxis(2, (STATISTIC,)))
    return reads


@transfer("BlackmanWindow", since=17, computed=_COMPUTED)
@transfer("HammingWindow", since=17, computed=_COMPUTED)
@transfer("HannWindow", since=17, computed=_COMPUTED)
def window_function(op: Operation) -> Reads:
    """Of the size alone.

    output[o] <- nothing, if `size` is not computed from the data

    https://onnx.ai/onnx/operators/onnx__HannWindow.html
    """
    op.constant(0, "size")
    return []


@transfer("MelWeightMatrix", since=17, computed=_COMPUTED)
def mel_weight_matrix(op: Operation) -> Reads:
    """Each element depends on where the bands are.

    output[o] <- sample_rate, lower_edge_hertz, upper_edge_hertz

    `num_mel_bins` and `dft_length` are sizes.

    https://onnx.ai/onnx/operators/onnx__MelWeightMatrix.html
    """
    op.constant(0, "num_mel_bins")
    op.constant(1, "dft_length")
    return [Elementwise(k) for k in (2, 3, 4)]


describe("BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix", growth=by_sizes)
