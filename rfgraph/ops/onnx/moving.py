"""Operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from rfgraph.model.graph import Kind, Node
from rfgraph.model.sizes import Sized, is_unknown
from rfgraph.ops.registry import (
    Operation,
    Reads,
    Undetermined,
    axis_of,
    describe,
    traits_of,
    transfer,
)
from rfgraph.ops.shaping import (
    AxisCut,
    Extents,
    ShapeRule,
    Steering,
    Wrong,
    axes_given,
    axis_in,
    by_last,
    integers,
    need,
)
from rfgraph.prune.passing import Moves, Told
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

_COMPUTED_SHAPE = "its new shape is computed: everything along the axes of unknown size is assumed"
_COMPUTED_PLACES = "where it cuts is computed: everything along the axes that are cut is assumed"
_COMPUTED_REPEATS = (
    "its 'repeats' are computed: everything along the axes of unknown size is assumed"
)
_COMPUTED_PADS = (
    "its 'pads' or 'axes' are computed: everything along the axes that are padded is assumed"
)


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


def _padding(node: Node, kind: np.dtype, told: Told) -> Any:
    """What a Pad puts around; None where the data decide, or where it repeats what is inside."""
    if node.attribute("mode", "constant") != "constant":
        return None
    if len(node.inputs) > 2 and node.inputs[2]:
        return told(2)
    return np.asarray(node.attribute("value", 0.0), dtype=kind)


# ---------------------------------------------------------------- shapes


def _has_shape_attribute(kind: Kind) -> bool:
    """Before version 5 the new shape is an attribute, and inference knows nothing."""
    return kind.version < 5 and kind.attribute("shape") is not None


def _reshape(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    shape = shapes[0]
    told = _has_shape_attribute(kind)
    new: list[int] = kind.attribute("shape") if told else integers(values[0])
    if not told:
        need(values[0] is not None and values[0].ndim == 1)
        need(min(new, default=0) >= -1 and new.count(-1) <= 1)
    keeps_zeros = kind.attribute("allowzero", 0)
    sizes = [n if n or keeps_zeros else shape[axis] for axis, n in enumerate(new)]
    if -1 in sizes:
        open_ = sizes.index(-1)
        others = prod(sizes[:open_] + sizes[open_ + 1 :])
        need(told or (others and prod(shape) % others == 0))
        sizes[open_] = prod(shape) // others
    need(told or prod(sizes) == prod(shape))
    return tuple(sizes)


def _flatten(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    shape, axis = shapes[0], kind.attribute("axis", 1)
    need(-len(shape) <= axis <= len(shape) and (axis >= 0 or kind.version >= 11))
    if axis < 0:
        axis += len(shape)
    return prod(shape[:axis]), prod(shape[axis:])


def _has_unsorted_axes(kind: Kind) -> bool:
    """Before version 13 inference drops the wrong axes where they are out of order."""
    axes = kind.attribute("axes") or []
    return bool(kind.version < 13 and axes != sorted(axes))


def _squeeze(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    shape, axes = shapes[0], axes_given(kind, values[0])
    if axes is None:
        return tuple([n for n in shape if n != 1])
    gone = {axis_in(axis, len(shape)) for axis in axes}
    need(axes and len(gone) == len(axes) and all(shape[axis] == 1 for axis in gone))
    return tuple([n for axis, n in enumerate(shape) if axis not in gone])


def _unsqueeze(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    axes = axes_given(kind, values[0])
    assert axes is not None
    rank = len(shapes[0]) + len(axes)
    new = {axis_in(axis, rank) for axis in axes}
    need(len(new) == len(axes))
    left = iter(shapes[0])
    return tuple([1 if axis in new else next(left) for axis in range(rank)])


def _transpose(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    shape = shapes[0]
    perm = kind.attribute("perm")
    need(shape)
    if perm is None:
        return shape[::-1]
    need(sorted(perm) == list(range(len(shape))))
    return tuple([shape[axis] for axis in perm])


def _has_slice_attributes(kind: Kind) -> bool:
    """Before version 10 inference gives up on axes that are out of order."""
    return bool(kind.version < 10 and kind.attribute("starts") and kind.attribute("ends"))


def _slice(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    sizes = list(shapes[0])
    if _has_slice_attributes(kind):
        starts, ends = kind.attribute("starts"), kind.attribute("ends")
        axes = kind.attribute("axes") or range(len(starts))
        for start, end, axis in zip(starts, ends, axes, strict=True):
            sizes[axis] = len(range(*slice(start, end).indices(shapes[0][axis])))
        return tuple(sizes)
    starts, ends = integers(values[0]), integers(values[1])
    axes = range(len(starts)) if values[2] is None else integers(values[2])
    steps = [1] * len(starts) if values[3] is None else integers(values[3])
    seen = set()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_in(axis, len(sizes))
        need(axis not in seen)
        seen.add(axis)
        sizes[axis] = sliced(sizes[axis], start, end, step)
    return tuple(sizes)


def sliced(n: int, start: int, end: int, step: int) -> int:
    """How many elements of an axis of `n` a Slice takes, which confines places to the axis.

    >>> sliced(5, -2, 9, 1), sliced(5, -1, -9, -2)
    (2, 3)
    """
    need(n > 0 and step)
    start += n if start < 0 else 0
    end += n if end < 0 else 0
    if step > 0:
        start, end = min(max(start, 0), n), min(max(end, 0), n)
    else:
        start, end = min(max(start, 0), n - 1), min(max(end, -1), n - 1)
    return max(-((start - end) // step), 0)


def _concat(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    first = shapes[0]
    axis = kind.attribute("axis")
    need(axis >= 0 or kind.version >= 11)
    axis = axis_in(axis, len(first))
    before, behind = first[:axis], first[axis + 1 :]
    size = 0
    for shape in shapes:
        if (*shape[:axis], *shape[axis + 1 :]) != (*before, *behind) or len(shape) != len(first):
            raise Wrong(f"{first} and {shape} can't be joined along axis {axis}")
        size += shape[axis]
    return (*before, size, *behind)


def _split(kind: Kind, shapes: Extents, values: Steering) -> list[Shape]:
    shape, count = shapes[0], kind.outputs
    axis = axis_in(kind.attribute("axis", 0), len(shape))
    n = shape[axis]
    sizes = kind.attribute("split") if values[0] is None else integers(values[0])
    if sizes is None:
        # Before version 18 the parts are equal, from then on the last one may be smaller.
        need(n % count == 0 or kind.version >= 18)
        told = kind.attribute("num_outputs")
        if kind.version >= 18 and told not in (None, count):
            raise Wrong(f"num_outputs is {told}, and it has {count} outputs")
        need(kind.version < 18 or told is not None)
        part = -(-n // count)
        sizes = [part] * (count - 1) + [n - part * (count - 1)]
    if len(sizes) != count:
        raise Wrong(f"it is split into {len(sizes)} parts, and has {count} outputs")
    need(sum(sizes) == n and min(sizes) >= 0)
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _tile(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    repeats = integers(values[0])
    need(min(repeats, default=0) >= 0)
    return tuple([n * r for n, r in zip(shapes[0], repeats, strict=True)])


def _pad(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    shape = shapes[0]
    pads = kind.attribute("pads") if kind.version < 11 else integers(values[0])
    axes = range(len(shape)) if values[1] is None else integers(values[1])
    need(len(axes) and len(pads) == 2 * len(axes))
    sizes = list(shape)
    seen = set()
    for k, axis in enumerate(axes):
        axis = axis_in(axis, len(shape))
        need(axis not in seen)
        seen.add(axis)
        sizes[axis] += pads[k] + pads[k + len(axes)]
        need(sizes[axis] >= 0)
    return tuple(sizes)


def _depth_to_space(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    n, c, h, w = shapes[0]
    block = kind.attribute("blocksize")
    need(block > 0 and c % (block * block) == 0)
    return n, c // (block * block), h * block, w * block


def _space_to_depth(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    n, c, h, w = shapes[0]
    block = kind.attribute("blocksize")
    need(block > 0 and h % block == 0 and w % block == 0)
    return n, c * block * block, h // block, w // block


def _reshaped(source: Shape, given: Shape, allowzero: bool) -> Sized:
    """What a reshape makes of `source`: the sizes that are `given`, 0 and -1 as they are meant."""
    wanted: list[int | None] = []
    for axis, size in enumerate(given):
        if is_unknown(size):
            # Of any other number nobody knows whether it is 0 or -1.
            wanted.append(size if size in source else None)
        elif size == 0 and not allowzero:
            wanted.append(source[axis])
        else:
            wanted.append(None if size == -1 else size)
    if wanted.count(None) != 1:
        return tuple(wanted)
    # The elements that the others leave.
    left = [n for n in source if is_unknown(n)]
    for known in wanted:
        if known is not None and is_unknown(known):
            if known not in left:
                return tuple(wanted)
            left.remove(known)
    whole = prod(n for n in source if not is_unknown(n))
    others = prod(n for n in wanted if n is not None and not is_unknown(n))
    if others == 0 or whole % others or len(left) > 1 or (left and whole != others):
        return tuple(wanted)
    size = left[0] if left else whole // others
    return tuple([size if n is None else n for n in wanted])


def _told(node: Node, source: Shape | None, given: Shape) -> Sized | None:
    """The shape of a Reshape, some of whose sizes are open."""
    if source is None:
        return None
    return _reshaped(source, given, bool(node.attribute("allowzero", 0)))


# ---------------------------------------------------------------- values


def _shaped(kind: Kind, inputs: Sequence[Any]) -> Any:
    """Elements in their order, in the shape that the rule of the operator gives."""
    rule = traits_of("", kind.op_type).shape
    assert rule is not None
    shapes = [() if value is None else value.shape for value in inputs]
    values = [inputs[k] if k < len(inputs) else None for k in rule.steering]
    shape = rule.shape(kind, shapes, values)
    return inputs[0].reshape(shape)


def _transposed_value(kind: Kind, inputs: Sequence[Any]) -> Any:
    return inputs[0].transpose(kind.attribute("perm"))


def _joined(kind: Kind, inputs: Sequence[Any]) -> Any:
    need(all(value.dtype == inputs[0].dtype for value in inputs))
    return np.concatenate(inputs, kind.attribute("axis"))


def _sliced_value(kind: Kind, inputs: Sequence[Any]) -> Any:
    need(kind.version >= 10)
    data, *given = inputs
    starts, ends, axes, steps = [*given, None, None][:4]
    cut: list[Any] = [slice(None)] * data.ndim
    if axes is None:
        axes = np.arange(len(starts))
    if steps is None:
        steps = np.ones(len(starts), np.int64)
    need(starts.ndim == ends.ndim == axes.ndim == steps.ndim == 1)
    for start, end, axis, step in zip(
        starts.tolist(), ends.tolist(), axes.tolist(), steps.tolist(), strict=True
    ):
        n = data.shape[axis]
        need(n > 0 and step and cut[axis] == slice(None))
        start += n if start < 0 else 0
        end += n if end < 0 else 0
        if step > 0:
            cut[axis] = slice(max(start, 0), max(end, 0), step)
        else:
            start, end = min(max(start, 0), n - 1), min(end, n - 1)
            cut[axis] = slice(start, None if end < 0 else end, step)
    return data[tuple(cut)]


def _split_value(kind: Kind, inputs: Sequence[Any]) -> Any:
    value = inputs[0]
    axis = kind.attribute("axis", 0)
    shapes = _split(kind, [value.shape], [inputs[1] if len(inputs) > 1 else None])
    ends = np.cumsum([shape[axis] for shape in shapes])[:-1]
    return np.split(value, ends, axis)


def _tiled_value(kind: Kind, inputs: Sequence[Any]) -> Any:
    value, repeats = inputs
    need(repeats.shape == (value.ndim,))
    return np.tile(value, repeats.tolist())


describe("Concat", shape=ShapeRule(_concat), value=_joined)
describe("DepthToSpace", shape=ShapeRule(_depth_to_space))
describe("Flatten", shape=ShapeRule(_flatten), value=_shaped)
describe("Pad", shape=ShapeRule(_pad, (1, 3)), growth=by_last, cut=AxisCut((1,), axes=3))
describe(
    "Reshape",
    shape=ShapeRule(_reshape, (1,), instead=_has_shape_attribute),
    value=_shaped,
    told=_told,
)
describe(
    "Slice",
    shape=ShapeRule(_slice, (1, 2, 3, 4), instead=_has_slice_attributes),
    value=_sliced_value,
    cut=AxisCut((1, 2, 4), axes=3),
)
describe("SpaceToDepth", shape=ShapeRule(_space_to_depth))
describe("Split", shape=ShapeRule(_split, (1,)), value=_split_value, cut=AxisCut((1,), axis=0))
describe("Squeeze", shape=ShapeRule(_squeeze, (1,), instead=_has_unsorted_axes), value=_shaped)
describe("Tile", shape=ShapeRule(_tile, (1,)), value=_tiled_value, growth=by_last)
describe("Transpose", shape=ShapeRule(_transpose), value=_transposed_value)
describe("Unsqueeze", shape=ShapeRule(_unsqueeze, (1,)), value=_shaped)
describe(
    "DepthToSpace Flatten Reshape Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze",
    facts=Moves(),
)
describe("Concat", facts=Moves(every=True))
describe("Pad", facts=Moves(fill=_padding, steering=()))
