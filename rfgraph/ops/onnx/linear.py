"""Products that contract axes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, TypeAlias

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.ops.registry import Operation, Reads, Undetermined, describe, transfer
from rfgraph.ops.rounding import Rounding
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Steering,
    Wrong,
    broadcast,
    need,
)
from rfgraph.prune.passing import Sums
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Coordinate,
    Elementwise,
    Factor,
    PerAxis,
    Read,
    Shape,
    Source,
    Stage,
    point,
    same,
)


@transfer("Gemm", since=7)
def gemm(op: Operation) -> Reads:
    """Each output element reads a row of A' and a column of B'.

    Y[i, j] <- A'[i, k] * B'[k, j] for all k, C[i, j];  A' is A, or its transpose with ``transA``

    https://onnx.ai/onnx/operators/onnx__Gemm.html
    """
    A: Axes = ("k", same(0)) if op.attribute("transA", 0) else (same(0), "k")
    B: Axes = (same(1), "k") if op.attribute("transB", 0) else ("k", same(1))
    reads: list[Read] = []
    if op.attribute("alpha", 1.0) or not op.prune:
        reads += product(Operand(0, A, 0), Operand(1, B, 1))
    if op.has(2) and (op.attribute("beta", 1.0) or not op.prune):
        reads.append(Elementwise(2))
    return reads


@transfer("MatMul", since=1)
def mat_mul(op: Operation) -> Reads:
    """Each output element reads a row of A and a column of B, as numpy.matmul does.

    Y[batch, i, j] <- A[batch, i, k] * B[batch, k, j] for all k

    https://onnx.ai/onnx/operators/onnx__MatMul.html
    """
    return multiplied(op, op.shape(0), op.shape(1), (0, 0), (1, 1))


# Axes of an operand of a product: a read follows the output, what is named is summed over.
Axes: TypeAlias = "tuple[AxisRead | str, ...]"


class Operand(NamedTuple):
    """An operand of a product.

    Attributes
    ----------
    source : int or Stage
        Where it comes from.
    axes : tuple of AxisRead or str
        What is read along its axes; all where an axis has a name.
    factor : int, ndarray of bool or None
        The input that it is, or where it is 0; None if nothing is known of that.
    stored : tuple of AxisRead or str, optional
        The axes of `factor` where these are others.
    """

    source: Source
    axes: Axes
    factor: int | np.ndarray | None
    stored: Axes | None = None


def product(*operands: Operand) -> list[Read]:
    """What is read of operands that are multiplied, and summed over the names of their axes."""
    reads: list[Read] = []
    for operand in operands:
        at = {a: Coordinate(k) for k, a in enumerate(operand.axes) if isinstance(a, str)}
        along = tuple([STATISTIC if isinstance(a, str) else a for a in operand.axes])
        times = []
        for o in operands:
            if o.factor is not None:
                own = [at.get(a, a) if isinstance(a, str) else a for a in o.stored or o.axes]
                times.append(Factor(o.factor, tuple(own)))
        reads.append(PerAxis(operand.source, along, tuple(times)))
    return reads


def multiplied(
    op: Operation,
    A: Shape,
    B: Shape,
    left: tuple[Source, int | np.ndarray | None],
    right: tuple[Source, int | np.ndarray | None],
) -> list[Read]:
    """What a matrix product of arrays of the shapes `A` and `B` reads of both.

    `left` and `right`: where they come from, and the input that they are or where they are 0.
    """
    rank = len(op.out())
    row, column = len(A) > 1, len(B) > 1
    batch = rank - row - column

    def leading(shape: Shape) -> Axes:
        sizes = shape[:-2]
        first = batch - len(sizes)
        return tuple([same(first + k) if n > 1 else point(0) for k, n in enumerate(sizes)])

    rows: Axes = (*leading(A), same(batch), "k") if row else ("k",)
    columns: Axes = (*leading(B), "k", same(rank - 1)) if column else ("k",)
    (a, zeros_a), (b, zeros_b) = left, right
    return product(Operand(a, rows, zeros_a), Operand(b, columns, zeros_b))


@transfer("Einsum", since=12)
def einsum(op: Operation) -> Reads:
    """Labels of the output are followed, the others are summed over.

    Y[labels] <- product of X_k[o for labels of the output, all for the others]

    "bij,bjk->bik":   Y[b,i,k] <- X_0[b,i,j] * X_1[b,j,k] for all j

    A label that an operand has twice and the output lacks is summed along the diagonal, which
    is taken first.

    https://onnx.ai/onnx/operators/onnx__Einsum.html
    """
    equation = op.attribute("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    shapes = [op.shape(k) for k in op.inputs]
    if len(terms) != len(shapes):
        raise Undetermined(f"its equation '{equation}' has {len(terms)} operands")
    inputs = [_labels(term, len(shape)) for term, shape in zip(terms, shapes, strict=True)]
    dots = sorted({lab for labels in inputs for lab in labels if isinstance(lab, int)})
    if arrow:
        before, ellipsis, after = right.partition("...")
        output = [*before, *(dots if ellipsis else []), *after]
    else:
        every = [label for labels in inputs for label in labels]
        single = {
            label for label in every if not isinstance(label, int) and every.count(label) == 1
        }
        output = [*dots, *sorted(single)]
    place = {label: axis for axis, label in enumerate(output)}
    sizes: dict[str | int, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, size in zip(labels, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, size))

    def axis(label: str | int, size: int) -> AxisRead | str:
        # Only under an ellipsis a size of 1 is broadcast.
        if size == 1 and (label in place or sizes[label] > 1):
            return point(0)
        return same(place[label]) if label in place else str(label)

    operands = []
    for k, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        source: Source = k
        axes = tuple(map(axis, labels, shape))
        stored = axes
        if any(labels.count(label) > 1 and label not in place for label in labels):
            distinct = list(dict.fromkeys(labels))
            diagonal = PerAxis(k, tuple(same(distinct.index(label)) for label in labels))
            of = tuple(sizes[label] for label in distinct)
            source, axes = Stage(of, [diagonal]), tuple(map(axis, distinct, of))
        operands.append(Operand(source, axes, k, stored))
    return product(*operands)


def _labels(term: str, rank: int) -> list[str | int]:
    """The label of each axis; axes under an ellipsis are numbered from the last, -1."""
    before, ellipsis, after = term.partition("...")
    hidden = rank - len(before) - len(after) if ellipsis else 0
    return [*before, *range(-hidden, 0), *after]


def product_shape(a: int, b: int) -> Callable[[Kind, Extents, Steering], Shape]:
    """How a matrix product of inputs `a` and `b` has its shape."""

    def output(kind: Kind, shapes: Extents, _: Steering) -> Shape:
        A, B = shapes[a], shapes[b]
        need(A and B)
        if A[-1] != (B[-2] if len(B) > 1 else B[0]):
            raise Wrong(f"{A} and {B} can't be multiplied")
        batch = broadcast((A[:-2], B[:-2]))
        return (*batch, *A[-2:-1], *(B[-1:] if len(B) > 1 else ()))

    return output


def _gemm_shape(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    A, B = shapes[:2]
    need(len(A) == len(B) == 2)
    if kind.attribute("transA", 0):
        A = A[::-1]
    if kind.attribute("transB", 0):
        B = B[::-1]
    out = (A[0], B[1])
    need(A[1] == B[0] and (len(shapes) < 3 or broadcast((out, shapes[2])) == out))
    return out


def _multiplied_sums(op: Operation, axes: Collection[int]) -> Rounding:
    """Sizes other than that of the last axis count for nothing."""
    A, Y = op.shape(0), op.out()
    if len(Y) - 1 not in axes:
        return Rounding()
    return Rounding(A[-2 if op.attribute("transA", 0) else -1], Y[-1])


describe("Gemm", shape=ShapeRule(_gemm_shape), rounding=_multiplied_sums)
describe("MatMul", shape=ShapeRule(product_shape(0, 1)), rounding=_multiplied_sums)
describe("Einsum Gemm MatMul", facts=Sums(cut=True))
describe("Einsum Gemm MatMul", streamed="attend within a window, or behind a causal mask")
