"""Quantisation, and convolutions and matrix products of quantised values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rfgraph.model import element_types
from rfgraph.model.graph import Kind
from rfgraph.model.sizes import Shape
from rfgraph.ops.onnx.convolution import convolved, convolved_shape
from rfgraph.ops.onnx.linear import multiplied, product_shape
from rfgraph.ops.onnx.reduction import reduced
from rfgraph.ops.onnx.windows import bias
from rfgraph.ops.registry import Operation, Reads, Windows, axis_of, describe, transfer
from rfgraph.ops.rounding import steady
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Steering,
    unchanged,
)
from rfgraph.prune.passing import Sums
from rfgraph.reads.words import Elementwise, PerAxis, Read, Source, Stage, block, point, same


def _parameter(op: Operation, k: int, axis: int) -> Read:
    """A scale or zero point: one for all, one for each place along `axis`, or broadcast."""
    shape = op.shape(k)
    if all(size == 1 for size in shape):
        return PerAxis(k, (point(0),) * len(shape))
    return PerAxis(k, (same(axis),)) if len(shape) == 1 else Elementwise(k)


def _dequantised(op: Operation, k: int, axis: int, *parameters: int) -> Source:
    """Input `k` with its scale and zero point, which go along `axis` if they are vectors."""
    given = [_parameter(op, p, axis) for p in parameters if op.live(p)]
    return Stage(op.shape(k), [Elementwise(k), *given]) if given else k


@transfer("DequantizeLinear", since=10)
@transfer("QuantizeLinear", since=10)
def quantize_linear(op: Operation) -> Reads:
    """Each element by itself, with the scale and zero point of its tensor, channel or block.

    y[o] <- x[o], y_scale[s], y_zero_point[s]

    s is o[axis] for one scale a channel; for blocks s is o with o[axis] // block_size along
    `axis`.

    block_size=2, five elements:   o: 0 1 2 3 4   s: 0 0 1 1 2

    https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
    https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
    """
    rank = len(op.shape(0))
    reads: list[Read] = [Elementwise(0)]
    for k in op.inputs[1:]:
        if not op.live(k):
            continue
        # Of a vector there is but one axis to go along.
        axis = axis_of(op.attribute("axis", 1), rank) if rank > 1 else 0
        size = op.attribute("block_size", 0)
        if size:
            along = [same(a) for a in range(rank)]
            along[axis] = block(axis, size, 1)
            reads.append(PerAxis(k, tuple(along)))
        else:
            reads.append(_parameter(op, k, axis))
    return reads


@transfer("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(op: Operation) -> Reads:
    """Each element, and the least and the greatest of all, which give scale and zero point.

    y[o] <- x[o], x[all];  y_scale, y_zero_point <- x[all]

    https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
    """
    shape = op.shape(0)
    axes = set(range(len(shape)))
    return (
        [Elementwise(0), reduced(0, shape, axes, True)],
        [reduced(0, shape, axes, False)],
        [reduced(0, shape, axes, False)],
    )


@transfer("ConvInteger", since=10)
def conv_integer(op: Operation) -> Reads:
    """Conv of x - x_zero_point and w - w_zero_point; the padding is zero after that.

    y[n, m, o] <- what Conv reads of x and w, x_zero_point, w_zero_point[m]

    Where a window meets nothing but padding no zero point is read either.

    https://onnx.ai/onnx/operators/onnx__ConvInteger.html
    """
    w = _dequantised(op, 1, 0, 3)
    kernel = w if op.live(1) or op.live(3) else None
    return convolved(
        op, 1, data=_dequantised(op, 0, 1, 2), weights=kernel, zeros=op.stored_zeros(1, 3, 0)
    )


@transfer("QLinearConv", since=10)
def q_linear_conv(op: Operation) -> Reads:
    """Conv of dequantised x and w, quantised again.

    y[n, m, o] <- what Conv reads of x and w, x_scale, x_zero_point, w_scale[m],
                  w_zero_point[m], y_scale, y_zero_point, B[m]

    The scales of x and w belong to B too, and are read where a window meets only padding.

    https://onnx.ai/onnx/operators/onnx__QLinearConv.html
    """
    live = any(op.live(k) for k in (3, 4, 5))
    w = _dequantised(op, 3, 0, 4, 5) if live else None
    reads = convolved(
        op, 3, data=_dequantised(op, 0, 1, 1, 2), weights=w, zeros=op.stored_zeros(3, 5, 0)
    )
    reads += [_parameter(op, k, 1) for k in (6, 7) if op.live(k)]
    if op.has(8):
        reads.append(bias(8))
        reads += [_parameter(op, k, 1) for k in (1, 4) if op.live(k)]
    return reads


@transfer("MatMulInteger", since=10)
def mat_mul_integer(op: Operation) -> Reads:
    """MatMul of A - a_zero_point and B - b_zero_point.

    Y[batch, i, j] <- A[batch, i, all], a_zero_point[i], B[batch, all, j], b_zero_point[j]

    A zero point is one for all, a vector over A's rows or B's columns, or broadcast.

    https://onnx.ai/onnx/operators/onnx__MatMulInteger.html
    """
    return _product(op, (0, 2), (1, 3))


@transfer("QLinearMatMul", since=10)
def q_linear_mat_mul(op: Operation) -> Reads:
    """MatMul of dequantised a and b, quantised again.

    y[batch, i, j] <- a[batch, i, all], a_scale[i], a_zero_point[i],
                      b[batch, all, j], b_scale[j], b_zero_point[j], y_scale, y_zero_point

    A scale is one for all, a vector over a's rows or b's columns, or broadcast.

    https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html
    """
    row = len(op.out()) - 2
    last = [_parameter(op, k, row) for k in (6, 7) if op.live(k)]
    return [*_product(op, (0, 1, 2), (3, 4, 5)), *last]


def _product(op: Operation, left: tuple[int, ...], right: tuple[int, ...]) -> list[Read]:
    """A matrix product of two inputs, each followed by its scales and zero points."""
    A, B = op.shape(left[0]), op.shape(right[0])
    a = _dequantised(op, left[0], len(A) - 2, *left[1:])
    b = _dequantised(op, right[0], len(B) - 1, *right[1:])
    zeros = op.stored_zeros(left[0], left[-1], -2), op.stored_zeros(right[0], right[-1])
    return multiplied(op, A, B, (a, zeros[0]), (b, zeros[1]))


def _quantised_type(kind: Kind, types: Sequence[int]) -> int:
    told = int(kind.attribute("output_dtype", 0))
    return (types[2] if len(types) > 2 else 0) or told or element_types.UINT8


def _dequantised_type(kind: Kind, types: Sequence[int]) -> int:
    return int(kind.attribute("output_dtype", 0)) or types[1]


def _dynamically_quantised(kind: Kind, shapes: Extents, _: Steering) -> list[Shape]:
    return [shapes[0], (), ()]


describe("ConvInteger", shape=ShapeRule(convolved_shape(0, 1)))
describe("QLinearConv", shape=ShapeRule(convolved_shape(0, 3)))
describe("MatMulInteger", shape=ShapeRule(product_shape(0, 1)))
describe("QLinearMatMul", shape=ShapeRule(product_shape(0, 3)))
describe("DequantizeLinear", shape=ShapeRule(unchanged, element=_dequantised_type))
describe("DynamicQuantizeLinear", shape=ShapeRule(_dynamically_quantised))
describe("QuantizeLinear", shape=ShapeRule(unchanged, element=_quantised_type))
describe("ConvInteger MatMulInteger", facts=Sums(cut=True))
describe("ConvInteger MatMulInteger QLinearConv QLinearMatMul", rounding=steady)
describe("DequantizeLinear QuantizeLinear", rounding=steady)
describe("DynamicQuantizeLinear", streamed="quantise by scales that are fixed (static)")


def _zero_point(k: int) -> Windows:
    """A window sees the zero point of the data, input `k`, in padding."""

    def padding(op: Operation) -> float | None:
        zero = op.static(k) if op.has(k) else np.zeros(())
        return None if zero is None or zero.size != 1 else float(zero.reshape(()))

    return Windows(padding)


describe("ConvInteger", windows=_zero_point(2))
describe("QLinearConv", windows=_zero_point(2))
