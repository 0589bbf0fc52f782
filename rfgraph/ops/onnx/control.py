"""Control flow and containers, as far as `rfgraph.unroll` leaves them: where data decide."""

from __future__ import annotations

from collections.abc import Sequence

from rfgraph.model.sizes import Sized, all_known, is_unknown
from rfgraph.ops.onnx.moving import along_axis
from rfgraph.ops.registry import Operation, Reads, Undetermined, axis_of, transfer
from rfgraph.reads.words import (
    WHOLE,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    part,
    same,
)


def _alternatives(op: Operation, k: int) -> list[int]:
    """The inputs that may become output `k`: after the first, one for each output in turn."""
    return list(range(1 + k, len(op.inputs), len(op.outputs)))


def _common_shapes(op: Operation) -> list[Sized | None]:
    # What chooses is a tensor: a sequence in its place has no shape, and unknown elements.
    op.shape(0)
    return [_common([op.shape(j) for j in _alternatives(op, k)]) for k in op.outputs]


def _common(shapes: Sequence[Shape]) -> Sized | None:
    """One shape for several: what they have in common, None for the rest."""
    if len(set(map(len, shapes))) != 1:
        return None
    return tuple(
        [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)]
    )


_UNKNOWN_SIZE = "a sequence of unknown length, or values of different ranks: all is read"


@transfer("If", shape=_common_shapes, like=1, computed=_UNKNOWN_SIZE)
@transfer("SequenceAt", shape=_common_shapes, like=1, computed=_UNKNOWN_SIZE)
def chosen(op: Operation) -> Reads:
    """One of several values, of which the data tell which one.

    Y[o] <- X_k[o] for every k, and what chooses

    Here are the inputs: what chooses, then the values of one branch, then those of the other. A
    choice that is static has been made already.

    https://onnx.ai/onnx/operators/onnx__If.html
    https://onnx.ai/onnx/operators/onnx__SequenceAt.html
    """
    op.shape(0)
    return tuple([Everything(0), *map(Elementwise, _alternatives(op, k))] for k in op.outputs)


_UNROLLED_UP_TO = (
    "the data decide how many rounds there are, or there are many: each row is assumed to see "
    "what any row sees"
)


@transfer("Loop", shape=lambda _: None, computed=_UNROLLED_UP_TO)
@transfer("Scan", shape=lambda _: None, computed=_UNROLLED_UP_TO)
def repeated(op: Operation) -> Reads:
    """The state after any number of rounds, and rows that the rounds have made.

    state[o] <- what a round leaves[o], first[o] if there may be none, what decides how often
    rows[t, o] <- row[o] of any round

    What the body reads is followed until nothing changes any more. A small static number of
    rounds has been unrolled already.

    https://onnx.ai/onnx/operators/onnx__Loop.html
    https://onnx.ai/onnx/operators/onnx__Scan.html
    """
    body = op.node.body
    if body is None:
        raise Undetermined("in this version lengths may differ along the batch")
    states, given = len(body.carried), len(op.inputs)
    condition = given + states
    steering: list[Read] = [Everything(k) for k in (*range(given - states), condition)]
    outputs = [[*steering, Elementwise(given + k)] for k in range(states)]
    if not body.at_least_once:
        for k, reads in enumerate(outputs):
            reads.append(Elementwise(given - states + k))
    axes = op.attribute("scan_output_axes") or [0] * len(op.outputs)
    for k, output in enumerate(op.outputs[states:]):
        row = condition + 1 + k
        if not op.made(output):
            outputs.append([])
            continue
        op.note(
            "the rows that its rounds make are not told apart: each is assumed to see what any "
            "row sees"
        )
        rank = len(op.shape(row))
        own = [a for a in range(rank + 1) if a != axis_of(axes[k], rank + 1)]
        outputs.append([*steering, PerAxis(row, tuple(map(same, own)))])
    return tuple(outputs)


def _joined_shape(op: Operation) -> Sized | None:
    shapes = [op.shape(k) for k in op.inputs]
    if not shapes:
        return None
    common = _common(shapes)
    if common is None:
        return None
    if op.attribute("new_axis", 0):
        axis = axis_of(op.attribute("axis"), len(shapes[0]) + 1)
        return (*common[:axis], len(shapes), *common[axis:])
    axis = axis_of(op.attribute("axis"), len(shapes[0]))
    sizes = [shape[axis] for shape in shapes]
    total = sum(sizes) if all_known(sizes) else None
    return (*common[:axis], total, *common[axis + 1 :])


@transfer("ConcatFromSequence", shape=_joined_shape, computed=_UNKNOWN_SIZE)
def concat_from_sequence(op: Operation) -> Reads:
    """Each element has its own part of one axis, which is a new one with ``new_axis``.

    Y[o] <- X_k[o - begin of k's part along `axis`]

    Here the inputs are the elements of the sequence.

    https://onnx.ai/onnx/operators/onnx__ConcatFromSequence.html
    """
    rank = len(op.out())
    axis = axis_of(op.attribute("axis"), rank)
    reads: list[Read] = []
    begin = 0
    for k in op.inputs:
        shape = op.shape(k)
        source: int | Stage = k
        if op.attribute("new_axis", 0):
            source = Stage((*shape[:axis], 1, *shape[axis:]))
            source.reads.append(Rearrange(k, shape, tuple(range(len(shape)))))
            shape = source.shape
        if is_unknown(op.out()[axis]):
            # Nor is it known where the parts begin.
            reads.append(PerAxis(source, along_axis(rank, axis, WHOLE)))
            continue
        reads.append(PerAxis(source, along_axis(rank, axis, part(axis, begin, shape[axis]))))
        begin += shape[axis]
    return reads


@transfer("Optional")
@transfer("OptionalGetElement", computed=_UNKNOWN_SIZE)
@transfer("OptionalHasElement", computed=_UNKNOWN_SIZE)
@transfer("SequenceConstruct")
@transfer("SequenceEmpty")
@transfer("SequenceErase", computed=_UNKNOWN_SIZE)
@transfer("SequenceInsert", computed=_UNKNOWN_SIZE)
@transfer("SequenceLength", computed=_UNKNOWN_SIZE)
@transfer("SequenceMap", computed=_UNKNOWN_SIZE)
@transfer("SplitToSequence", computed=_UNKNOWN_SIZE)
def container(op: Operation) -> Reads:
    """A container as a whole holds all that was put into it.

    Y <- all of every input

    What is taken out of one whose length is static has been traced to the element itself.

    https://onnx.ai/onnx/operators/onnx__SequenceConstruct.html
    https://onnx.ai/onnx/operators/onnx__Optional.html
    """
    return [Everything(k) for k in op.sources]
