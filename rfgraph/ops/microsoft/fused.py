"""Operators of com.microsoft that join several of ONNX's: fused products, activations and norms.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md describes them all.
"""

from __future__ import annotations

import numpy as np

from rfgraph.ops.equivalent import Recast, inferred
from rfgraph.ops.onnx.convolution import conv
from rfgraph.ops.onnx.elementwise import elementwise
from rfgraph.ops.onnx.linear import gemm
from rfgraph.ops.onnx.reduction import axis_of_rows, set_in_relation
from rfgraph.ops.registry import Operation, Reads, axis_of, describe, transfer
from rfgraph.prune.passing import SoftmaxWeights
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Elementwise,
    PerAxis,
    Read,
    Shape,
    Stage,
    block,
    point,
    same,
    shifted,
)

MICROSOFT = "com.microsoft"


def like_first(op: Operation) -> Shape:
    """The shape of the first input."""
    return op.shape(0)


def broadcast(op: Operation) -> Shape:
    """The common shape of all inputs, as numpy broadcasts them."""
    return np.broadcast_shapes(*(op.shape(k) for k in op.inputs if op.has(k)))


# ---------------------------------------------------------------- activations, biases

_ELEMENTWISE = """
    BiasAdd BiasGelu FastGelu Gelu MurmurHash3 QuickGelu SampleOp ScaledSiLU
"""

for _name in _ELEMENTWISE.split():
    transfer(_name, domain=MICROSOFT, shape=like_first)(elementwise)


@transfer("BiasDropout", domain=MICROSOFT, shape=like_first)
def bias_dropout(op: Operation) -> Reads:
    """As Dropout, with a bias and a residual: `mask` is by chance.

    output[o] <- data[o], bias[o], residual[o], ratio, training_mode

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftbiasdropout
    """
    settings: list[Read] = [Elementwise(k) for k in (3, 4) if op.has(k)]
    data: list[Read] = [Elementwise(k) for k in (0, 1, 2) if op.has(k)]
    return [*data, *settings], settings


@transfer("GatedAdd", domain=MICROSOFT, shape=like_first)
def gated_add(op: Operation) -> Reads:
    """X, to which Y is added times the gate of its row, which may be projected by gate_weight.

    output[..., c] <- X[..., c], Y[..., c], gate[..., 0]; with gate_weight, gate[..., all] and
    gate_weight[all, 0]

    X 2x3, gate 2x1:   output[1, 2] reads X[1, 2], Y[1, 2], gate[1, 0]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftgatedadd
    """
    if not op.has(3):
        return [Elementwise(0), Elementwise(1), Elementwise(2)]
    rows = [same(axis) for axis in range(len(op.shape(0)) - 1)]
    gate = [PerAxis(2, (*rows, STATISTIC)), PerAxis(3, (STATISTIC, point(0)))]
    return [Elementwise(0), Elementwise(1), *gate]


@transfer("BiasSplitGelu", domain=MICROSOFT, shape=lambda op: _half(op.shape(0)))
def bias_split_gelu(op: Operation) -> Reads:
    """The left half of the last axis times the activation of the right half, each with its bias.

    Y[n, s, d] <- X[n, s, d], X[n, s, d + D/2], bias[d], bias[d + D/2]

    D=4:   d: 0 1   reads: {0,2} {1,3}

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftbiassplitgelu
    """
    half = op.shape(0)[-1] // 2
    reads: list[Read] = []
    for begin in (0, half):
        reads.append(PerAxis(0, (same(0), same(1), shifted(2, begin))))
        reads.append(PerAxis(1, (shifted(2, begin),)))
    return reads


def _half(shape: Shape) -> Shape:
    return (*shape[:-1], shape[-1] // 2)


@transfer("BiasSoftmax", domain=MICROSOFT, shape=like_first)
def bias_softmax(op: Operation) -> Reads:
    """Softmax over the axes from `axis` on, of data to which a bias is added.

    output[o] <- data[o], data[all from `axis` on], and so of bias

    With ``is_inner_broadcast`` the bias has size 1 along axes right before `axis`, else along
    the first ones, or lacks them.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftbiassoftmax
    """
    shape = op.shape(0)
    axis = axis_of(op.attribute("axis", 1), len(shape))
    total = Stage(shape, [Elementwise(0), Elementwise(1)])
    if axis == len(shape) - 1:
        return [Elementwise(total), set_in_relation(op, (0, 1), axis, total)]
    over = [same(a) if a < axis else STATISTIC for a in range(len(shape))]
    return [Elementwise(total), PerAxis(total, tuple(over))]


# ---------------------------------------------------------------- products


def _conv(op: Operation) -> Recast:
    return Recast(op, "Conv", (0, 1, 2))


@transfer("FusedConv", domain=MICROSOFT, shape=inferred(_conv))
def fused_conv(op: Operation) -> Reads:
    """Conv, to which Z is added before the activation.

    Y[n, m, o] <- what Conv reads of X, W, B, and Z[n, m, o]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftfusedconv
    """
    reads = conv(op)
    assert isinstance(reads, list)
    return [*reads, Elementwise(3)] if op.has(3) else reads


def _gemm(op: Operation) -> Recast:
    return Recast(op, "Gemm", (0, 1, 2))


transfer("FusedGemm", domain=MICROSOFT, shape=inferred(_gemm))(gemm)


def _mat_mul(op: Operation) -> Recast:
    moved = {
        k: _transposition(
            len(op.shape(k)), op.attribute(f"transBatch{name}", 0), op.attribute(f"trans{name}", 0)
        )
        for k, name in enumerate("AB")
    }
    plain = {k: axes for k, axes in moved.items() if axes != tuple(range(len(axes)))}
    return Recast(op, "MatMul", (0, 1), moved=plain)


def _transposition(rank: int, batch: int, matrix: int) -> tuple[int, ...]:
    axes = list(range(rank))
    if batch and rank > 2:
        axes[:-1] = [*axes[1:-1], 0]
    if matrix and rank > 1:
        axes[-2:] = axes[:-3:-1]
    return tuple(axes)


@transfer("FusedMatMul", domain=MICROSOFT, shape=inferred(_mat_mul))
@transfer("FusedMatMulActivation", domain=MICROSOFT, shape=inferred(_mat_mul))
@transfer("TransposeMatMul", domain=MICROSOFT, shape=inferred(_mat_mul))
def fused_mat_mul(op: Operation) -> Reads:
    """MatMul of A' and B', which are A and B, transposed first where the attributes say so.

    Y[batch, i, j] <- A'[batch, i, all], B'[batch, all, j]

    ``transBatchA`` moves the first axis behind the batch axes, ``transA`` swaps the last two:
    with both A[k, batch, i] is A'[batch, i, k].

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftfusedmatmul
    """
    return _mat_mul(op).reads()


def _gemm_fast_gelu(op: Operation) -> Recast:
    return Recast(op, "MatMul", (0, 1))


@transfer("GemmFastGelu", domain=MICROSOFT, shape=inferred(_gemm_fast_gelu))
def gemm_fast_gelu(op: Operation) -> Reads:
    """MatMul, a bias and an activation.

    Y[..., j] <- X[..., all], W[all, j], bias[j]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftgemmfastgelu
    """
    reads = _gemm_fast_gelu(op).reads()
    assert isinstance(reads, list)
    return [*reads, Elementwise(2)]


@transfer("Inverse", domain=MICROSOFT, shape=like_first)
def inverse(op: Operation) -> Reads:
    """Each element depends on its whole matrix.

    Y[batch, i, j] <- X[batch, all, all]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftinverse
    """
    batch = [same(a) for a in range(len(op.shape(0)) - 2)]
    return [PerAxis(0, (*batch, STATISTIC, STATISTIC))]


# ---------------------------------------------------------------- normalisations


def _skip_shapes(op: Operation) -> list[Shape | None]:
    shape = op.shape(0)
    return [shape, (*shape[:-1], 1), (*shape[:-1], 1), shape]


@transfer("SkipLayerNormalization", domain=MICROSOFT, shape=_skip_shapes)
@transfer("SkipSimplifiedLayerNormalization", domain=MICROSOFT, shape=_skip_shapes)
def skip_layer_normalization(op: Operation) -> Reads:
    """LayerNormalization over the last axis of a sum, which is the fourth output.

    s[b, t, c] = input[b, t, c] + skip[b, t, c] + bias[c]
    output[b, t, c] <- s[b, t, c], s[b, t, all], gamma[c], beta[c];  mean[b, t] <- s[b, t, all]

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftskiplayernormalization
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftskipsimplifiedlayernormalization
    """
    shape = op.shape(0)
    bias = 4 if op.op_type == "SkipLayerNormalization" else 3
    terms: list[Read] = [Elementwise(k) for k in (0, 1, bias) if op.has(k)]
    total = Stage(shape, terms)
    over: list[Read] = [PerAxis(total, (*[same(a) for a in range(len(shape) - 1)], STATISTIC))]
    parameters: list[Read] = [Elementwise(k) for k in range(2, bias) if op.has(k)]
    return [Elementwise(total), *over, *parameters], over, list(over), list(terms)


def _group_norm_shape(op: Operation) -> list[Shape | None]:
    return [op.shape(0)] * len(op.outputs)


@transfer("GroupNorm", domain=MICROSOFT, shape=_group_norm_shape)
@transfer("SkipGroupNorm", domain=MICROSOFT, shape=_group_norm_shape)
def group_norm(op: Operation) -> Reads:
    """GroupNormalization, channels last unless ``channels_last=0``; SkipGroupNorm that of a sum.

    s[n, o, c] = X[n, o, c] + skip[n, o, c] + bias[c], which is the second output
    Y[n, o, c] <- s[n, o, c], s[n, all, channels of c's group], gamma[c], beta[c]

    skip may lack the spatial axes, or have size 1 there.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftgroupnorm
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftskipgroupnorm
    """
    shape = op.shape(0)
    rank = len(shape)
    channel = rank - 1 if op.attribute("channels_last", 1) else 1
    terms: list[Read] = [Elementwise(0)]
    if op.has(3):
        given = op.shape(3)
        if len(given) == 2:
            terms.append(PerAxis(3, (same(0), same(channel))))
        else:
            terms.append(Elementwise(3))
    if op.has(4):
        terms.append(PerAxis(4, (same(channel),)))
    total = Stage(shape, terms)
    size = shape[channel] // op.attribute("groups")
    over: list[AxisRead] = [same(0), *[STATISTIC] * (rank - 1)]
    over[channel] = block(channel, size, size)
    return [
        Elementwise(total),
        PerAxis(total, tuple(over)),
        *[PerAxis(k, (same(channel),)) for k in (1, 2)],
    ], list(terms)


describe("BiasSoftmax", domain="com.microsoft", facts=SoftmaxWeights(axis_of_rows))
