"""Attention as com.microsoft has it: with projections, caches, masks and rotary positions.

All of them end in `_attended`: queries, keys and values as arrays of (batch, heads, positions,
head size), and the keys that a query may see. Which those are is structure where it is said by
an attribute or by sequence lengths that don't depend on the data. A mask is not: it adds a large
negative number, so that what is masked is still read, unless pruned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from rfgraph.ops.equivalent import vector
from rfgraph.ops.microsoft.fused import MICROSOFT, like_first
from rfgraph.ops.registry import Operation, Reads, ShapeFunction, Undetermined, transfer
from rfgraph.prune.facts import Partial
from rfgraph.prune.masks import Keys, Left, left, over_keys
from rfgraph.prune.pieces import confined
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

# No operator has so many inputs.
_ABSENT = 99

_LENGTHS = "every key is taken to be seen by every query"

# ---------------------------------------------------------------- heads


def _split(source: Source, shape: Shape, offset: int, size: int, heads: int) -> Stage:
    """`size` columns from `offset` on of (batch, positions, columns), head by head."""
    batch, positions = shape[:2]
    own = PerAxis(source, (same(0), same(1), shifted(2, offset)))
    columns = Stage((batch, positions, size), [own])
    view = (batch, positions, heads, size // heads)
    return Stage((batch, heads, positions, view[3]), [Rearrange(columns, view, (0, 2, 1, 3))])


def _packed(k: Source, shape: Shape, place: int) -> Stage:
    """One of those packed into `k`: (batch, positions, heads, place, head size)."""
    batch, positions, heads, _, size = shape
    own = PerAxis(k, (same(0), same(2), same(1), point(place), same(3)))
    return Stage((batch, heads, positions, size), [own])


def _given(k: int, shape: Shape) -> Stage:
    """Input `k`, which is head by head already."""
    return Stage(shape, [PerAxis(k, tuple(map(same, range(4))))])


def _biased(op: Operation, stage: Stage, k: int, offset: int) -> Stage:
    """`stage`, to which the vector `k` is added, whose part for it begins at `offset`."""
    if not op.has(k):
        return stage
    _, heads, _, size = stage.shape
    column = offset + np.arange(heads * size).reshape(heads, size)
    own = PerAxis(stage, tuple(map(same, range(4))))
    return Stage(stage.shape, [own, PerAxis(k, (lookup((1, 3), column),))])


def _merged(stage: Stage) -> list[Read]:
    """(batch, heads, positions, head size) as (batch, positions, columns)."""
    return [Rearrange(stage, stage.shape, (0, 2, 1, 3))]


# ---------------------------------------------------------------- caches


@dataclass(frozen=True, slots=True)
class _Cache:
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


# ---------------------------------------------------------------- the product


def _kin(queries: Stage, keys: Stage) -> AxisRead:
    """The head of keys and values that a head of queries uses: groups share one."""
    group = queries.shape[1] // keys.shape[1]
    return block(1, group, 1) if group > 1 else same(1)


def _attended(
    queries: Stage, keys: Stage, values: Stage, seen: Keys, others: list[Read], least: int = 2
) -> Stage:
    """softmax(Q K') V, head by head: all columns of Q and K, and its own column of V.

    A single key has the weight 1, whatever Q and K are: they are read for `least` keys or more.
    """
    head = _kin(queries, keys)
    shape = (*queries.shape[:3], values.shape[3])
    reads: list[Read] = [PerAxis(values, (same(0), head, r, same(3))) for r in seen.read(1)]
    return Stage(shape, [*_weighed(queries, keys, seen, least), *reads, *others])


def _weighed(queries: Stage, keys: Stage, seen: Keys, least: int) -> list[Read]:
    """What the weights of a query read of Q and K, all together."""
    head, length = _kin(queries, keys), queries.shape[2]
    return [
        *[PerAxis(queries, (same(0), same(1), q, STATISTIC)) for q in seen.queries(least, length)],
        *[PerAxis(keys, (same(0), head, r, STATISTIC)) for r in seen.read(least)],
    ]


def _scores(queries: Stage, keys: Stage, others: list[Read]) -> list[Read]:
    """Q K', (batch, heads, positions, keys)."""
    return [
        PerAxis(queries, (same(0), same(1), same(2), STATISTIC)),
        PerAxis(keys, (same(0), _kin(queries, keys), same(3), STATISTIC)),
        *others,
    ]


def _added(op: Operation, k: int, seen: list[AxisRead]) -> list[Read]:
    """A bias of shape (batch or 1, heads or 1, positions, keys)."""
    if not op.has(k):
        return []
    batch, heads, *_ = op.shape(k)
    b: AxisRead = same(0) if batch > 1 else point(0)
    h: AxisRead = same(1) if heads > 1 else point(0)
    return [PerAxis(k, (b, h, same(2), r)) for r in seen]


def _masked(op: Operation, k: int, batch: int, before: int, seen: list[AxisRead]) -> list[Read]:
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


def _adds(op: Operation, k: int, batch: int, before: int, positions: int, keys: Keys) -> Partial:
    """What is known of what a mask adds to the scores: ``mask_filter_value`` where it is not 1.

    It adds nothing at a key that may not be attended, of which the score is set.
    """
    number = np.float32(op.attribute("mask_filter_value", -1e4))
    may = keys.may()[:, None]
    shape, fact = op.shape(k), op.known(k)
    if fact is None:
        # The data decide.
        nowhere = np.zeros((1,) * 4, dtype=bool)
        return Partial(nowhere, nowhere.astype(np.float32), None, ~nowhere)
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
    return Partial(known, added, None, ~known & may)


def _left(
    op: Operation, where: _Places, batch: int, before: int, positions: int, keys: Keys
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
class _Rotary:
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


def _rows(op: Operation, k: int, caches: tuple[int, ...]) -> AxisRead:
    """The rows that the position ids `k`, of shape (batch, positions) or (1,), name."""
    ids = op.static(k)
    if ids is None:
        if any(op.live(cache) for cache in caches):
            op.note("its 'position_ids' are computed: all rows of the caches are assumed")
        return WHOLE
    if ids.ndim < 2:
        return shifted(2, int(ids.reshape(-1)[0]))
    return lookup((0, 2), ids) if len(ids) > 1 else lookup((2,), ids[0])


@transfer(
    "RotaryEmbedding",
    domain=MICROSOFT,
    shape=like_first,
    computed="all rows of cos_cache and sin_cache are read",
)
def rotary_embedding(op: Operation) -> Reads:
    """Each column of a head is mixed with its partner, by an angle of the position.

    output[b, s, h, d] <- input[b, s, h, d and partner(d)], cos_cache and sin_cache[row, angle(d)]

    R columns are rotated: partner(d) = d + R/2 or d - R/2, with ``interleaved`` d + 1 or d - 1;
    row = position_ids[b, s], or position_ids[0] + s.

    R=4:   d: 0 1 2 3   partner: 2 3 0 1, or 1 0 3 2 interleaved

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftrotaryembedding
    """
    shape = op.shape(0)
    columns = op.attribute("rotary_embedding_dim", 0) or 2 * op.shape(2)[1]
    if len(shape) == 4:
        stage = _given(0, shape)
    else:
        heads = op.attribute("num_heads", 0) or shape[2] // columns
        stage = _split(0, shape, 0, shape[2], heads)
    said = PerAxis(1, (same(0), same(2)) if len(op.shape(1)) > 1 else (point(0),))
    rows = _rows(op, 1, (2, 3))
    interleaved = bool(op.attribute("interleaved", 0))
    rotated = _Rotary(columns, interleaved, (2, 3), rows, (said,)).of(stage)
    return [Elementwise(rotated)] if len(shape) == 4 else _merged(rotated)


# ---------------------------------------------------------------- attention with projections


@dataclass(frozen=True, slots=True)
class _Places:
    """Where an attention operator has its inputs.

    Attributes
    ----------
    mask, past, bias, lengths : int
        Mask, cache, what is added to the scores, and how much the cache holds.
    scales, weights : tuple of int
        What scales the input, and what its weights.
    """

    mask: int = _ABSENT
    past: int = _ABSENT
    bias: int = _ABSENT
    lengths: int = _ABSENT
    scales: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()


_ATTENTION = _Places(mask=3, past=4, bias=5, lengths=6)
_QUANTISED = _Places(mask=5, past=8, scales=(3, 6), weights=(4, 7))


def _widths(op: Operation) -> list[int]:
    """Columns of queries, keys and values."""
    return op.attribute("qkv_hidden_sizes") or [op.shape(1)[1] // 3] * 3


def _projections(op: Operation, where: _Places) -> list[Stage]:
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
    for width in _widths(op):
        made.append(_split(product, product.shape, offset, width, op.attribute("num_heads")))
        offset += width
    return made


def _cache(op: Operation, length: int, new: int, lengths: int, shared: bool) -> _Cache:
    """The cache of which input `lengths` says how much it holds, if it is one for both."""
    if not shared:
        return _Cache(length, length + new, np.asarray(length), new)
    held = op.static(lengths)
    if held is None:
        op.note(f"its 'past_sequence_length' is computed: {_LENGTHS}")
        steering = PerAxis(lengths, (WHOLE,) * len(op.shape(lengths)))
        return _Cache(length, length, None, new, (steering,))
    return _Cache(length, length, np.asarray(int(held.reshape(-1)[0])), new)


def _projected_cache(op: Operation, where: _Places) -> _Cache:
    length = op.shape(where.past)[3] if op.has(where.past) else 0
    shared = bool(op.attribute("past_present_share_buffer", 0)) and length > 0
    return _cache(op, length, op.shape(0)[1], where.lengths, shared)


def _projected_shapes(where: _Places) -> ShapeFunction:
    def shapes(op: Operation) -> list[Shape | None]:
        batch, positions, _ = op.shape(0)
        heads = op.attribute("num_heads")
        _, _, width = _widths(op)
        length = op.shape(where.past)[3] if op.has(where.past) else 0
        if not op.attribute("past_present_share_buffer", 0):
            length += positions
        present = (2, batch, heads, length, width // heads)
        return [(batch, positions, width), present]

    return shapes


def _projected(op: Operation, where: _Places) -> Reads:
    queries, keys, values = _projections(op, where)
    cache = _projected_cache(op, where)
    batch, _, positions, size = queries.shape
    if op.attribute("do_rotary", 0):
        rotary = _Rotary(op.attribute("rotary_embedding_dim", 0) or size, False)
        queries, keys = rotary.of(queries), rotary.of(keys)

    def past(k: int) -> Callable[[AxisRead], Read] | None:
        if not op.has(where.past):
            return None
        return lambda old: PerAxis(where.past, (point(k), same(0), same(1), old, same(3)))

    keys, values = cache.present(past(0), keys), cache.present(past(1), values)
    held = 0 if cache.held is None else int(cache.held)
    seen = cache.seen(positions, causal=bool(op.attribute("unidirectional", 0)))
    seen = _left(op, where, batch, held, positions, seen)
    columns = seen.read(1)
    others = [*_masked(op, where.mask, batch, held, columns), *_added(op, where.bias, columns)]
    if op.has(where.lengths):
        others.append(PerAxis(where.lengths, (WHOLE,) * len(op.shape(where.lengths))))
    context = _attended(queries, keys, values, seen, others)
    present: list[Read] = []
    for k, stage in enumerate((keys, values)):
        lifted = Stage((1, *stage.shape), [Rearrange(stage, stage.shape, (0, 1, 2, 3))])
        present.append(PerAxis(lifted, (part(0, k, 1), *map(same, range(1, 5)))))
    return _merged(context), present


@transfer(
    "Attention",
    domain=MICROSOFT,
    shape=_projected_shapes(_ATTENTION),
    computed=_LENGTHS,
)
@transfer(
    "DecoderMaskedSelfAttention",
    domain=MICROSOFT,
    shape=_projected_shapes(_ATTENTION),
    computed=_LENGTHS,
)
def attention(op: Operation) -> Reads:
    """Self-attention of a projected input: a position reads all, or all up to its own.

    [Q, K, V][b, s, j] <- input[b, s, all], weights[all, j], bias[j]
    output[b, s, h*D + d] <- Q[b, s, head h], K[b, seen, head h], V[b, seen, h*D + d]
    present[0 or 1] <- past[0 or 1] and after it K or V

    seen: all positions, with ``unidirectional`` those of the past and up to s. mask_index and
    attention_bias are read for them; what these exclude counts as read, unless pruned. A single key
    has the weight 1: then Q and K are not read.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftattention
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftdecodermaskedselfattention
    """
    return _projected(op, _ATTENTION)


@transfer("QAttention", domain=MICROSOFT, shape=_projected_shapes(_QUANTISED), like=3)
def q_attention(op: Operation) -> Reads:
    """As Attention, of a quantised input and weights.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftqattention
    """
    return _projected(op, _QUANTISED)


# ---------------------------------------------------------------- attention of given projections


def _multi_head(op: Operation, bias: int) -> tuple[Stage, Stage, Stage]:
    """Queries, keys and values, each with its part of the bias."""
    shape, heads = op.shape(0), op.attribute("num_heads")
    if len(shape) == 5:
        queries, keys, values = (_packed(0, shape, k) for k in range(3))
    elif not op.has(1):
        third = shape[2] // 3
        queries, keys, values = (_split(0, shape, k * third, third, heads) for k in range(3))
    else:
        queries = _split(0, shape, 0, shape[2], heads)
        given = op.shape(1)
        if len(given) == 5:
            keys, values = (_packed(1, given, k) for k in range(2))
        elif len(given) == 4:
            # These have passed their bias before.
            queries = _biased(op, queries, bias, 0)
            return queries, _given(1, given), _given(2, op.shape(2))
        else:
            keys = _split(1, given, 0, given[2], heads)
            values = _split(2, op.shape(2), 0, op.shape(2)[2], heads)
    width = heads * queries.shape[3]
    return (
        _biased(op, queries, bias, 0),
        _biased(op, keys, bias, width),
        _biased(op, values, bias, 2 * width),
    )


_MULTI_HEAD = _Places(mask=4, bias=5, past=6, lengths=8)
_DECODER = _Places(mask=3, bias=4, past=5, lengths=7)


def _multi_head_bias(op: Operation) -> int:
    return 3 if op.op_type == "MultiHeadAttention" else 10


def _multi_head_places(op: Operation) -> _Places:
    return _MULTI_HEAD if op.op_type == "MultiHeadAttention" else _DECODER


def _multi_head_cache(op: Operation, new: int) -> _Cache:
    where = _multi_head_places(op)
    length = op.shape(where.past)[2] if op.has(where.past) else 0
    return _cache(op, length, new, where.lengths, op.has(where.lengths) and length > 0)


def _multi_head_shapes(op: Operation) -> list[Shape | None]:
    where = _multi_head_places(op)
    queries, keys, values = _multi_head(op, _ABSENT)
    batch, heads, positions, size = queries.shape
    length = op.shape(where.past)[2] if op.has(where.past) else 0
    room = length if op.has(where.lengths) and length else length + keys.shape[2]
    return [
        (batch, positions, heads * values.shape[3]),
        (batch, heads, room, size),
        (batch, heads, room, values.shape[3]),
        (batch, heads, positions, room),
    ]


@transfer("MultiHeadAttention", domain=MICROSOFT, shape=_multi_head_shapes, computed=_LENGTHS)
@transfer(
    "DecoderMaskedMultiHeadAttention",
    domain=MICROSOFT,
    shape=_multi_head_shapes,
    computed=_LENGTHS,
)
def multi_head_attention(op: Operation) -> Reads:
    """Attention of queries, keys and values: a position reads all, or all up to its own.

    output[b, s, h*D + d] <- query[b, s, head h], key[b, seen, head h], value[b, seen, h*D + d]
    present_key <- past_key and after it key, so value;  qk[b, h, s, t] <- query[b, s], key[b, t]

    Queries, keys and values may be packed into one input, keys and values into a second one, or
    these be given head by head. bias has a part for each. seen, masks and attention_bias are as
    for Attention. With past_sequence_length the caches have more room than they hold.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmultiheadattention
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftdecodermaskedmultiheadattention
    """
    where = _multi_head_places(op)
    queries, keys, values = _multi_head(op, _multi_head_bias(op))
    batch, _, positions, _ = queries.shape
    cache = _multi_head_cache(op, keys.shape[2])
    # Other beams' pasts, which are other entries of the batch.
    beams = op.has(where.lengths + (1 if where is _MULTI_HEAD else 2))
    entry: AxisRead = WHOLE if beams else same(0)
    if beams and op.live(where.past):
        op.note("its 'cache_indirection' may name any beam: the whole batch is assumed")

    def past(k: int) -> Callable[[AxisRead], Read] | None:
        if not op.has(where.past):
            return None
        return lambda old: PerAxis(where.past + k, (entry, same(1), old, same(3)))

    if where is _DECODER and cache.held is not None and cache.room == cache.length:
        # These keys lie in another order than their shape says.
        anywhere = (same(0), same(1), WHOLE, WHOLE)
        shape = (*keys.shape[:2], cache.room, keys.shape[3])
        keys = Stage(shape, [PerAxis(keys, anywhere), PerAxis(where.past, anywhere)])
    else:
        keys = cache.present(past(0), keys)
    values = cache.present(past(1), values)
    held = 0 if cache.held is None else int(cache.held)
    seen = cache.seen(positions, causal=bool(op.attribute("unidirectional", 0)))
    seen = _left(op, where, batch, held, positions, seen)

    def others(seen: list[AxisRead]) -> list[Read]:
        reads = [*_masked(op, where.mask, batch, held, seen), *_added(op, where.bias, seen)]
        more = [k for k in op.sources[where.lengths :] if k != _multi_head_bias(op)]
        reads.extend(PerAxis(k, (WHOLE,) * len(op.shape(k))) for k in more if op.has(k))
        return reads

    context = _attended(queries, keys, values, seen, others(seen.read(1)))
    everywhere = tuple(map(same, range(4)))
    scores = _scores(queries, keys, others([same(3)]))
    if isinstance(seen, Left):
        scores = confined(op, scores, ~seen.settled, (*queries.shape[:3], cache.room))
    return (
        _merged(context),
        [PerAxis(keys, everywhere)],
        [PerAxis(values, everywhere)],
        scores,
    )


# ---------------------------------------------------------------- grouped queries


def _grouped(op: Operation) -> tuple[Stage, Stage, Stage]:
    """Queries, keys and values of GroupQueryAttention."""
    shape = op.shape(0)
    heads, kin = op.attribute("num_heads"), op.attribute("kv_num_heads")
    if op.has(1):
        given = op.shape(1)
        return (
            _split(0, shape, 0, shape[2], heads),
            _split(1, given, 0, given[2], kin),
            _split(2, op.shape(2), 0, given[2], kin),
        )
    size = shape[2] // (heads + 2 * kin)
    return (
        _split(0, shape, 0, heads * size, heads),
        _split(0, shape, heads * size, kin * size, kin),
        _split(0, shape, (heads + kin) * size, kin * size, kin),
    )


def _grouped_room(op: Operation) -> int | None:
    """How many positions the present has room for, if that can be told."""
    length = op.shape(3)[2] if op.has(3) else 0
    if op.attribute("sliding_window_cache", 0):
        return length
    total = op.static(6)
    return None if total is None else max(length, int(total.reshape(-1)[0]))


def _grouped_shapes(op: Operation) -> list[Shape | None]:
    queries, keys, values = _grouped(op)
    room = _grouped_room(op)
    if room is None:
        return [_columns(queries), None, None, None]
    present = [(*stage.shape[:2], room, stage.shape[3]) for stage in (keys, values)]
    return [_columns(queries), *present, (*queries.shape[:3], room)]


def _columns(stage: Stage) -> Shape:
    batch, heads, positions, size = stage.shape
    return (batch, positions, heads * size)


def _grouped_cache(op: Operation, new: int) -> _Cache:
    length = op.shape(3)[2] if op.has(3) else 0
    room = _grouped_room(op) or length + new
    if not length:
        # The first of all calls: nothing is held, however long the entries are.
        return _Cache(0, room, np.asarray(0), new)
    last = op.static(5)
    chunk = op.static(16) if op.has(16) else np.asarray(new)
    if last is None or chunk is None:
        op.note(f"its 'seqlens_k' are computed: {_LENGTHS}")
        return _Cache(length, room, None, new)
    total = last.reshape(-1).astype(np.int64) + 1
    held = total - np.minimum(chunk.reshape(-1), total)
    if (held == held[0]).all():
        return _Cache(length, room, held[0], new)
    return _Cache(length, room, held[:, None], new)


def _normalised(op: Operation, stage: Stage, k: int) -> Stage:
    """`stage`, each head of which is normalised and scaled by the vector `k`, if there is one."""
    if not op.has(k):
        return stage
    own = (same(0), same(1), same(2))
    reads: list[Read] = [
        PerAxis(stage, (*own, same(3))),
        PerAxis(stage, (*own, STATISTIC)),
        PerAxis(k, (same(3),)),
    ]
    return Stage(stage.shape, reads)


def _angles(op: Operation, cache: _Cache, positions: int) -> _Rotary:
    """The rotation of GroupQueryAttention: by position_ids, else by the place in the cache."""
    said: tuple[Read, ...] = ()
    rows: AxisRead = WHOLE
    if op.has(9):
        rows = _rows(op, 9, (7, 8))
        said = (PerAxis(9, (same(0), same(2))),)
    elif cache.held is not None and cache.held.ndim:
        rows = lookup((0, 2), cache.held + np.arange(positions))
    elif cache.held is not None:
        rows = shifted(2, int(cache.held))
    interleaved = bool(op.attribute("rotary_interleaved", 0))
    return _Rotary(2 * op.shape(7)[1], interleaved, (7, 8), rows, said)


@transfer("GroupQueryAttention", domain=MICROSOFT, shape=_grouped_shapes, computed=_LENGTHS)
def group_query_attention(op: Operation) -> Reads:
    """Attention in which groups of heads of the query share keys and values, after a cache.

    output[b, s, h*D + d] <- query[b, s, head h], K[b, seen, group of h], V[b, seen, d of the group]
    K = present_key <- past_key, after its first P entries key; so V = present_value

    seen: P + s and what is before it, ``local_window_size`` of them; with ``causal=0`` all up to
    seqlens_k[b].  P = seqlens_k[b] + 1 - S, 0 where there is no past.

    P=3, a window of 3, three new positions:   s: 0 1 2   seen: {1,2,3} {2,3,4} {3,4,5}

    ``do_rotary`` mixes pairs of columns of query and key first. Entries of present_key that hold
    nothing are those of past_key, which may be the same memory.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftgroupqueryattention
    """
    if op.attribute("sliding_window_cache", 0):
        raise Undetermined("what its cache has dropped is not followed")
    if op.attribute("kv_cache_bit_width", 0) == 4:
        raise Undetermined("its cache holds two numbers in one")
    queries, keys, values = _grouped(op)
    positions = queries.shape[2]
    cache = _grouped_cache(op, keys.shape[2])
    queries, keys = _normalised(op, queries, 14), _normalised(op, keys, 15)
    if op.attribute("do_rotary", 0):
        rotary = _angles(op, cache, positions)
        queries, keys = rotary.of(queries), rotary.of(keys)

    def past(k: int) -> Callable[[AxisRead], Read] | None:
        if not op.has(k):
            return None
        return lambda old: PerAxis(k, (same(0), same(1), old, same(3)))

    lengths: list[Read] = [PerAxis(k, (same(0),)) for k in (5, 16) if op.has(k)]
    keys, values = cache.present(past(3), keys), cache.present(past(4), values)
    for k, stage in ((12, keys), (13, values)):
        stage.reads.extend([Elementwise(k), *lengths] if op.has(k) else lengths)
    causal = bool(op.attribute("causal", 1))
    window = max(op.attribute("local_window_size", -1), 0)
    structure = cache.seen(positions, causal=causal, left=window)
    # These share the weights.
    beside = op.has(11) or bool(op.attribute("smooth_softmax", 0))
    bias = op.known(10)
    masks = [] if bias is None else [bias]
    seen = left(op, structure, masks, beside=beside, zeroed=True)
    total: list[Read] = [PerAxis(6, (WHOLE,) * len(op.shape(6)))]
    sink: list[Read] = [PerAxis(11, (same(1),))] if op.has(11) else []
    used = sink
    if sink and isinstance(seen, Left):
        # Beside no key it has nothing to share.
        extent = queries.shape[:3]
        row = Stage((*extent, 1), list(sink))
        used = [PerAxis(row, (same(0), same(1), q, point(0))) for q in seen.queries(1, extent[2])]
    others = [*_added(op, 10, seen.read(1)), *lengths, *total, *used]
    least = 1 if beside else 2
    context = _attended(queries, keys, values, seen, others, least)
    everywhere = tuple(map(same, range(4)))
    found: tuple[list[Read], ...] = (
        _merged(context),
        [PerAxis(keys, everywhere)],
        [PerAxis(values, everywhere)],
    )
    if not op.made(3):
        return found
    scores = _scores(queries, keys, [*_added(op, 10, [same(3)]), *lengths, *total])
    if op.attribute("qk_output", 0) == 2:
        # The weights.
        scores = [*_weighed(queries, keys, seen, least), *others]
    stage = Stage((*queries.shape[:3], cache.room), scores)
    return (*found, [PerAxis(stage, (same(0), same(1), same(2), structure.attended()))])


# ---------------------------------------------------------------- sequences one after the other


def _sequences(op: Operation, k: int, tokens: int) -> tuple[np.ndarray, np.ndarray] | None:
    """For each token the number of its sequence, and where all of them begin, from input `k`."""
    ends = op.static(k)
    if ends is None:
        op.note(f"its 'cumulative_sequence_length' is computed: {_LENGTHS}")
        return None
    return np.searchsorted(ends, np.arange(tokens), side="right") - 1, ends.astype(np.int64)


def _by_tokens(
    array: np.ndarray, shape: Shape, which: np.ndarray, within: np.ndarray
) -> np.ndarray:
    """What belongs to (sequence, head, place, place) by token and token, (1, heads, ...)."""
    array = np.broadcast_to(array, (shape[0], array.shape[1], *shape[2:]))
    place = np.diagonal(within)
    own = np.clip(within, 0, shape[3] - 1)
    return np.moveaxis(array[which[:, None], :, place[:, None], own], 2, 0)[None]


def _unpadded(
    op: Operation, queries: Stage, keys: Stage, values: Stage, lengths: int, bias: int
) -> Reads:
    """Attention within each of the sequences that follow one another."""
    known = _sequences(op, lengths, queries.shape[2])
    tokens = queries.shape[2]
    nowhere = np.zeros((1, 1), dtype=np.int64)
    seen = Keys(tokens, nowhere, nowhere + tokens)
    others: list[Read] = [PerAxis(k, (WHOLE,) * len(op.shape(k))) for k in (lengths - 1, lengths)]
    own: tuple[AxisRead, AxisRead, AxisRead] = (WHOLE, WHOLE, WHOLE)
    if known is not None:
        which, ends = known
        begins, sizes = ends[which], np.diff(ends)[which]
        seen = Keys(tokens, begins[None], sizes[None])
        within = np.arange(tokens) - begins[:, None]
        fact = op.known(bias)
        if fact is not None:
            at = (np.minimum(which, op.shape(bias)[0] - 1), within)
            seen = left(op, seen, [fact.map(lambda a: _by_tokens(a, op.shape(bias), *at))])
        place = lookup((2,), np.arange(len(which)) - begins)
        own = (lookup((2,), which), place, Table((2,), np.zeros_like(sizes), sizes))
    if op.has(bias):
        batch, heads, *_ = op.shape(bias)
        b = own[0] if batch > 1 else point(0)
        others.append(PerAxis(bias, (b, same(1) if heads > 1 else point(0), *own[1:])))
    return _merged(_attended(queries, keys, values, seen, others))


@transfer(
    "PackedAttention",
    domain=MICROSOFT,
    shape=lambda op: (op.shape(0)[0], _widths(op)[2]),
    computed=_LENGTHS,
)
def packed_attention(op: Operation) -> Reads:
    """As Attention, of sequences that follow one another: a token sees those of its own.

    output[i, h*D + d] <- Q[i, head h], K[seen, head h], V[seen, h*D + d]

    seen: cumulative_sequence_length[b] .. cumulative_sequence_length[b + 1] - 1, for i among them

    cumulative_sequence_length [0, 2, 3]:   i: 0 1 2   seen: {0,1} {0,1} {2}

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftpackedattention
    """
    queries, keys, values = _projections(op, _Places())
    return _unpadded(op, queries, keys, values, 4, 5)


def _packed_multi_head(op: Operation) -> list[Stage]:
    shape, heads = op.shape(0), op.attribute("num_heads")
    made = []
    for k in range(3):
        given = op.shape(k) if op.has(1) else shape
        if len(given) == 4:
            lifted = Stage((1, *given), [Rearrange(0, given, (0, 1, 2, 3))])
            stage = _packed(lifted, (1, *given), k)
        else:
            lifted = Stage((1, *given), [Rearrange(k, given, (0, 1))])
            stage = _split(lifted, (1, *given), 0, given[1], heads)
        made.append(stage)
    width = heads * made[0].shape[3]
    return [_biased(op, stage, 3, k * width) for k, stage in enumerate(made)]


def _packed_multi_head_shape(op: Operation) -> Shape:
    shape = op.shape(0)
    return (shape[0], op.shape(2)[1] if op.has(2) else shape[1] * shape[3])


@transfer(
    "PackedMultiHeadAttention",
    domain=MICROSOFT,
    shape=_packed_multi_head_shape,
    computed=_LENGTHS,
)
def packed_multi_head_attention(op: Operation) -> Reads:
    """As MultiHeadAttention, of sequences that follow one another: a token sees those of its own.

    output[i, h*D + d] <- query[i, head h], key[seen, head h], value[seen, h*D + d]

    seen is that of PackedAttention. Queries, keys and values may be packed into one input.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftpackedmultiheadattention
    """
    queries, keys, values = _packed_multi_head(op)
    return _unpadded(op, queries, keys, values, 5, 6)
