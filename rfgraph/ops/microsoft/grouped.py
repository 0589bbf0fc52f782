"""Attention of com.microsoft in which heads of queries share keys and values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rfgraph.ops.microsoft.fused import MICROSOFT
from rfgraph.ops.microsoft.heads import (
    LENGTHS,
    Cache,
    Rotary,
    attended,
    bias_reads,
    cache_rows,
    heads_of,
    merged,
    score_reads,
    weight_reads,
)
from rfgraph.ops.registry import Operation, Reads, Undetermined, transfer
from rfgraph.prune.masks import Left, left
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    AxisRead,
    Elementwise,
    PerAxis,
    Read,
    Shape,
    Stage,
    lookup,
    point,
    same,
    shifted,
)


def _grouped(op: Operation) -> tuple[Stage, Stage, Stage]:
    """Queries, keys and values of GroupQueryAttention."""
    shape = op.shape(0)
    heads, kin = op.attribute("num_heads"), op.attribute("kv_num_heads")
    if op.has(1):
        given = op.shape(1)
        return (
            heads_of(0, shape, 0, shape[2], heads),
            heads_of(1, given, 0, given[2], kin),
            heads_of(2, op.shape(2), 0, given[2], kin),
        )
    size = shape[2] // (heads + 2 * kin)
    return (
        heads_of(0, shape, 0, heads * size, heads),
        heads_of(0, shape, heads * size, kin * size, kin),
        heads_of(0, shape, (heads + kin) * size, kin * size, kin),
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


def _grouped_cache(op: Operation, new: int) -> Cache:
    length = op.shape(3)[2] if op.has(3) else 0
    room = _grouped_room(op) or length + new
    if not length:
        # The first of all calls: nothing is held, however long the entries are.
        return Cache(0, room, np.asarray(0), new)
    last = op.static(5)
    chunk = op.static(16) if op.has(16) else np.asarray(new)
    if last is None or chunk is None:
        op.note(f"its 'seqlens_k' are computed: {LENGTHS}")
        return Cache(length, room, None, new)
    total = last.reshape(-1).astype(np.int64) + 1
    held = total - np.minimum(chunk.reshape(-1), total)
    if (held == held[0]).all():
        return Cache(length, room, held[0], new)
    return Cache(length, room, held[:, None], new)


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


def _angles(op: Operation, cache: Cache, positions: int) -> Rotary:
    """The rotation of GroupQueryAttention: by position_ids, else by the place in the cache."""
    said: tuple[Read, ...] = ()
    rows: AxisRead = WHOLE
    if op.has(9):
        rows = cache_rows(op, 9, (7, 8))
        said = (PerAxis(9, (same(0), same(2))),)
    elif cache.held is not None and cache.held.ndim:
        rows = lookup((0, 2), cache.held + np.arange(positions))
    elif cache.held is not None:
        rows = shifted(2, int(cache.held))
    interleaved = bool(op.attribute("rotary_interleaved", 0))
    return Rotary(2 * op.shape(7)[1], interleaved, (7, 8), rows, said)


@transfer("GroupQueryAttention", domain=MICROSOFT, shape=_grouped_shapes, computed=LENGTHS)
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
        raise Undetermined("its cache packs two numbers into one element")
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
    others = [*bias_reads(op, 10, seen.read(1)), *lengths, *total, *used]
    least = 1 if beside else 2
    context = attended(queries, keys, values, seen, others, least)
    everywhere = tuple(map(same, range(4)))
    found: tuple[list[Read], ...] = (
        merged(context),
        [PerAxis(keys, everywhere)],
        [PerAxis(values, everywhere)],
    )
    if not op.made(3):
        return found
    scores = score_reads(queries, keys, [*bias_reads(op, 10, [same(3)]), *lengths, *total])
    if op.attribute("qk_output", 0) == 2:
        # The weights.
        scores = [*weight_reads(queries, keys, seen, least), *others]
    stage = Stage((*queries.shape[:3], cache.room), scores)
    return (*found, [PerAxis(stage, (same(0), same(1), same(2), structure.attended()))])
