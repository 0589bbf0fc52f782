"""What attention of com.microsoft is made of: heads, caches, masks, rotary positions.

Queries, keys and values are arrays of (batch, heads, positions, head size).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from rfgraph.ops.equivalent import vector
from rfgraph.ops.registry import Operation
from rfgraph.prune.facts import Fact
from rfgraph.prune.masks import Keys, left, over_keys
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    AxisRead,
    Elementwise,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Source,
    Stage,
    Table,
    block,
    lookup,
    part,
    point,
    same,
    shifted,
    window,
)

# The position of an input that is absent: no operator has so many.
ABSENT = 99

LENGTHS = "every query is assumed to see every key"

# ---------------------------------------------------------------- heads


def heads_of(source: Source, shape: Shape, offset: int, size: int, heads: int) -> Stage:
    """`size` columns from `offset` on of (batch, positions, columns), head by head."""
    batch, positions = shape[:2]
    own = PerAxis(source, (same(0), same(1), shifted(2, offset)))
    columns = Stage((batch, positions, size), [own])
    view = (batch, positions, heads, size // heads)
    return Stage((batch, heads, positions, view[3]), [Rearrange(columns, view, (0, 2, 1, 3))])


def unpacked(k: Source, shape: Shape, place: int) -> Stage:
    """One of those packed into `k`: (batch, positions, heads, place, head size)."""
    batch, positions, heads, _, size = shape
    own = PerAxis(k, (same(0), same(2), same(1), point(place), same(3)))
    return Stage((batch, heads, positions, size), [own])


def by_head(k: int, shape: Shape) -> Stage:
    """Input `k`, which is head by head already."""
    return Stage(shape, [PerAxis(k, tuple(map(same, range(4))))])


def biased(op: Operation, stage: Stage, k: int, offset: int) -> Stage:
    """`stage`, to which the vector `k` is added, whose part for it begins at `offset`."""
    if not op.has(k):
        return stage
    _, heads, _, size = stage.shape
    column = offset + np.arange(heads * size).reshape(heads, size)
    own = PerAxis(stage, tuple(map(same, range(4))))
    return Stage(stage.shape, [own, PerAxis(k, (lookup((1, 3), column),))])


def merged(stage: Stage) -> list[Read]:
    """(batch, heads, positions, head size) as (batch, positions, columns)."""
    return [Rearrange(stage, stage.shape, (0, 2, 1, 3))]


# ---------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where an attention operator has its inputs.

    Attributes
    ----------
    mask, past, bias, lengths : int
        Mask, cache, what is added to the scores, and how much the cache holds.
    scales, weights : tuple of int
        What scales the input, and what its weights.
    """

    mask: int = ABSENT
    past: int = ABSENT
    bias: int = ABSENT
    lengths: int = ABSENT
    scales: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()


def widths(op: Operation) -> list[int]:
    """Columns of queries, keys and values."""
    return op.attribute("qkv_hidden_sizes") or [op.shape(1)[1] // 3] * 3


def projections(op: Operation, where: Inputs) -> list[Stage]:
    """Queries, keys and values of an input of (batch, positions, columns), or of one of a batch."""
    given, weights = op.shape(0), op.shape(1)
    shape = given if len(given) == 3 else (1, *given)
    scales = [PerAxis(k, (WHOLE,) * len(op.shape(k))) for k in where.scales if op.live(k)]
    source = Stage(shape, [Rearrange(0, given, tuple(range(len(given)))), *scales])
    matrix: Source = 1
    factors = [vector(k, op.shape(k), 1) for k in where.weights if op.live(k)]
    if factors:
        matrix = Stage(weights, [Elementwise(1), *factors])
    reads: list[Read] = [
        PerAxis(source, (same(0), same(1), STATISTIC)),
        PerAxis(matrix, (STATISTIC, same(2))),
    ]
    if op.has(2):
        reads.append(PerAxis(2, (same(2),)))
    product = Stage((*shape[:2], weights[1]), reads)
    made, offset = [], 0
    for width in widths(op):
        made.append(heads_of(product, product.shape, offset, width, op.attribute("num_heads")))
        offset += width
    return made


# ---------------------------------------------------------------- caches


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of earlier positions, and where the new ones go.

    Attributes
    ----------
    length : int
        Positions that the past has room for.
    room : int
        Positions that the present has room for.
    held : ndarray or None
        How many positions the past holds: a number or, of shape (batch, 1), one for each batch
        entry; None if that is computed.
    new : int
        How many positions are appended.
    steering : tuple of Read
        Where that is computed, what it is computed of.
    """

    length: int
    room: int
    held: np.ndarray | None
    new: int
    steering: tuple[Read, ...] = ()

    def present(self, past: Callable[[AxisRead], Read] | None, fresh: Stage) -> Stage:
        """Keys, or values, of all positions: those of the past, then the new ones.

        Beyond these lies what has been there.
        """
        batch, heads, _, size = fresh.shape
        shape = (batch, heads, self.room, size)
        if past is None and self.room == self.new:
            return fresh
        old: AxisRead = same(2)
        own: AxisRead = WHOLE
        if self.held is not None and self.held.ndim == 0 and self.room == self.held + self.new:
            old = part(2, 0, int(self.held))
            own = part(2, int(self.held), self.new)
        elif self.held is not None:
            place = np.arange(self.room)
            axes = (0, 2) if self.held.ndim else (2,)
            at = place - self.held
            among = (at >= 0) & (at < self.new)
            kept = ~among & (place < self.length)
            first = np.broadcast_to(place, at.shape)
            old = Table(axes, np.where(kept, first, 0), kept.astype(np.int64))
            own = Table(axes, np.where(among, at, 0), among.astype(np.int64))
        reads = [PerAxis(fresh, (same(0), same(1), own, same(3))), *self.steering]
        return Stage(shape, [past(old), *reads] if past is not None else reads)

    def seen(self, queries: int, *, causal: bool, left: int = 0) -> Keys:
        """The keys that a query sees: those up to its own, `left` of them if that is not 0.

        Queries are the last of the positions up to the end of the new ones.
        """
        nowhere = np.zeros((1, 1), dtype=np.int64)
        if self.held is None:
            return Keys(self.room, nowhere, nowhere + self.room)
        held = self.held.reshape(-1, 1).astype(np.int64)
        if not causal:
            ends = held + self.new
            return Keys(self.room, np.zeros_like(ends), ends)
        ends = held + np.arange(queries) + 1
        starts = np.maximum(ends - left, 0) if left else np.zeros_like(ends)
        if self.held.ndim:
            return Keys(self.room, starts, ends - starts)
        before = int(self.held)
        if left:
            nearest = window(2, left, 1, 1, left - 1 - before)
            return Keys(self.room, starts, ends - starts, nearest)
        return Keys(self.room, starts, ends, shifted(2, before), -1)


def cache_of(op: Operation, length: int, new: int, lengths: int, shared: bool) -> Cache:
    """The cache of which input `lengths` says how much it holds, if it is one for both."""
    if not shared:
        return Cache(length, length + new, np.asarray(length), new)
    held = op.static(lengths)
    if held is None:
        op.note(f"its 'past_sequence_length' is computed: {LENGTHS}")
        steering = PerAxis(lengths, (WHOLE,) * len(op.shape(lengths)))
        return Cache(length, length, None, new, (steering,))
    return Cache(length, length, np.asarray(int(held.reshape(-1)[0])), new)


# ---------------------------------------------------------------- the product


def _kin(queries: Stage, keys: Stage) -> AxisRead:
    """The head of keys and values that a head of queries uses: groups share one."""
    group = queries.shape[1] // keys.shape[1]
    return block(1, group, 1) if group > 1 else same(1)


def attended(
    queries: Stage, keys: Stage, values: Stage, seen: Keys, others: list[Read], least: int = 2
) -> Stage:
    """softmax(Q K') V, head by head: all columns of Q and K, and its own column of V.

    A single key has the weight 1, whatever Q and K are: they are read for `least` keys or more.
    """
    head = _kin(queries, keys)
    shape = (*queries.shape[:3], values.shape[3])
    reads: list[Read] = [PerAxis(values, (same(0), head, r, same(3))) for r in seen.read(1)]
    return Stage(shape, [*weight_reads(queries, keys, seen, least), *reads, *others])


def weight_reads(queries: Stage, keys: Stage, seen: Keys, least: int) -> list[Read]:
    """What the weights of a query read of Q and K, all together."""
    head, length = _kin(queries, keys), queries.shape[2]
    return [
        *[PerAxis(queries, (same(0), same(1), q, STATISTIC)) for q in seen.queries(least, length)],
        *[PerAxis(keys, (same(0), head, r, STATISTIC)) for r in seen.read(least)],
    ]


def score_reads(queries: Stage, keys: Stage, others: list[Read]) -> list[Read]:
    """Q K', (batch, heads, positions, keys)."""
    return [
        PerAxis(queries, (same(0), same(1), same(2), STATISTIC)),
        PerAxis(keys, (same(0), _kin(queries, keys), same(3), STATISTIC)),
        *others,
    ]


def bias_reads(op: Operation, k: int, seen: list[AxisRead]) -> list[Read]:
    """A bias of shape (batch or 1, heads or 1, positions, keys)."""
    if not op.has(k):
        return []
    batch, heads, *_ = op.shape(k)
    b: AxisRead = same(0) if batch > 1 else point(0)
    h: AxisRead = same(1) if heads > 1 else point(0)
    return [PerAxis(k, (b, h, same(2), r)) for r in seen]


def mask_reads(op: Operation, k: int, batch: int, before: int, seen: list[AxisRead]) -> list[Read]:
    """A mask: lengths, or ends and starts; of keys, of queries and keys, or a large square."""
    if not op.has(k):
        return []
    shape = op.shape(k)
    if len(shape) == 1:
        if shape[0] == 2 * batch:
            return [PerAxis(k, (same(0),)), PerAxis(k, (shifted(0, batch),))]
        return [PerAxis(k, (same(0) if shape[0] == batch else WHOLE,))]
    if len(shape) == 2:
        return [PerAxis(k, (same(0), r)) for r in seen]
    if len(shape) == 3:
        return [PerAxis(k, (same(0), same(2), r)) for r in seen]
    return [PerAxis(k, (same(0), point(0), shifted(2, before), r)) for r in seen]


def _adds(op: Operation, k: int, batch: int, before: int, positions: int, keys: Keys) -> Fact:
    """What is known of what a mask adds to the scores: ``mask_filter_value`` where it is not 1.

    It adds nothing at a key that may not be attended, of which the score is set.
    """
    number = np.float32(op.attribute("mask_filter_value", -1e4))
    may = keys.may()[:, None]
    shape, fact = op.shape(k), op.known(k)
    if fact is None:
        # The data decide.
        nowhere = np.zeros((1,) * 4, dtype=bool)
        return Fact(nowhere, nowhere.astype(np.float32), None, ~nowhere)
    known, value = fact.known, fact.value
    if len(shape) == 1:
        given = np.broadcast_to(value, shape)
        place = np.arange(keys.total)
        masked = place >= given[:batch, None]
        if shape[0] == 2 * batch:
            masked = masked | (place < given[batch:, None])
        masked = masked[:, None, None]
        known = np.full((1,) * 4, bool(known.all()))
    else:
        masked = value <= 0
        if len(shape) == 4:
            masked, known = (
                np.broadcast_to(a, shape)[:, :, before : before + positions]
                for a in (masked, known)
            )
        elif len(shape) == 3:
            masked, known = masked[:, None], known[:, None]
        else:
            masked, known = masked[:, None, None], known[:, None, None]
        if len(shape) == 2 and shape[1] == 1 and keys.total > 1:
            # One number an entry is no mask.
            masked, known = np.zeros_like(masked), np.ones_like(known)
        masked, known = (over_keys(a, keys.total) for a in (masked, known))
    added = np.where(masked & known & may, number, np.float32(0))
    return Fact(known, added, None, ~known & may)


def left_by(
    op: Operation, where: Inputs, batch: int, before: int, positions: int, keys: Keys
) -> Keys:
    """The keys that mask and bias leave."""
    masks = []
    if op.prune and op.has(where.mask):
        masks.append(_adds(op, where.mask, batch, before, positions, keys))
    bias = op.known(where.bias)
    if bias is not None:
        masks.append(bias)
    # The score of a later position is set to the lowest number that there is.
    kind = onnx.helper.tensor_dtype_to_np_dtype(op.element_type())
    lowest = np.finfo(kind if kind.kind == "f" else np.float32).min
    return left(op, keys, masks, excluded=float(lowest))


# ---------------------------------------------------------------- rotary positions


@dataclass(frozen=True, slots=True)
class Rotary:
    """Pairs of columns that are rotated by an angle that depends on the position.

    Attributes
    ----------
    columns : int
        How many columns of a head are rotated, the first ones.
    interleaved : bool
        Whether the two of a pair are neighbours, else half of the columns apart.
    caches : tuple of int
        Inputs of shape (positions, `columns` / 2): cosines and sines.
    rows : read
        Which of their rows belongs to a position.
    others : tuple of reads
        What says so.
    """

    columns: int
    interleaved: bool
    caches: tuple[int, ...] = ()
    rows: AxisRead = WHOLE
    others: tuple[Read, ...] = ()

    def of(self, stage: Stage) -> Stage:
        """The columns of `stage`, rotated."""
        d = np.arange(stage.shape[3])
        half = self.columns // 2
        inside = (d < self.columns).astype(np.int64)
        partner = d ^ 1 if self.interleaved else np.where(d < half, d + half, d - half)
        angle = d // 2 if self.interleaved else d % half
        own = (same(0), same(1), same(2))
        turned = Table((3,), np.where(inside, partner, 0), inside)
        column = Table((3,), np.where(inside, angle, 0), inside)
        return Stage(
            stage.shape,
            [
                PerAxis(stage, (*own, same(3))),
                PerAxis(stage, (*own, turned)),
                *[PerAxis(k, (self.rows, column)) for k in self.caches],
                *self.others,
            ],
        )


def cache_rows(op: Operation, k: int, caches: tuple[int, ...]) -> AxisRead:
    """The rows that the position ids `k`, of shape (batch, positions) or (1,), name."""
    ids = op.static(k)
    if ids is None:
        if any(op.live(cache) for cache in caches):
            op.note("its 'position_ids' are computed: all rows of the caches are assumed")
        return WHOLE
    if ids.ndim < 2:
        return shifted(2, int(ids.reshape(-1)[0]))
    return lookup((0, 2), ids) if len(ids) > 1 else lookup((2,), ids[0])
