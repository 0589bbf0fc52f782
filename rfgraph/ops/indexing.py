"""Operators that pick elements by index."""

from __future__ import annotations

import numpy as np

from rfgraph.ops.moving import gathered
from rfgraph.ops.registry import Operation, Reads, axis_of, transfer
from rfgraph.reads import WHOLE, AxisRead, PerAxis, Read, same

_COMPUTED = "its 'indices' are computed: the whole axis of 'data' is assumed"


def _indices(op: Operation, size: int) -> np.ndarray | None:
    """Input 1 as coordinates of an axis of length `size`; None, and a note, if it is computed."""
    indices = op.static(1)
    if indices is None:
        if op.live(0):
            op.note(_COMPUTED)
        return None
    return _within(indices, size)


def _within(indices: np.ndarray, size: int) -> np.ndarray:
    """Indices, which may count from the end, as coordinates of an axis of length `size`."""
    if indices.size and not (-size <= indices.min() and indices.max() < size):
        raise ValueError(f"'indices' from {indices.min()} to {indices.max()} on an axis of {size}")
    return np.where(indices < 0, indices + size, indices)


def _picked(axes: list[int], indices: np.ndarray) -> AxisRead:
    """`gathered` along `axes`, without those on which the indices do not vary."""
    kept = list(axes)
    for place, axis in reversed(list(enumerate(axes))):
        first = indices.take([0], axis=place) if indices.shape[place] else indices
        if indices.shape[place] and (indices == first).all():
            indices = indices.take(0, axis=place)
            kept.remove(axis)
    return gathered(kept, indices)


@transfer("Gather", since=1)
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


@transfer("GatherElements", since=11)
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


@transfer("GatherND", since=11)
def gather_nd(op: Operation) -> Reads:
    """Each row of indices is a place in the leading axes of `data`.

    Y[batch, j, after] <- data[batch, indices[batch, j, :], after], indices[batch, j, all]

    https://onnx.ai/onnx/operators/onnx__GatherND.html
    """
    data, shape = op.shape(0), op.shape(1)
    batch = op.attribute("batch_dims", 0)
    own = list(range(len(shape) - 1))
    depth = shape[-1]
    indices = op.static(1)
    along: list[AxisRead] = [same(a) for a in range(batch)]
    if indices is None:
        if op.live(0):
            op.note(_COMPUTED)
        along += [WHOLE] * depth
    else:
        along += [_picked(own, _within(indices[..., k], data[batch + k])) for k in range(depth)]
    first = len(own) - batch - depth
    along += [same(a + first) for a in range(batch + depth, len(data))]
    reads: list[Read] = [PerAxis(0, tuple(along))]
    return [*reads, PerAxis(1, (*[same(a) for a in own], WHOLE))]
