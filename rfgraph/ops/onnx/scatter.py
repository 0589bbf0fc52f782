"""Operators that place elements: each update has a place in the output, and is read from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from rfgraph.ops.onnx.indexing import compressed, within
from rfgraph.ops.onnx.moving import along_axis
from rfgraph.ops.registry import Computed, Operation, Reads, axis_of, describe, transfer
from rfgraph.ops.shaping import (
    ShapeRule,
    by_sizes,
    unchanged,
)
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    Along,
    AxisRead,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Source,
    Stage,
    Table,
    lookup,
    point,
    same,
    transposed_window,
    window,
)

_COMPUTED = "its 'indices' are computed: every update along the scattered axes is assumed"
_COMPUTED_WRITE = "its 'write_indices' are computed: any that fit are assumed"
_COMPUTED_I = "its 'I' is computed: every element of 'X' is assumed"


# ---------------------------------------------------------------- places known


@dataclass(frozen=True, slots=True)
class _Part:
    """Axes that are named together: those `outs` of the output by those `ins` of the updates.

    Attributes
    ----------
    outs, ins : list of int
        The axes, ascending.
    order : ndarray
        The updates of the part, in row-major order of `ins`, sorted by the place they land on.
    counts : ndarray, of the sizes of `outs`
        How many land on each place; they follow one another in `order`.
    """

    outs: list[int]
    ins: list[int]
    order: np.ndarray
    counts: np.ndarray

    @property
    def firsts(self) -> np.ndarray:
        """Where in `order` the updates of each place begin."""
        flat = self.counts.reshape(-1)
        return np.reshape(np.cumsum(flat) - flat, self.counts.shape)


def _parts(places: Sequence[np.ndarray], updates: Shape, extent: Shape) -> list[_Part]:
    """The finest parts in which the places of updates can be told.

    `places` has an array for every leading axis of the output: the coordinate on which an update
    lands, over the leading axes of the updates, of length 1 along those on which it doesn't vary.
    """
    groups: list[tuple[set[int], set[int]]] = []
    for out, place in enumerate(places):
        outs, ins = {out}, {t for t, n in enumerate(place.shape) if n > 1}
        for group in [g for g in groups if g[1] & ins]:
            groups.remove(group)
            outs |= group[0]
            ins |= group[1]
        groups.append((outs, ins))
    # A part that nothing varies takes an axis of length 1, if there is one to take.
    taken = {t for _, ins in groups for t in ins}
    spare = [t for t, n in enumerate(updates) if n == 1 and t not in taken]
    for _, ins in groups:
        if not ins and spare:
            ins.add(spare.pop(0))
    return [_part(sorted(outs), sorted(ins), places, updates, extent) for outs, ins in groups]


def _part(
    outs: list[int],
    ins: list[int],
    places: Sequence[np.ndarray],
    updates: Shape,
    extent: Shape,
) -> _Part:
    sizes = tuple(extent[out] for out in outs)
    ids = np.zeros((1,) * len(updates), dtype=np.int64)
    for out, size in zip(outs, sizes, strict=True):
        ids = ids * size + places[out]
    full = [n if t in ins else 1 for t, n in enumerate(updates)]
    ids = np.broadcast_to(ids, full).reshape(-1)
    counts = np.bincount(ids, minlength=prod(sizes)).reshape(sizes)
    return _Part(outs, ins, np.argsort(ids, kind="stable"), counts)


def _placed(
    k: int,
    places: Sequence[np.ndarray],
    updates: Shape,
    extent: Shape,
    *,
    data: int | None,
    reduced: bool,
) -> list[Read]:
    """The reads of what is placed.

    Parameters
    ----------
    k : int
        The input that holds the updates.
    places : list of ndarray
        For each leading axis of the output, where along it the updates land, over the leading
        axes of the updates. The axes that are left of both are the same.
    updates, extent : tuple of int
        Shapes of the updates and of the output.
    data : int or None
        The input that is read where nothing lands, if there is one.
    reduced : bool
        Whether all that land on a place count, and with them the data; else the last one does.
    """
    inner = len(places[0].shape) if places else 0
    rest = range(len(places), len(extent))
    everywhere = [] if data is None else [PerAxis(data, tuple(map(same, range(len(extent)))))]
    if 0 in updates[:inner]:
        return [*everywhere]
    small = []
    for place in places:
        kept, (left,) = compressed(range(inner), place)
        small.append(left.reshape([place.shape[t] if t in kept else 1 for t in range(inner)]))
    parts = _parts(small, updates[:inner], extent)
    reads: list[Read] = [*everywhere]
    if data is not None and not reduced:
        reads = [
            PerAxis(data, along_axis(len(extent), part.outs[-1], missed))
            for part in parts
            for missed in _missed(part)
        ]
    source, shape, axes, free = _by_parts(k, parts, updates, inner)
    along: list[AxisRead] = [same(axis) for axis in range(len(shape) - len(rest))]
    sorting = list(along) + [same(len(along) + a) for a in range(len(rest))]
    for part, axis in zip(parts, axes, strict=True):
        counts, starts = part.counts, part.firsts
        if reduced and (counts > 1).any():
            if (np.diff(part.order) != 1).any():
                sorting[axis] = lookup((axis,), part.order)
        else:
            counts = np.minimum(counts, 1)
            last = np.minimum(part.firsts + part.counts, part.order.size) - 1
            starts = np.where(counts > 0, part.order[last], 0)
        along[axis] = _landed(part.outs, starts, counts)
    for axis in free:
        along[axis] = STATISTIC if reduced and shape[axis] > 1 else point(shape[axis] - 1)
    if any(isinstance(r, Table) for r in sorting):
        source = Stage(shape, [PerAxis(source, tuple(sorting))])
    return [*reads, PerAxis(source, (*along, *[same(axis) for axis in rest]))]


def _by_parts(
    k: int, parts: Sequence[_Part], updates: Shape, inner: int
) -> tuple[Source, Shape, list[int], list[int]]:
    """The updates with one axis for each part; their shape, these axes, and the `inner` axes that
    name no place.
    """
    free = [t for t in range(inner) if all(t not in part.ins for part in parts)]
    if all(len(part.ins) == 1 for part in parts):
        return k, updates, [part.ins[0] for part in parts], free
    # One axis for each part, then those that name no place, then those that are the same.
    order = [*[t for part in parts for t in part.ins], *free, *range(inner, len(updates))]
    shape = (
        *(prod(updates[t] for t in part.ins) for part in parts),
        *(updates[t] for t in free),
        *updates[inner:],
    )
    first_free = len(parts)
    return (
        Stage(shape, [Rearrange(k, updates, tuple(order))]),
        shape,
        list(range(first_free)),
        list(range(first_free, first_free + len(free))),
    )


def _landed(outs: list[int], starts: np.ndarray, counts: np.ndarray) -> AxisRead:
    """What lands on every place; as a pattern where it is equally spaced."""
    hit = np.flatnonzero(counts)
    if counts.ndim == 1 and hit.size and counts.max() == 1 and hit[-1] - hit[0] + 1 == hit.size:
        steps = np.diff(starts[hit])
        step = int(steps[0]) if steps.size else 1
        if step and (steps == step).all():
            first, end = int(hit[0]), int(hit[-1]) + 1
            confined = None if hit.size == counts.size else (first, end)
            return Along(outs[0], (int(starts[first]) - first * step,), (1,), step, 1, confined)
    return Table(tuple(outs), starts, counts)


def _missed(part: _Part) -> list[AxisRead]:
    """The places on which nothing lands, as reads of the last of the part's axes."""
    axis, size = part.outs[-1], part.counts.shape[-1]
    hit = np.flatnonzero(part.counts)
    if hit.size == part.counts.size:
        return []
    if part.counts.ndim == 1 and hit.size and hit[-1] - hit[0] + 1 == hit.size:
        sides = [(0, int(hit[0])), (int(hit[-1]) + 1, size)]
        return [Along(axis, part=side) for side in sides if side[0] < side[1]]
    own = np.broadcast_to(np.arange(size, dtype=np.int64), part.counts.shape)
    free = (part.counts == 0).astype(np.int64)
    return [Table(tuple(part.outs), own, free, interior=same(axis))]


def _own_place(shape: Shape, axis: int) -> np.ndarray:
    """The coordinate along `axis`, over an array of the rank of `shape`."""
    return np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])


# ---------------------------------------------------------------- operators


@transfer("Scatter", since=9, computed=_COMPUTED)
@transfer("ScatterElements", since=11, computed=_COMPUTED)
def scatter_elements(op: Operation) -> Reads:
    """Each update has its own coordinate along one axis.

    Y[o] <- updates[i]  for the last i with  indices[i] = o along `axis`  and  i = o elsewhere,
            data[o]     where there is none

    indices [2, 0, 2]:   o: 0 1 2   reads: updates{1} data{1} updates{2}

    With a ``reduction`` data[o] and every such update are read. Indices that are computed may name
    any place: data[o] and all updates along the axis, with a note.

    https://onnx.ai/onnx/operators/onnx__ScatterElements.html
    """
    data, shape = op.shape(0), op.shape(1)
    rank = len(data)
    axis = axis_of(op.attribute("axis", 0), rank)
    indices = op.static(1)
    if indices is None:
        op.note(_COMPUTED)
        along = along_axis(rank, axis, WHOLE)
        return [Elementwise(0), PerAxis(1, along), PerAxis(2, along)]
    places = [_own_place(shape, a) for a in range(rank)]
    places[axis] = within(indices, data[axis])
    reduced = op.attribute("reduction", "none") != "none"
    return _placed(2, places, shape, data, data=0, reduced=reduced)


@transfer("ScatterND", since=11, computed=_COMPUTED)
def scatter_nd(op: Operation) -> Reads:
    """Each row of indices names the place of a slice of updates.

    Y[i, after] <- updates[j, after]  for the last j with  indices[j, :] = i,
                   data[i, after]     where there is none

    indices [[2], [0]]:   o: 0 1 2   reads: updates{1} data{1} updates{0}

    With a ``reduction`` data and every such update are read. Indices that are computed may name
    any place: data at its own place and all updates, with a note.

    https://onnx.ai/onnx/operators/onnx__ScatterND.html
    """
    data, shape, updates = op.shape(0), op.shape(1), op.shape(2)
    inner, depth = len(shape) - 1, shape[-1]
    indices = op.static(1)
    if indices is None:
        op.note(_COMPUTED)
        after = [same(axis) for axis in range(depth, len(data))]
        return [
            Elementwise(0),
            PerAxis(1, (WHOLE,) * len(shape)),
            PerAxis(2, (*[WHOLE] * inner, *after)),
        ]
    places = [within(indices[..., m], data[m]) for m in range(depth)]
    reduced = op.attribute("reduction", "none") != "none"
    return _placed(2, places, updates, data, data=0, reduced=reduced)


@transfer("TensorScatter", since=24, computed=_COMPUTED_WRITE)
def tensor_scatter(op: Operation) -> Reads:
    """A cache is written to along one axis, from a place of its own for each sample on.

    Y[b, o] <- update[b, o - write_indices[b] along `axis`], past_cache[b, o] where there is none

    write_indices [1], two updates:   o: 0 1 2 3   reads: cache{0} update{0} update{1} cache{3}

    ``circular`` goes on at the beginning. A computed place may be any where the updates fit, or
    any at all with ``circular``.

    https://onnx.ai/onnx/operators/onnx__TensorScatter.html
    """
    cache, shape = op.shape(0), op.shape(1)
    rank = len(cache)
    axis = axis_of(op.attribute("axis", -2), rank)
    circular = op.attribute("mode", "linear") == "circular"
    size, many = cache[axis], shape[axis]
    if op.has(2) and op.static(2) is None:
        op.note(_COMPUTED_WRITE)
        room = size - many
        read = WHOLE if circular else window(axis, room + 1, 1, 1, room)
        # What is written wherever it begins isn't read of the cache.
        left = [(0, size)] if room >= many or circular else [(0, room), (many, size)]
        cached = [Along(axis, part=side) for side in left if room]
        reads: list[Read] = [PerAxis(0, along_axis(rank, axis, own)) for own in cached]
        return [*reads, PerAxis(1, along_axis(rank, axis, read)), PerAxis(2, (same(0),))]
    begins = op.static(2)
    if begins is None:
        begins = np.zeros(shape[0], dtype=np.int64)
    listed = [_own_place(shape, a) for a in range(rank)]
    listed[axis] = listed[axis] + begins.reshape(-1, *[1] * (rank - 1))
    if circular:
        listed[axis] %= size
    full = [np.broadcast_to(place, shape) for place in listed]
    return _placed(1, full, shape, cache, data=0, reduced=False)


def _pooled(op: Operation) -> Shape:
    """The shape of what was pooled, as far as the window tells it."""
    X, kernel = op.shape(0), op.attribute("kernel_shape")
    rank = len(kernel)
    strides = op.attribute("strides") or [1] * rank
    pads = op.attribute("pads") or [0] * (2 * rank)
    sizes = [(X[a + 2] - 1) * strides[a] - pads[a] - pads[a + rank] for a in range(rank)]
    return (*X[:2], *(n + k for n, k in zip(sizes, kernel, strict=True)))


def _unpooled(op: Operation) -> Shape:
    if not op.has(2):
        return _pooled(op)
    return tuple(int(n) for n in op.constant(2, "output_shape"))


@transfer("MaxUnpool", since=9, shape=_unpooled, computed=_COMPUTED_I)
def max_unpool(op: Operation) -> Reads:
    """Each element of X goes back to the place that `I` names in the flat output.

    Y.flat[o] <- X.flat[i]  for the last i with  I.flat[i] = o

    I = [1, 2], four outputs:   o: 0 1 2 3   reads: {} {0} {1} {}

    Computed indices may name any place: all of X, with a note. A larger `output_shape` has
    nothing in what it adds.

    https://onnx.ai/onnx/operators/onnx__MaxUnpool.html
    """
    X, Y, indices = op.shape(0), op.out(), op.static(1)
    if indices is None:
        op.note(_COMPUTED_I)
        return [Everything(0), Everything(1)]
    places = np.unravel_index(indices, _pooled(op))
    return _placed(0, places, X, Y, data=None, reduced=False)


@transfer("Col2Im", since=18)
def col2im(op: Operation) -> Reads:
    """Blocks are put back into the image, and summed up where they overlap.

    Y[n, c, o] <- input[n, (c, k), l]  for all k, l with  l*s + k*d - p = o, each spatial axis

    blocks of 2, s=1, three outputs:   o: 0 1 2   reads (k, l): {(0,0)} {(0,1),(1,0)} {(1,1)}

    https://onnx.ai/onnx/operators/onnx__Col2Im.html
    """
    if op.live(1) or op.live(2):
        raise Computed("its 'image_shape' or 'block_shape' is computed from the data")
    X, Y = op.shape(0), op.out()
    block = [int(k) for k in op.constant(2, "block_shape")]
    rank = len(block)
    strides = op.attribute("strides") or [1] * rank
    dilations = op.attribute("dilations") or [1] * rank
    pads = op.attribute("pads") or [0] * (2 * rank)
    blocks = []
    for a, (k, s, d) in enumerate(zip(block, strides, dilations, strict=True)):
        blocks.append((Y[a + 2] + pads[a] + pads[a + rank] - (k - 1) * d - 1) // s + 1)
    # (N, C, k_1, l_1, k_2, l_2, ...): axis by axis a pair (k, l) becomes a place in the image.
    view = (X[0], Y[1], *block, *blocks)
    pairs = [axis for a in range(rank) for axis in (2 + a, 2 + rank + a)]
    shape: Shape = tuple(view[axis] for axis in (0, 1, *pairs))
    source = Stage(shape, [Rearrange(0, view, (0, 1, *pairs))])
    reads: list[Read] = []
    for a in range(rank):
        at = 2 + a
        reads = []
        for k in range(block[a]):
            blocks_of = transposed_window(at, 1, strides[a], 1, pads[a] - k * dilations[a], Y[at])
            before = [same(axis) for axis in range(at)]
            after = [same(axis - 1) for axis in range(at + 2, len(shape))]
            reads.append(PerAxis(source, (*before, point(k), blocks_of, *after)))
        shape = (*shape[:at], Y[at], *shape[at + 2 :])
        source = Stage(shape, reads)
    return reads


describe("ScatterElements ScatterND", shape=ShapeRule(unchanged))
describe("Col2Im MaxUnpool", growth=by_sizes)
