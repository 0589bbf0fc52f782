"""Products that contract axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import TypeAlias

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.ops.cuts import confined, kept_along, kept_together
from rfgraph.ops.registry import Operation, Reads, Undetermined, describe, transfer
from rfgraph.ops.shaping import (
    Extents,
    ShapeRule,
    Values,
    broadcast,
    need,
)
from rfgraph.prune.passing import Sums
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Elementwise,
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

    Y[i, j] <- A'[i, all], B'[all, j], C[i, j];  A' is A, or its transpose with ``transA``

    https://onnx.ai/onnx/operators/onnx__Gemm.html
    """
    flipA, flipB = op.attribute("transA", 0), op.attribute("transB", 0)
    left, right = op.zeros(0), op.zeros(1)
    left = left.T if left is not None and flipA else left
    right = right.T if right is not None and flipB else right
    A = op.shape(0)[::-1] if flipA else op.shape(0)
    B = op.shape(1)[::-1] if flipB else op.shape(1)
    reads: list[Read] = []
    if not op.prune or op.attribute("alpha", 1.0):
        along = contracted(op, left, right, A, B)
        reads += [PerAxis(0, (r, same(0)) if flipA else (same(0), r)) for r in along]
        reads += [PerAxis(1, (same(1), r) if flipB else (r, same(1))) for r in along]
    if op.has(2) and (not op.prune or op.attribute("beta", 1.0)):
        reads.append(Elementwise(2))
    return reads


@transfer("MatMul", since=1)
def mat_mul(op: Operation) -> Reads:
    """Each output element reads a row of A and a column of B, as numpy.matmul does.

    Y[batch, i, j] <- A[batch, i, all], B[batch, all, j]

    https://onnx.ai/onnx/operators/onnx__MatMul.html
    """
    return multiplied(op, op.shape(0), op.shape(1), 0, 1, (op.zeros(0), op.zeros(1)))


# The largest table of what is kept by both operands of a product.
_JOINT = 1 << 20


def contracted(
    op: Operation,
    left: np.ndarray | None,
    right: np.ndarray | None,
    A: Shape,
    B: Shape,
) -> list[AxisRead]:
    """The reads of the contracted axis k of a matrix product, without zeros of an operand.

    `left` and `right` are the zeros of the operands, (batch, i, k) and (batch, k, j), compressed;
    None for none. `A` and `B` are the operands' shapes.
    """
    rank = len(op.out())
    row, column = len(A) > 1, len(B) > 1
    kept: list[np.ndarray] = []
    if left is not None:
        kept.append(~left[..., None, :] if column else ~left)
    if right is not None:
        turned = right.swapaxes(-1, -2) if column else right
        kept.append(~turned[..., None, :, :] if column and row else ~turned)
    kept = [k.reshape((1,) * (rank + 1 - k.ndim) + k.shape) for k in kept]
    if not kept:
        return [STATISTIC]
    if prod(np.broadcast_shapes(*(k.shape for k in kept))) > _JOINT:
        # One of them alone: the one that leaves less.
        kept = [min(kept, key=lambda k: float(k.mean()))]
    both = reduce(np.logical_and, kept)
    return kept_along(op, np.broadcast_to(both, (*both.shape[:-1], A[-1])), range(rank), STATISTIC)


def multiplied(
    op: Operation,
    A: Shape,
    B: Shape,
    left: Source,
    right: Source,
    zeros: tuple[np.ndarray | None, np.ndarray | None],
) -> list[Read]:
    """What a matrix product of arrays of the shapes `A` and `B` reads of both.

    `left` and `right`: where they come from. `zeros`: their elements that are 0, compressed.
    """
    rank = len(op.out())
    row, column = len(A) > 1, len(B) > 1
    batch = rank - row - column

    def leading(shape: Shape, matrix: int) -> list[AxisRead]:
        sizes = shape[:-matrix]
        first = batch - len(sizes)
        return [same(first + k) if n > 1 else point(0) for k, n in enumerate(sizes)]

    rows = [*leading(A, 2), same(batch)] if row else []
    along = contracted(op, *zeros, A, B)
    return [
        *(PerAxis(left, (*rows, r)) for r in along),
        *(PerAxis(right, (*leading(B, 2), r, same(rank - 1)) if column else (r,)) for r in along),
    ]


@transfer("Einsum", since=12)
def einsum(op: Operation) -> Reads:
    """Labels of the output are followed, the others are summed over.

    Y[labels] <- X_k[o for labels of the output, all for the others]

    "bij,bjk->bik":   Y[b,i,k] <- X_0[b,i,all], X_1[b,all,k]

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
    product = _Product(op, inputs, output)
    return [read for k in op.inputs for read in product.reads(k)]


def _labels(term: str, rank: int) -> list[str | int]:
    """The label of each axis; axes under an ellipsis are numbered from the last, -1."""
    before, ellipsis, after = term.partition("...")
    hidden = rank - len(before) - len(after) if ellipsis else 0
    return [*before, *range(-hidden, 0), *after]


# A label of an axis; those under an ellipsis are negative numbers.
_Label: TypeAlias = "str | int"


class _Product:
    """A product of operands with labelled axes, summed over the labels that the output lacks.

    Parameters
    ----------
    op : Operation
        The node.
    inputs : list of list of label
        The labels of each operand's axes.
    output : list of label
        Those of the output's.
    """

    def __init__(self, op: Operation, inputs: list[list[_Label]], output: list[_Label]) -> None:
        self._op = op
        self._inputs = inputs
        self._place = {label: axis for axis, label in enumerate(output)}
        self._sizes: dict[_Label, int] = {}
        for k, labels in enumerate(inputs):
            for label, size in zip(labels, op.shape(k), strict=True):
                self._sizes[label] = max(size, self._sizes.get(label, size))
        # Those of the output first.
        self._order = [*output, *(label for label in self._sizes if label not in self._place)]
        self._kept = self._nonzero()

    def _nonzero(self) -> np.ndarray | None:
        """Where no operand is 0, over all labels, compressed; None: everywhere."""
        found: list[np.ndarray] = []
        for k, labels in enumerate(self._inputs):
            zeros = self._op.zeros(k)
            if zeros is None:
                continue
            distinct = list(dict.fromkeys(labels))
            if len(distinct) < len(labels):
                zeros = np.broadcast_to(zeros, self._op.shape(k))
                numbers = [distinct.index(label) for label in labels]
                zeros = np.einsum(zeros, numbers, list(range(len(distinct))))
            zeros = zeros.transpose([distinct.index(la) for la in self._order if la in distinct])
            dims = iter(zeros.shape)
            found.append(
                ~zeros.reshape([next(dims) if la in distinct else 1 for la in self._order])
            )
        if not found:
            return None
        if prod(np.broadcast_shapes(*(kept.shape for kept in found))) > _JOINT:
            # One of them alone: the one that leaves less.
            found = [min(found, key=lambda kept: float(kept.mean()))]
        return np.asarray(reduce(np.logical_and, found))

    def reads(self, k: int) -> list[Read]:
        """What is read of operand `k`."""
        labels, shape = self._inputs[k], self._op.shape(k)
        source: Source = k
        if any(labels.count(label) > 1 and label not in self._place for label in labels):
            distinct = list(dict.fromkeys(labels))
            diagonal = PerAxis(k, tuple(same(distinct.index(label)) for label in labels))
            labels, shape = distinct, tuple(self._sizes[label] for label in distinct)
            source = Stage(shape, [diagonal])
        summed = [label for label in labels if label not in self._place]

        def read(along: dict[_Label, AxisRead]) -> Read:
            # Only under an ellipsis a size of 1 is broadcast.
            return PerAxis(
                source,
                tuple(
                    along[label]
                    if label in along
                    else point(0)
                    if size == 1
                    else same(self._place[label])
                    for label, size in zip(labels, shape, strict=True)
                ),
            )

        if self._kept is None:
            return [read(dict.fromkeys(summed, STATISTIC))]
        # What is kept with any of the elements that it is multiplied with.
        others = [
            axis
            for axis, label in enumerate(self._order)
            if label not in self._place and label not in summed
        ]
        kept = np.asarray(self._kept.any(axis=tuple(others), keepdims=True))
        order = [*range(len(self._place)), *(self._order.index(label) for label in summed)]
        kept = kept.transpose([*order, *others]).reshape([kept.shape[axis] for axis in order])
        if not summed:
            return confined(self._op, [read({})], kept, self._op.out())
        sizes = [self._sizes[label] for label in summed]
        kept = np.broadcast_to(kept, (*kept.shape[: len(self._place)], *sizes))
        found = kept_together(self._op, kept, range(len(self._place)), STATISTIC)
        return [read(dict(zip(summed, along, strict=True))) for along in found]


def product_shape(a: int, b: int) -> Callable[[Kind, Extents, Values], Shape]:
    """How a matrix product of inputs `a` and `b` has its shape."""

    def output(kind: Kind, shapes: Extents, _: Values) -> Shape:
        A, B = shapes[a], shapes[b]
        need(A and B and A[-1] == (B[-2] if len(B) > 1 else B[0]))
        batch = broadcast((A[:-2], B[:-2]))
        return (*batch, *A[-2:-1], *(B[-1:] if len(B) > 1 else ()))

    return output


def _gemm_shape(kind: Kind, shapes: Extents, _: Values) -> Shape:
    A, B = shapes[:2]
    need(len(A) == len(B) == 2)
    if kind.attribute("transA", 0):
        A = A[::-1]
    if kind.attribute("transB", 0):
        B = B[::-1]
    out = (A[0], B[1])
    need(A[1] == B[0] and (len(shapes) < 3 or broadcast((out, shapes[2])) == out))
    return out


describe("Gemm", shape=ShapeRule(_gemm_shape))
describe("MatMul", shape=ShapeRule(product_shape(0, 1)))
describe("Einsum Gemm MatMul", facts=Sums(cut=True))
