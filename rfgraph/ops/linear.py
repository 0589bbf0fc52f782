"""Products that contract axes."""

from __future__ import annotations

from rfgraph.ops.registry import Operation, Reads, Undetermined, transfer
from rfgraph.reads import (
    LINEAR,
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


def mixed(op: Operation, *others: int) -> AxisRead:
    """The read of a contracted axis: by fixed weights if no other operand is computed."""
    return STATISTIC if any(op.live(k) for k in others) else LINEAR


@transfer("Gemm", since=7)
def gemm(op: Operation) -> Reads:
    """Each output element reads a row of A' and a column of B'.

    Y[i, j] <- A'[i, all], B'[all, j], C[i, j];  A' is A, or its transpose with ``transA``

    https://onnx.ai/onnx/operators/onnx__Gemm.html
    """
    a: tuple[AxisRead, ...] = (same(0), mixed(op, 1))
    b: tuple[AxisRead, ...] = (mixed(op, 0), same(1))
    reads: list[Read] = [
        PerAxis(0, a[::-1] if op.attribute("transA", 0) else a),
        PerAxis(1, b[::-1] if op.attribute("transB", 0) else b),
    ]
    if op.has(2):
        reads.append(Elementwise(2))
    return reads


@transfer("MatMul", since=1)
def mat_mul(op: Operation) -> Reads:
    """Each output element reads a row of A and a column of B, as numpy.matmul does.

    Y[batch, i, j] <- A[batch, i, all], B[batch, all, j]

    https://onnx.ai/onnx/operators/onnx__MatMul.html
    """
    return multiplied(op, op.shape(0), op.shape(1), (0, mixed(op, 1)), (1, mixed(op, 0)))


def multiplied(
    op: Operation,
    A: Shape,
    B: Shape,
    left: tuple[Source, AxisRead],
    right: tuple[Source, AxisRead],
) -> list[Read]:
    """What a matrix product of arrays of the shapes `A` and `B` reads of both.

    `left` and `right`: where they come from, and how the contracted axis is read.
    """
    rank = len(op.out())
    row, column = len(A) > 1, len(B) > 1
    batch = rank - row - column

    def leading(shape: Shape, matrix: int) -> list[AxisRead]:
        sizes = shape[:-matrix]
        first = batch - len(sizes)
        return [same(first + k) if n > 1 else point(0) for k, n in enumerate(sizes)]

    (a, along), (b, down) = left, right
    return [
        PerAxis(a, (*leading(A, 2), same(batch), along) if row else (along,)),
        PerAxis(b, (*leading(B, 2), down, same(rank - 1)) if column else (down,)),
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
    place = {label: axis for axis, label in enumerate(output)}
    reads: list[Read] = []
    for k, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        others = [other for other in op.inputs if other != k]
        reads.append(_operand(k, labels, shape, place, mixed(op, *others)))
    return reads


def _labels(term: str, rank: int) -> list[str | int]:
    """The label of each axis; axes under an ellipsis are numbered from the last, -1."""
    before, ellipsis, after = term.partition("...")
    hidden = rank - len(before) - len(after) if ellipsis else 0
    return [*before, *range(-hidden, 0), *after]


def _operand(
    k: int,
    labels: list[str | int],
    shape: Shape,
    place: dict[str | int, int],
    mixed: AxisRead,
) -> PerAxis:
    def read(label: str | int, size: int) -> AxisRead:
        if label not in place:
            return mixed
        # Only under an ellipsis a size of 1 is broadcast.
        return point(0) if size == 1 else same(place[label])

    twice = {label for label in labels if labels.count(label) > 1 and label not in place}
    if not twice:
        return PerAxis(k, tuple(map(read, labels, shape)))
    distinct = list(dict.fromkeys(labels))
    sizes = tuple(
        max(s for lab, s in zip(labels, shape, strict=True) if lab == d) for d in distinct
    )
    diagonal = PerAxis(k, tuple(same(distinct.index(label)) for label in labels))
    return PerAxis(Stage(sizes, [diagonal]), tuple(map(read, distinct, sizes)))
