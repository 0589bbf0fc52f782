"""Operators of com.microsoft on quantised values: each is another operator with scales.

A scale and a zero point belong to the value before them; they are read wherever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rfgraph.ops.equivalent import Given, Recast, inferred, last, vector
from rfgraph.ops.microsoft.fused import MICROSOFT, like_first
from rfgraph.ops.microsoft.layout import NHWC
from rfgraph.ops.onnx.elementwise import elementwise
from rfgraph.ops.registry import Operation, Reads, ShapeFunction, axis_of, transfer
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Elementwise,
    PerAxis,
    Read,
    Shape,
    Table,
    same,
    window,
)

# ---------------------------------------------------------------- element by element


def _broadcast(*operands: int) -> ShapeFunction:
    return lambda op: np.broadcast_shapes(*(op.shape(k) for k in operands))


_OPERANDS = {
    "QLinearAdd": (0, 3),
    "QLinearLeakyRelu": (0,),
    "QLinearMul": (0, 3),
    "QLinearSigmoid": (0,),
    "QLinearWhere": (0, 1, 4),
    "MulInteger": (0, 2),
}

for _name, _operands in _OPERANDS.items():
    # Of QLinearWhere the first is a condition.
    _like = 1 if _name == "QLinearWhere" else 0
    transfer(_name, domain=MICROSOFT, shape=_broadcast(*_operands), like=_like)(elementwise)


@transfer("DequantizeLinear", domain=MICROSOFT, shape=like_first, like=1)
@transfer("QuantizeLinear", domain=MICROSOFT, shape=like_first, like=2)
def quantize_linear(op: Operation) -> Reads:
    """Each element by itself, with the scale and zero point of its tensor or channel.

    y[o] <- x[o], x_scale[o along `axis`], x_zero_point[o along `axis`]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftquantizelinear
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftdequantizelinear
    """
    rank = len(op.shape(0))
    axis = axis_of(op.attribute("axis", 1), rank) if rank > 1 else 0
    return [Elementwise(0), *[vector(k, op.shape(k), axis) for k in op.inputs[1:] if op.has(k)]]


# ---------------------------------------------------------------- one of ONNX's, with scales


def _parameters(op: Operation, *inputs: int) -> list[Read]:
    """Scales and zero points of the output, one for all."""
    return [Elementwise(k) for k in inputs if op.has(k)]


def _with(view: Callable[[Operation], Recast], *parameters: int) -> Callable[[Operation], Reads]:
    def reads(op: Operation) -> Reads:
        """What the operator reads that it is in truth, and the scales of the output."""
        found = view(op).reads()
        assert isinstance(found, list)
        return [*found, *_parameters(op, *parameters)]

    return reads


def _layout(op: Operation) -> dict[str, Any]:
    """The arguments of a `Recast`, for channels that may be last."""
    channels_last = op.domain == NHWC or op.attribute("channels_last", 0)
    return last(op) if channels_last else {}


def _conv(op: Operation) -> Recast:
    given = [k if op.has(k) else None for k in op.inputs]
    return Recast(op, "QLinearConv", given, **_layout(op))


def _conv_as_float(op: Operation) -> Recast:
    return Recast(op, "Conv", ((0, 1, 2), (3, 4, 5)), **_layout(op))


@transfer("QLinearConv", domain=MICROSOFT, shape=inferred(_conv_as_float))
@transfer("QLinearConv", domain=NHWC, shape=inferred(_conv_as_float))
def q_linear_conv(op: Operation) -> Reads:
    """QLinearConv as ONNX has it; with ``channels_last`` x and y have the channels last.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftqlinearconv
    """
    return _conv(op).reads()


def _average_pool(op: Operation) -> Recast:
    return Recast(op, "AveragePool", ((0, 1, 2),), **_layout(op))


def _global_pool(op: Operation) -> Recast:
    return Recast(op, "GlobalAveragePool", ((0, 1, 2),), **_layout(op))


def _reduce_mean(op: Operation) -> Recast:
    return Recast(op, "ReduceMean", ((0, 1, 2),), version=13)


def _softmax(op: Operation) -> Recast:
    return Recast(op, "Softmax", ((0, 1, 2),), version=op.attribute("opset"))


def _concat(op: Operation) -> Recast:
    given: list[Given] = [(k, k + 1, k + 2) for k in op.sources[2::3]]
    return Recast(op, "Concat", given)


def _gemm(op: Operation) -> Recast:
    columns = 0 if op.attribute("transB", 0) else 1
    return Recast(op, "Gemm", ((0, 1, 2), (3, 4, 5), 6), per={1: columns})


def _gemm_shape(op: Operation) -> Shape:
    # Its C is of another type than ONNX's inference wants.
    A, B = op.shape(0), op.shape(3)
    return (A[op.attribute("transA", 0)], B[1 - op.attribute("transB", 0)])


def _to_float(op: Operation) -> Recast:
    return Recast(op, "MatMul", ((0, 2, 4), (1, 3, 5)))


def _integer(op: Operation) -> Recast:
    return Recast(op, "MatMul", ((0,), (1,)))


# The operator, what it is in truth, the parameters of its output, and whose type that has.
_RECAST: list[tuple[str, Callable[[Operation], Recast], tuple[int, ...], int]] = [
    ("MatMulInteger16", _integer, (), 0),
    ("MatMulIntegerToFloat", _to_float, (6,), 2),
    ("QLinearAveragePool", _average_pool, (3, 4), 0),
    ("QLinearConcat", _concat, (0, 1), 1),
    ("QLinearGlobalAveragePool", _global_pool, (3, 4), 0),
    ("QLinearReduceMean", _reduce_mean, (3, 4), 0),
    ("QLinearSoftmax", _softmax, (3, 4), 0),
]

for _name, _view, _last, _like in _RECAST:
    transfer(_name, domain=MICROSOFT, shape=inferred(_view), like=_like)(_with(_view, *_last))

transfer("QGemm", domain=MICROSOFT, shape=_gemm_shape, like=8)(_with(_gemm, 7, 8))
transfer("QLinearAveragePool", domain=NHWC, shape=inferred(_average_pool))(
    _with(_average_pool, 3, 4)
)


# ---------------------------------------------------------------- quantised as it runs


def _everything_of(op: Operation, k: int) -> Read:
    """All of input `k`, whose least and greatest element give scale and zero point."""
    return PerAxis(k, (STATISTIC,) * len(op.shape(k)))


def _dynamic_mat_mul(op: Operation) -> Recast:
    return Recast(op, "MatMul", (0, (1, 2, 3)))


@transfer("DynamicQuantizeMatMul", domain=MICROSOFT, shape=inferred(_dynamic_mat_mul))
def dynamic_quantize_mat_mul(op: Operation) -> Reads:
    """MatMul of A, which is quantised by the least and the greatest of its elements.

    Y[batch, i, j] <- A[batch, i, all], A[all], B[batch, all, j], b_scale[j], bias[j]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftdynamicquantizematmul
    """
    return [*_with(_dynamic_mat_mul, 4)(op), _everything_of(op, 0)]


def _lstm(op: Operation) -> Recast:
    return Recast(
        op,
        "LSTM",
        (0, (1, 8, 9), (2, 10, 11), *[k if op.has(k) else None for k in range(3, 8)]),
        moved={1: (0, 2, 1), 2: (0, 2, 1)},
        per={1: 0, 2: 0},
    )


@transfer("DynamicQuantizeLSTM", domain=MICROSOFT, shape=inferred(_lstm))
def dynamic_quantize_lstm(op: Operation) -> Reads:
    """LSTM, whose input and hidden state are quantised by their least and greatest elements.

    Y[t, d, b, h] <- what LSTM reads, and X[all]

    W and R are as in LSTM, with their last two axes swapped.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftdynamicquantizelstm
    """
    found = _lstm(op).reads()
    # The state of one sequence is quantised with that of the others.
    mixed = [_everything_of(op, k) for k in (0, 1, 2, 3, 5, 6, 7) if op.has(k)]
    if isinstance(found, tuple):
        return tuple([*reads, *mixed] for reads in found)
    return [*found, *mixed]


# ---------------------------------------------------------------- packed weights


def _features(op: Operation) -> Shape:
    return (*op.shape(0)[:-1], op.attribute("N"))


@transfer("MatMulNBits", domain=MICROSOFT, shape=_features)
def mat_mul_n_bits(op: Operation) -> Reads:
    """MatMul by a matrix of N columns that is packed column by column, in blocks with a scale.

    Y[..., n] <- A[..., all], B[n, all], scales[n], zero_points[n], g_idx[all], bias[n]

    scales and zero_points may be flat: those of column n are the n-th run of equal length.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmatmulnbits
    """
    rank, columns = len(op.shape(0)), op.attribute("N")
    n = rank - 1
    reads: list[Read] = [PerAxis(0, (*map(same, range(n)), STATISTIC))]
    for k in (1, 2, 3):
        if op.has(k):
            shape = op.shape(k)
            run = shape[0] // columns
            own = same(n) if run == 1 else window(n, run, run, 1, 0)
            reads.append(PerAxis(k, (own, *[STATISTIC] * (len(shape) - 1))))
    if op.has(4):
        reads.append(PerAxis(4, (STATISTIC,)))
    return [*reads, Elementwise(5)] if op.has(5) else reads


def _bnb_shape(op: Operation) -> Shape:
    return (*op.shape(0)[:-1], op.attribute("N" if op.attribute("transB", 1) else "K"))


@transfer("MatMulBnb4", domain=MICROSOFT, shape=_bnb_shape)
def mat_mul_bnb4(op: Operation) -> Reads:
    """MatMul by a matrix of N rows of length K, two of its elements in a byte, in blocks.

    Y[..., n] <- A[..., all], B[n*K/2 .. ((n+1)*K - 1)/2], absmax of the blocks of n's row
    transB=0:  Y[..., k] <- A[..., all], B[all], absmax[all]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmatmulbnb4
    """
    rank, rows, row = len(op.shape(0)), op.attribute("N"), op.attribute("K")
    reads: list[Read] = [PerAxis(0, (*map(same, range(rank - 1)), STATISTIC))]
    n = np.arange(rows)
    for k, size in ((1, 2), (2, op.attribute("block_size"))):
        own: AxisRead = STATISTIC
        if op.attribute("transB", 1):
            first = n * row // size
            own = Table((rank - 1,), first, ((n + 1) * row - 1) // size - first + 1)
        reads.append(PerAxis(k, (own,)))
    return reads
