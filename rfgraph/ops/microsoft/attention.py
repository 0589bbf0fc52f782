"""Attention as com.microsoft has it: with projections, caches, masks and rotary positions.

All of them end in `attended`: queries, keys and values as arrays of (batch, heads, positions,
head size), and the keys that a query may see. Which those are is structure where it is said by
an attribute or by sequence lengths that don't depend on the data. A mask is not: it adds a large
negative number, so that what is masked is still read, unless pruned.
"""

from __future__ import annotations

from collections.abc import Callable

from rfgraph.ops.microsoft.fused import MICROSOFT, like_first
from rfgraph.ops.microsoft.heads import (
    ABSENT,
    LENGTHS,
    Cache,
    Inputs,
    Rotary,
    attended,
    bias_reads,
    biased,
    by_head,
    cache_of,
    cache_rows,
    heads_of,
    left_by,
    mask_reads,
    merged,
    projections,
    score_reads,
    unpacked,
    widths,
)
from rfgraph.ops.registry import Operation, Reads, ShapeFunction, transfer
from rfgraph.prune.masks import Left
from rfgraph.prune.pieces import confined
from rfgraph.reads.words import (
    WHOLE,
    AxisRead,
    Elementwise,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    part,
    point,
    same,
)


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
        stage = by_head(0, shape)
    else:
        heads = op.attribute("num_heads", 0) or shape[2] // columns
        stage = heads_of(0, shape, 0, shape[2], heads)
    said = PerAxis(1, (same(0), same(2)) if len(op.shape(1)) > 1 else (point(0),))
    rows = cache_rows(op, 1, (2, 3))
    interleaved = bool(op.attribute("interleaved", 0))
    rotated = Rotary(columns, interleaved, (2, 3), rows, (said,)).of(stage)
    return [Elementwise(rotated)] if len(shape) == 4 else merged(rotated)


# ---------------------------------------------------------------- attention with projections

_ATTENTION = Inputs(mask=3, past=4, bias=5, lengths=6)
_QUANTISED = Inputs(mask=5, past=8, scales=(3, 6), weights=(4, 7))


def _projected_cache(op: Operation, where: Inputs) -> Cache:
    length = op.shape(where.past)[3] if op.has(where.past) else 0
    shared = bool(op.attribute("past_present_share_buffer", 0)) and length > 0
    return cache_of(op, length, op.shape(0)[1], where.lengths, shared)


def _projected_shapes(where: Inputs) -> ShapeFunction:
    def shapes(op: Operation) -> list[Shape | None]:
        batch, positions, _ = op.shape(0)
        heads = op.attribute("num_heads")
        _, _, width = widths(op)
        length = op.shape(where.past)[3] if op.has(where.past) else 0
        if not op.attribute("past_present_share_buffer", 0):
            length += positions
        present = (2, batch, heads, length, width // heads)
        return [(batch, positions, width), present]

    return shapes


def _projected(op: Operation, where: Inputs) -> Reads:
    queries, keys, values = projections(op, where)
    cache = _projected_cache(op, where)
    batch, _, positions, size = queries.shape
    if op.attribute("do_rotary", 0):
        rotary = Rotary(op.attribute("rotary_embedding_dim", 0) or size, False)
        queries, keys = rotary.of(queries), rotary.of(keys)

    def past(k: int) -> Callable[[AxisRead], Read] | None:
        if not op.has(where.past):
            return None
        return lambda old: PerAxis(where.past, (point(k), same(0), same(1), old, same(3)))

    keys, values = cache.present(past(0), keys), cache.present(past(1), values)
    held = 0 if cache.held is None else int(cache.held)
    seen = cache.seen(positions, causal=bool(op.attribute("unidirectional", 0)))
    seen = left_by(op, where, batch, held, positions, seen)
    columns = seen.read(1)
    others = [
        *mask_reads(op, where.mask, batch, held, columns),
        *bias_reads(op, where.bias, columns),
    ]
    if op.has(where.lengths):
        others.append(PerAxis(where.lengths, (WHOLE,) * len(op.shape(where.lengths))))
    context = attended(queries, keys, values, seen, others)
    present: list[Read] = []
    for k, stage in enumerate((keys, values)):
        lifted = Stage((1, *stage.shape), [Rearrange(stage, stage.shape, (0, 1, 2, 3))])
        present.append(PerAxis(lifted, (part(0, k, 1), *map(same, range(1, 5)))))
    return merged(context), present


@transfer(
    "Attention",
    domain=MICROSOFT,
    shape=_projected_shapes(_ATTENTION),
    computed=LENGTHS,
)
@transfer(
    "DecoderMaskedSelfAttention",
    domain=MICROSOFT,
    shape=_projected_shapes(_ATTENTION),
    computed=LENGTHS,
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
        queries, keys, values = (unpacked(0, shape, k) for k in range(3))
    elif not op.has(1):
        third = shape[2] // 3
        queries, keys, values = (heads_of(0, shape, k * third, third, heads) for k in range(3))
    else:
        queries = heads_of(0, shape, 0, shape[2], heads)
        given = op.shape(1)
        if len(given) == 5:
            keys, values = (unpacked(1, given, k) for k in range(2))
        elif len(given) == 4:
            # These have passed their bias before.
            queries = biased(op, queries, bias, 0)
            return queries, by_head(1, given), by_head(2, op.shape(2))
        else:
            keys = heads_of(1, given, 0, given[2], heads)
            values = heads_of(2, op.shape(2), 0, op.shape(2)[2], heads)
    width = heads * queries.shape[3]
    return (
        biased(op, queries, bias, 0),
        biased(op, keys, bias, width),
        biased(op, values, bias, 2 * width),
    )


_MULTI_HEAD = Inputs(mask=4, bias=5, past=6, lengths=8)
_DECODER = Inputs(mask=3, bias=4, past=5, lengths=7)


def _multi_head_bias(op: Operation) -> int:
    return 3 if op.op_type == "MultiHeadAttention" else 10


def _multi_head_places(op: Operation) -> Inputs:
    return _MULTI_HEAD if op.op_type == "MultiHeadAttention" else _DECODER


def _multi_head_cache(op: Operation, new: int) -> Cache:
    where = _multi_head_places(op)
    length = op.shape(where.past)[2] if op.has(where.past) else 0
    return cache_of(op, length, new, where.lengths, op.has(where.lengths) and length > 0)


def _multi_head_shapes(op: Operation) -> list[Shape | None]:
    where = _multi_head_places(op)
    queries, keys, values = _multi_head(op, ABSENT)
    batch, heads, positions, size = queries.shape
    length = op.shape(where.past)[2] if op.has(where.past) else 0
    room = length if op.has(where.lengths) and length else length + keys.shape[2]
    return [
        (batch, positions, heads * values.shape[3]),
        (batch, heads, room, size),
        (batch, heads, room, values.shape[3]),
        (batch, heads, positions, room),
    ]


@transfer("MultiHeadAttention", domain=MICROSOFT, shape=_multi_head_shapes, computed=LENGTHS)
@transfer(
    "DecoderMaskedMultiHeadAttention",
    domain=MICROSOFT,
    shape=_multi_head_shapes,
    computed=LENGTHS,
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
    seen = left_by(op, where, batch, held, positions, seen)

    def others(seen: list[AxisRead]) -> list[Read]:
        reads = [*mask_reads(op, where.mask, batch, held, seen), *bias_reads(op, where.bias, seen)]
        more = [k for k in op.sources[where.lengths :] if k != _multi_head_bias(op)]
        reads.extend(PerAxis(k, (WHOLE,) * len(op.shape(k))) for k in more if op.has(k))
        return reads

    context = attended(queries, keys, values, seen, others(seen.read(1)))
    everywhere = tuple(map(same, range(4)))
    scores = score_reads(queries, keys, others([same(3)]))
    if isinstance(seen, Left):
        scores = confined(op, scores, ~seen.settled, (*queries.shape[:3], cache.room))
    return (
        merged(context),
        [PerAxis(keys, everywhere)],
        [PerAxis(values, everywhere)],
        scores,
    )
