"""Operators that pick elements by index or by place."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, prod
from typing import Any

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.model.sizes import Shape, Sized, is_unknown
from rfgraph.ops.onnx.moving import along_axis, gathered
from rfgraph.ops.registry import Computed, Operation, Reads, axis_of, describe, transfer
from rfgraph.ops.shaping import (
    AxisCut,
    Extents,
    ShapeRule,
    Steering,
    Wrong,
    always,
    axis_in,
    by_sizes,
    need,
    unchanged,
)
from rfgraph.prune.passing import Moves, zeros_elsewhere
from rfgraph.reads.words import (
    WHOLE,
    AxisRead,
    Elementwise,
    Everything,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Source,
    Stage,
    Table,
    same,
    shifted,
)

_COMPUTED = "its 'indices' are computed: the whole axis of 'data' is assumed"
_COMPUTED_CROP = "its 'shape' is computed: everything along the axes of unknown size is assumed"
_COMPUTED_CONDITION = "its 'condition' is computed: the whole axis is assumed"
_COMPUTED_K = "its 'k' is computed: no element is assumed to be cut off"
_COMPUTED_LENGTHS = "its 'sequence_lens' are computed: any length is assumed"


def compressed(axes: Sequence[int], *arrays: np.ndarray) -> tuple[list[int], list[np.ndarray]]:
    """The arrays, one axis for each of `axes`, without the axes on which none of them varies."""
    kept, left = list(axes), list(arrays)
    for place, axis in reversed(list(enumerate(axes))):
        if left[0].shape[place] and all((a == a.take([0], axis=place)).all() for a in left):
            left = [a.take(0, axis=place) for a in left]
            kept.remove(axis)
    return kept, left


def listed(
    axes: Sequence[int],
    starts: np.ndarray,
    counts: np.ndarray,
) -> AxisRead:
    """`counts` coordinates from `starts` on for every coordinate of the output axes `axes`."""
    starts, counts = np.where(counts > 0, starts, 0), np.maximum(counts, 0)
    kept, (first, many) = compressed(axes, starts, counts)
    if not kept and many > 0:
        return Fixed(int(first), int(many))
    if not kept:
        # Nothing is read anywhere.
        kept, none = [axes[-1]], np.zeros(starts.shape[-1], dtype=np.int64)
        first = many = none
    return Table(
        tuple(kept),
        np.ascontiguousarray(first, dtype=np.int64),
        np.ascontiguousarray(many, dtype=np.int64),
    )


def _indices(op: Operation, size: int) -> np.ndarray | None:
    """Input 1 as coordinates of an axis of length `size`; None, and a note, if it is computed, and
    None if the data decide the size.
    """
    if is_unknown(size):
        return None
    indices = op.static(1)
    if indices is None:
        if op.live(0):
            op.note(_COMPUTED)
        return None
    return within(indices, size)


def within(indices: np.ndarray, size: int) -> np.ndarray:
    """Indices, which may count from the end, as coordinates of an axis of length `size`."""
    if indices.size and not (-size <= indices.min() and indices.max() < size):
        raise ValueError(
            f"'indices' are from {indices.min()} to {indices.max()}, and the axis has {size} "
            "elements"
        )
    return np.where(indices < 0, indices + size, indices)


def _picked(axes: list[int], indices: np.ndarray) -> AxisRead:
    """`gathered` along `axes`, without those on which the indices do not vary."""
    kept, (left,) = compressed(axes, indices)
    return gathered(kept, left)


@transfer("Gather", since=1, computed=_COMPUTED)
def gather(op: Operation) -> Reads:
    """Coordinates along one axis are listed.

    Y[before, j, after] <- data[before, indices[j], after], indices[j]

    indices [2, 0, 0]:   o: 0 1 2   reads: {2} {0} {0}

    Indices that are computed may name any coordinate: the whole axis, with a note.

    https://onnx.ai/onnx/operators/onnx__Gather.html
    """
    data, rank = op.shape(0), len(op.shape(1))
    axis = axis_of(op.attribute("axis", 0), len(data))
    own = list(range(axis, axis + rank))
    indices = _indices(op, data[axis])
    chosen = WHOLE if indices is None else _picked(own, indices)
    before = [same(a) for a in range(axis)]
    after = [same(a + rank - 1) for a in range(axis + 1, len(data))]
    return [PerAxis(0, (*before, chosen, *after)), PerAxis(1, tuple(same(a) for a in own))]


@transfer("GatherElements", since=11, computed=_COMPUTED)
def gather_elements(op: Operation) -> Reads:
    """Each output element has its own coordinate along one axis.

    Y[o] <- data[o with indices[o] along `axis`], indices[o]

    https://onnx.ai/onnx/operators/onnx__GatherElements.html
    """
    data, Y = op.shape(0), op.out()
    axis = axis_of(op.attribute("axis", 0), len(data))
    axes = list(range(len(Y)))
    indices = _indices(op, data[axis])
    along: list[AxisRead] = [same(a) for a in axes]
    along[axis] = WHOLE if indices is None else _picked(axes, indices)
    return [PerAxis(0, tuple(along)), PerAxis(1, tuple(same(a) for a in axes))]


@transfer("GatherND", since=11, computed=_COMPUTED)
def gather_nd(op: Operation) -> Reads:
    """Each row of indices is a place in the leading axes of `data`.

    Y[batch, j, after] <- data[batch, indices[batch, j, :], after], indices[batch, j, all]

    https://onnx.ai/onnx/operators/onnx__GatherND.html
    """
    data, shape = op.shape(0), op.shape(1)
    batch = op.attribute("batch_dims", 0)
    own = list(range(len(shape) - 1))
    depth = shape[-1]
    if not 0 <= batch <= len(own):
        raise ValueError(f"batch_dims is {batch}, and the indices have {len(shape)} axes")
    if batch + depth > len(data):
        raise ValueError(
            f"an index has {batch + depth} coordinates, and the data have {len(data)} axes"
        )
    indices = op.static(1)
    along: list[AxisRead] = [same(a) for a in range(batch)]
    if indices is None:
        if op.live(0):
            op.note(_COMPUTED)
        along += [WHOLE] * depth
    else:
        for k, size in enumerate(data[batch : batch + depth]):
            known = not is_unknown(size)
            along.append(_picked(own, within(indices[..., k], size)) if known else WHOLE)
    first = len(own) - batch - depth
    along += [same(a + first) for a in range(batch + depth, len(data))]
    reads: list[Read] = [PerAxis(0, tuple(along))]
    return [*reads, PerAxis(1, (*[same(a) for a in own], WHOLE))]


@transfer("Trilu", since=14, computed=_COMPUTED_K)
def trilu(op: Operation) -> Reads:
    """The elements above the k-th diagonal, or below it without ``upper``, are set to zero.

    Y[batch, i, j] <- X[batch, i, j]  where  j - i >= k with ``upper``,  j - i <= k without

    k=0 lower, row 1 of three:   j: 0 1 2   reads: {0} {1} {}

    https://onnx.ai/onnx/operators/onnx__Trilu.html
    """
    *batch, rows, columns = op.shape(0)
    if op.live(1):
        op.note(_COMPUTED_K)
        return [Elementwise(0), PerAxis(1, (Fixed(),) * len(op.shape(1)))]
    k = int(op.constant(1, "k").reshape(())) if op.has(1) else 0
    i, j = np.ogrid[:rows, :columns]
    kept = (j - i >= k) if op.attribute("upper", 1) else (j - i <= k)
    row, column = len(batch), len(batch) + 1
    if kept.all():
        return [Elementwise(0)]
    own = np.broadcast_to(j, kept.shape)
    triangle = Table((row, column), own, kept.astype(np.int64), interior=same(column))
    return [PerAxis(0, along_axis(column + 1, column, triangle))]


@transfer("OneHot", since=9)
def one_hot(op: Operation) -> Reads:
    """One class of each position is on, the others are off.

    Y[before, c, after] <- indices[before, after], values[1 if indices names c else 0]

    indices [2, 0], depth 3:   (o, c): (0,0) (0,1) (0,2)   reads of values: {0} {0} {1}

    Where the indices are computed both values may be meant.

    https://onnx.ai/onnx/operators/onnx__OneHot.html
    """
    Y, indices = op.out(), op.static(0)
    axis = axis_of(op.attribute("axis", -1), len(Y))
    others = [a for a in range(len(Y)) if a != axis]
    reads: list[Read] = [PerAxis(0, tuple(same(a) for a in others))]
    if op.live(2):
        chosen: AxisRead = WHOLE
        if indices is not None:
            named = indices.astype(np.int64)
            if op.version >= 11:
                named = np.where(named < 0, named + Y[axis], named)
            classes = np.arange(Y[axis]).reshape(-1, *[1] * (len(Y) - 1 - axis))
            on = np.expand_dims(named, axis) == classes
            chosen = listed(range(len(Y)), on, np.ones_like(on, dtype=np.int64))
        reads.append(PerAxis(2, (chosen,)))
    return reads


@transfer("Range", since=11, conservative="the size of its output depends on the data")
def range_(op: Operation) -> Reads:
    """Numbers one after the other: computed bounds decide even how many.

    Y[o] <- start, limit, delta

    https://onnx.ai/onnx/operators/onnx__Range.html
    """
    raise Computed("the size of its output depends on the data")


@transfer("ReverseSequence", since=10, computed=_COMPUTED_LENGTHS)
def reverse_sequence(op: Operation) -> Reads:
    """Each sequence of the batch is reversed up to its own length.

    Y[b, t] <- input[b, len_b - 1 - t] for t < len_b, else input[b, t];  sequence_lens[b]

    lengths 2 and 3 of three:   t: 0 1 2   reads: {1} {0} {2} and {2} {1} {0}

    A computed length may be any: Y[b, t] <- input[b, 0 .. T-1-t], input[b, t].

    https://onnx.ai/onnx/operators/onnx__ReverseSequence.html
    """
    shape = op.shape(0)
    rank = len(shape)
    time = axis_of(op.attribute("time_axis", 0), rank)
    batch = axis_of(op.attribute("batch_axis", 1), rank)
    t = np.arange(shape[time], dtype=np.int64)
    lengths = op.static(1)
    if lengths is not None:
        ends = np.expand_dims(lengths.astype(np.int64), 1)
        source = np.where(t < ends, ends - 1 - t, t)
        axes = [batch, time]
        if batch > time:
            axes, source = [time, batch], source.T
        return [PerAxis(0, along_axis(rank, time, _picked(axes, source)))]
    op.note(_COMPUTED_LENGTHS)
    mirrored = Table((time,), np.zeros_like(t), shape[time] - t)
    return [
        Elementwise(0),
        PerAxis(0, along_axis(rank, time, mirrored)),
        PerAxis(1, (same(batch),)),
    ]


def _compressed_shape(op: Operation) -> Sized:
    shape, condition = op.shape(0), op.static(1)
    axis = op.attribute("axis")
    kept = int(np.count_nonzero(condition)) if condition is not None else None
    if axis is None:
        return (kept,)
    axis = axis_of(axis, len(shape))
    return (*shape[:axis], kept, *shape[axis + 1 :])


@transfer(
    "Compress",
    since=9,
    shape=_compressed_shape,
    computed=_COMPUTED_CONDITION,
)
def compress(op: Operation) -> Reads:
    """The slices along one axis where `condition` holds, or such elements of the flat input.

    Y[o] <- input[j_o along `axis`],  j_o the o-th place where `condition` is true

    condition [0, 1, 1]:   o: 0 1   reads: {1} {2}

    https://onnx.ai/onnx/operators/onnx__Compress.html
    """
    shape, axis = op.shape(0), op.attribute("axis")
    if op.live(1) or op.static(1) is None:
        op.note(_COMPUTED_CONDITION)
        if axis is None:
            return [Everything(0), Everything(1)]
        axis = axis_of(axis, len(shape))
        return [PerAxis(0, along_axis(len(shape), axis, WHOLE)), Everything(1)]
    places = np.flatnonzero(op.constant(1, "condition"))
    source: Source = 0
    if axis is None:
        source = Stage((prod(shape),), [Rearrange(0, shape, tuple(range(len(shape))))])
        shape, axis = (prod(shape),), 0
    axis = axis_of(axis, len(shape))
    return [PerAxis(source, along_axis(len(shape), axis, _picked([axis], places)))]


@transfer("CenterCropPad", since=18, computed=_COMPUTED_CROP)
def center_crop_pad(op: Operation) -> Reads:
    """Each of `axes` is cropped or padded at both ends, an odd element more at its end.

    Y[o] <- input[o + floor((size - new size)/2)] where cropped,
            input[o - floor((new size - size)/2)] where padded

    three to two:   o: 0 1   reads: {0} {1};   two to five:   o: 0 1 2 3 4   reads: {} {0} {1} {} {}

    https://onnx.ai/onnx/operators/onnx__CenterCropPad.html
    """
    along: list[AxisRead] = []
    for axis, (n, m) in enumerate(zip(op.shape(0), op.out(), strict=True)):
        if is_unknown(n) or is_unknown(m):
            along.append(WHOLE)
            continue
        along.append(shifted(axis, (n - m) // 2 if n > m else -((m - n) // 2)))
    reads: list[Read] = [PerAxis(0, tuple(along))]
    if op.live(1):
        op.note(_COMPUTED_CROP)
        reads.append(Everything(1))
    return reads


def _gather_shape(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    data, indices = shapes[:2]
    axis = axis_in(kind.attribute("axis", 0), len(data))
    return (*data[:axis], *indices, *data[axis + 1 :])


def _gather_elements_shape(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    need(len(shapes[0]) == len(shapes[1]))
    axis_in(kind.attribute("axis", 0), len(shapes[0]))
    return shapes[1]


def _gather_nd_shape(kind: Kind, shapes: Extents, _: Steering) -> Shape:
    data, indices = shapes[:2]
    batch = kind.attribute("batch_dims", 0)
    if not 0 <= batch < len(indices):
        raise Wrong(f"batch_dims is {batch}, and the indices have {len(indices)} axes")
    return indices[:-1] + data[batch + indices[-1] :]


def _range_shape(kind: Kind, shapes: Extents, values: Steering) -> Shape:
    assert all(value is not None for value in values)
    need(all(value is not None and value.dtype.kind in "iuf" for value in values))
    start, limit, delta = (value.item() for value in values if value is not None)
    return (max(ceil((limit - start) / delta), 0),)


def _gathered(kind: Kind, inputs: Sequence[Any]) -> Any:
    data, indices = inputs
    need(indices.dtype.kind in "iu")
    return data.take(indices, kind.attribute("axis", 0))


def _counted(kind: Kind, inputs: Sequence[Any]) -> Any:
    start, limit, delta = inputs
    need(start.dtype == limit.dtype == delta.dtype and delta.item())
    count = max(ceil((limit.item() - start.item()) / delta.item()), 0)
    steps = np.arange(count).astype(start.dtype)
    made = start.reshape(()) + steps * delta.reshape(())
    return made.astype(start.dtype)


def _triangle(kind: Kind, inputs: Sequence[Any]) -> Any:
    k = int(inputs[1].item()) if len(inputs) > 1 and inputs[1] is not None else 0
    return (np.triu if kind.attribute("upper", 1) else np.tril)(inputs[0], k)


def _range_length(inputs: Sequence[np.ndarray]) -> float:
    if [value.size for value in inputs] != [1, 1, 1]:
        return inf
    start, limit, delta = (float(value.item()) for value in inputs)
    return abs((limit - start) / delta) if delta else inf


describe("CenterCropPad", growth=by_sizes, cut=AxisCut((1,)))
describe("Gather", shape=ShapeRule(_gather_shape), value=_gathered)
describe("GatherElements", shape=ShapeRule(_gather_elements_shape))
# An output without axes is left open by inference.
describe("GatherND", shape=ShapeRule(_gather_nd_shape, instead=always))
describe("OneHot", growth=by_sizes)
describe("Range", shape=ShapeRule(_range_shape, (0, 1, 2)), value=_counted, growth=_range_length)
describe("Trilu", shape=ShapeRule(unchanged), value=_triangle, by_place=(0,))
describe("Compress Gather GatherElements GatherND ReverseSequence", facts=Moves())
describe("CenterCropPad Trilu", facts=Moves(fill=zeros_elsewhere))
