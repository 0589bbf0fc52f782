"""Operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rfgraph.model.graph import Node
from rfgraph.model.sizes import is_unknown
from rfgraph.ops.registry import Operation, Reads, Undetermined, axis_of, describe, transfer
from rfgraph.prune.facts import Knowledge
from rfgraph.prune.passing import Moves
from rfgraph.reads.words import (
    WHOLE,
    Along,
    AxisRead,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    lookup,
    part,
    point,
    same,
    shifted,
    strided,
    tiled,
)

_COMPUTED_SHAPE = "its new shape is computed: all along the axes of unknown size is assumed"
_COMPUTED_PLACES = "where it cuts is computed: all along the axes that are cut is assumed"
_COMPUTED_REPEATS = "its 'repeats' are computed: all along the axes of unknown size is assumed"
_COMPUTED_PADS = "its 'pads' or 'axes' are computed: all along the axes that are padded is assumed"


@transfer("Flatten", since=1)
@transfer("Reshape", since=1, computed=_COMPUTED_SHAPE)
@transfer("Squeeze", since=1, computed=_COMPUTED_SHAPE)
@transfer("Unsqueeze", since=1, computed=_COMPUTED_SHAPE)
def reshape(op: Operation) -> Reads:
    """The elements keep their order.

    Y.flat[o] <- X.flat[o]

    Where a runtime has the channels in blocks of b behind the positions, those that make an axis of
    a block's channels move none:  Y[n, c, o, k] <- X[n, c*b + k, o],  and the other way round.

    https://onnx.ai/onnx/operators/onnx__Reshape.html
    """
    shape = op.shape(0)
    if op.in_blocks(0):
        Y, rank = op.out(), len(shape)
        if are_blocks_of(Y, shape):
            view = (*Y[:2], Y[-1], *Y[2:-1])
            return [Rearrange(0, view, (0, 1, *range(3, rank + 1), 2))]
        if are_blocks_of(shape, Y):
            return [Rearrange(0, shape, (0, 1, rank - 1, *range(2, rank - 1)))]
    if op.live(1) and not op.has_sizes_of_its_own(1):
        op.note(_COMPUTED_SHAPE)
        return [Rearrange(0, shape, tuple(range(len(shape)))), Everything(1)]
    if op.op_type == "Squeeze":
        for axis in op.attribute("axes") or ():
            axis_of(axis, len(shape))
    return [Rearrange(0, shape, tuple(range(len(shape))))]


def are_blocks_of(blocks: Shape, image: Shape) -> bool:
    """Whether they are those of the channels of an image, behind the positions.

    >>> are_blocks_of((1, 4, 5, 6, 8), (1, 32, 5, 6)), are_blocks_of((1, 32, 5, 6), (1, 32, 5, 6))
    (True, False)
    """
    if len(blocks) != len(image) + 1 or len(image) < 2:
        return False
    return (blocks[0], blocks[1] * blocks[-1], *blocks[2:-1]) == image


@transfer("Transpose", since=1)
def transpose(op: Operation) -> Reads:
    """The axes are permuted.

    Y[o] <- X[i]  with  i[perm[a]] = o[a]

    https://onnx.ai/onnx/operators/onnx__Transpose.html
    """
    shape = op.shape(0)
    perm = op.attribute("perm") or list(range(len(shape)))[::-1]
    return [Rearrange(0, shape, tuple(perm))]


@transfer("DepthToSpace", since=1)
def depth_to_space(op: Operation) -> Reads:
    """Blocks of channels become blocks of positions.

    DCR (depth, column, row): Y[n, c, h*b + y, w*b + x] <- X[n, (y*b + x)*C + c, h, w]
    CRD:                      Y[n, c, h*b + y, w*b + x] <- X[n, (c*b + y)*b + x, h, w]

    https://onnx.ai/onnx/operators/onnx__DepthToSpace.html
    """
    N, C, H, W = op.shape(0)
    b = op.attribute("blocksize")
    if op.attribute("mode", "DCR") == "DCR":
        return [Rearrange(0, (N, b, b, C // (b * b), H, W), (0, 3, 4, 1, 5, 2))]
    return [Rearrange(0, (N, C // (b * b), b, b, H, W), (0, 1, 4, 2, 5, 3))]


@transfer("SpaceToDepth", since=1)
def space_to_depth(op: Operation) -> Reads:
    """Blocks of positions become blocks of channels.

    DCR (depth, column, row): Y[n, (y*b + x)*C + c, h, w] <- X[n, c, h*b + y, w*b + x]
    CRD:                      Y[n, (c*b + y)*b + x, h, w] <- X[n, c, h*b + y, w*b + x]

    https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html
    """
    N, C, H, W = op.shape(0)
    b = op.attribute("blocksize")
    depth_first = op.attribute("mode", "DCR") == "DCR"
    order = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
    return [Rearrange(0, (N, C, H // b, b, W // b, b), order)]


def along_axis(rank: int, axis: int, read: AxisRead) -> tuple[AxisRead, ...]:
    """`read` along one axis and the same coordinate along the others."""
    return tuple(read if a == axis else same(a) for a in range(rank))


@transfer("Concat", since=4)
def concat(op: Operation) -> Reads:
    """Each input has its own part of one axis.

    Y[o] <- X_k[o - begin of k's part along `axis`]

    two inputs of 2:   o: 0 1 2 3   reads: X_0{0} X_0{1} X_1{0} X_1{1}

    https://onnx.ai/onnx/operators/onnx__Concat.html
    """
    rank = len(op.out())
    axis = axis_of(op.attribute("axis"), rank)
    reads: list[Read] = []
    begin = 0
    for k in op.inputs:
        size = op.shape(k)[axis]
        if is_unknown(op.out()[axis]):
            # Nor is it known where the parts begin.
            reads.append(PerAxis(k, along_axis(rank, axis, WHOLE)))
            continue
        reads.append(PerAxis(k, along_axis(rank, axis, part(axis, begin, size))))
        begin += size
    return reads


@transfer("Split", since=2, computed=_COMPUTED_PLACES)
def split(op: Operation) -> Reads:
    """Each output is a part of one axis.

    Y_k[o] <- X[o + begin of k's part along `axis`]

    https://onnx.ai/onnx/operators/onnx__Split.html
    """
    shape = op.shape(0)
    rank = len(shape)
    axis = axis_of(op.attribute("axis", 0), rank)
    count = len(op.outputs)
    if is_unknown(shape[axis]) or op.live(1):
        steering: list[Read] = []
        if op.live(1):
            op.note(_COMPUTED_PLACES)
            steering.append(Everything(1))
        return [PerAxis(0, along_axis(rank, axis, WHOLE)), *steering]
    sizes = op.integers(1, "split") or [-(-shape[axis] // count)] * count
    begins = [sum(sizes[:k]) for k in range(count)]
    return tuple([PerAxis(0, along_axis(rank, axis, shifted(axis, begin)))] for begin in begins)


@transfer("Slice", since=1, computed=_COMPUTED_PLACES)
def slice_(op: Operation) -> Reads:
    """Each sliced axis is read from `starts` on, `steps` apart; negative steps flip.

    Y[o] <- X[start + o*step along each of `axes`]

    start=3 step=-2:   o: 0 1   reads: {3} {1}

    Attributes before version 10, inputs from then on.

    https://onnx.ai/onnx/operators/onnx__Slice.html
    """
    shape = op.shape(0)
    reads: list[AxisRead] = [same(axis) for axis in range(len(shape))]
    computed = [k for k in (1, 2, 3, 4) if op.live(k)]
    if computed:
        return _sliced_somewhere(op, computed)
    starts = op.integers(1, "starts") or []
    axes = op.integers(3, "axes") or list(range(len(starts)))
    steps = op.integers(4, "steps") or [1] * len(starts)
    for start, axis, step in zip(starts, axes, steps, strict=True):
        axis = axis_of(axis, len(shape))
        size = shape[axis]
        if is_unknown(size):
            reads[axis] = WHOLE
            continue
        start = start + size if start < 0 else start
        start = min(max(start, 0), size - 1 if step < 0 else size)
        reads[axis] = strided(axis, start, step)
    return [PerAxis(0, tuple(reads))]


def _sliced_somewhere(op: Operation, computed: Sequence[int]) -> Reads:
    """A slice of which some inputs are computed."""
    op.note(_COMPUTED_PLACES)
    shape = op.shape(0)
    along: list[AxisRead] = [WHOLE] * len(shape)
    if not op.live(3):
        starts = op.shape(1)
        cut = op.integers(3, "axes") or list(range(starts[0]))
        cut = [axis_of(axis, len(shape)) for axis in cut]
        along = [WHOLE if axis in cut else same(axis) for axis in range(len(shape))]
    return [PerAxis(0, tuple(along)), *map(Everything, computed)]


@transfer("Tile", since=6, computed=_COMPUTED_REPEATS)
def tile(op: Operation) -> Reads:
    """The input is repeated.

    Y[o] <- X[o mod size, each axis]

    two inputs three times:   o: 0 1 2 3 4 5   reads: {0} {1} {0} {1} {0} {1}

    https://onnx.ai/onnx/operators/onnx__Tile.html
    """
    along: list[AxisRead] = []
    for axis, (n, m) in enumerate(zip(op.shape(0), op.out(), strict=True)):
        if is_unknown(n) or is_unknown(m):
            along.append(WHOLE)
        else:
            along.append(same(axis) if n == m else tiled(axis, n))
    reads: list[Read] = [PerAxis(0, tuple(along))]
    if op.live(1):
        op.note(_COMPUTED_REPEATS)
        reads.append(Everything(1))
    return reads


@transfer("Pad", since=2, computed=_COMPUTED_PADS)
def pad(op: Operation) -> Reads:
    """Inside, the input shifted; outside, nothing, or what the mode puts there.

    constant:  Y[o] <- X[o - begin], and `constant_value` outside
    edge, reflect, wrap:  Y[o] <- X[clamped, mirrored or wrapped o - begin]

    reflect by 1, three inputs:   o: 0 1 2 3 4   reads: {1} {0} {1} {2} {1}

    Negative pads crop. Attributes before version 11, inputs from then on.

    https://onnx.ai/onnx/operators/onnx__Pad.html
    """
    shape = op.shape(0)
    rank = len(shape)
    computed = [k for k in (1, 3) if op.live(k)]
    if computed:
        return _padded_somewhere(op, computed)
    Y = op.out()
    pads = op.integers(1, "pads") or op.attribute("paddings") or []
    axes = op.integers(3, "axes") or list(range(rank))
    begins, ends = [0] * rank, [0] * rank
    for axis, begin, end in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        axis = axis_of(axis, rank)
        begins[axis], ends[axis] = begin, end
    mode = op.attribute("mode", "constant")
    along = [
        WHOLE
        if is_unknown(shape[axis])
        else _padded(axis, shape[axis], Y[axis], begins[axis], ends[axis], mode)
        for axis in range(rank)
    ]
    reads: list[Read] = [PerAxis(0, tuple(along))]
    if mode == "constant" and op.live(2):
        for axis in range(rank):
            if is_unknown(Y[axis]):
                return [*reads, Everything(2)]
            value = Stage((Y[axis],), [Elementwise(2)])
            for first, last in ((0, begins[axis]), (Y[axis] - ends[axis], Y[axis])):
                if last > first:
                    reads.append(PerAxis(value, (Along(axis, part=(first, last)),)))
    return reads


def _padded_somewhere(op: Operation, computed: Sequence[int]) -> Reads:
    """A padding of which some inputs are computed."""
    op.note(_COMPUTED_PADS)
    rank = len(op.shape(0))
    along: list[AxisRead] = [WHOLE] * rank
    if op.has(3) and not op.live(3):
        padded = [axis_of(axis, rank) for axis in op.integers(3, "axes") or ()]
        along = [WHOLE if axis in padded else same(axis) for axis in range(rank)]
    steering = [*computed, 2] if op.live(2) else computed
    return [PerAxis(0, tuple(along)), *map(Everything, steering)]


def _padded(axis: int, size: int, outputs: int, begin: int, end: int, mode: str) -> AxisRead:
    if not (begin or end):
        return same(axis)
    inside = shifted(axis, -begin)
    if mode == "constant":
        return inside
    # Negative pads crop first, and the rest is extended.
    first, size = max(-begin, 0), size + min(begin, 0) + min(end, 0)
    i = np.arange(outputs) - max(begin, 0)
    if mode == "edge":
        i = np.clip(i, 0, size - 1)
    elif mode == "wrap":
        i %= size
    elif mode == "reflect":
        i = i % max(2 * size - 2, 1)
        i = np.minimum(i, 2 * size - 2 - i)
    else:
        raise Undetermined(f"its mode '{mode}' is not known")
    return lookup((axis,), i + first, interior=inside)


def gathered(axes: Sequence[int], indices: np.ndarray) -> AxisRead:
    """The listed coordinates; as a pattern where they are equally spaced."""
    if indices.ndim == 0:
        return point(int(indices))
    if indices.ndim == 1 and indices.size:
        step = int(indices[1] - indices[0]) if indices.size > 1 else 1
        if (np.diff(indices) == step).all() and step:
            return strided(axes[0], int(indices[0]), step)
    return lookup(axes, indices)


def _padding(known: Knowledge, node: Node, kind: np.dtype) -> np.ndarray | None:
    """What a Pad puts around; None where the data decide, or where it repeats what is inside."""
    if node.attribute("mode", "constant") != "constant":
        return None
    if len(node.inputs) > 2 and node.inputs[2]:
        given = known.of(node.inputs[2])
        if given is None or not given.known.all():
            return None
        return np.asarray(given.value.reshape(-1)[0])
    return np.asarray(node.attribute("value", 0.0), dtype=kind)


describe(
    "DepthToSpace Flatten Reshape Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze",
    facts=Moves(),
)
describe("Concat", facts=Moves(every=True))
describe("Pad", facts=Moves(fill=_padding, steering=()))
