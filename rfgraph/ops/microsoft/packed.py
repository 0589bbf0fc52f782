"""Attention of com.microsoft within sequences that follow one another without padding."""

from __future__ import annotations

import numpy as np

from rfgraph.ops.microsoft.fused import MICROSOFT
from rfgraph.ops.microsoft.heads import (
    LENGTHS,
    Inputs,
    attended,
    biased,
    heads_of,
    merged,
    projections,
    unpacked,
    widths,
)
from rfgraph.ops.registry import Operation, Reads, transfer
from rfgraph.prune.masks import Keys, left
from rfgraph.reads.words import (
    WHOLE,
    AxisRead,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    Table,
    lookup,
    point,
    same,
)


def _sequences(op: Operation, k: int, tokens: int) -> tuple[np.ndarray, np.ndarray] | None:
    """For each token the number of its sequence, and where all of them begin, from input `k`."""
    ends = op.static(k)
    if ends is None:
        op.note(f"its 'cumulative_sequence_length' is computed: {LENGTHS}")
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
    return merged(attended(queries, keys, values, seen, others))


@transfer(
    "PackedAttention",
    domain=MICROSOFT,
    shape=lambda op: (op.shape(0)[0], widths(op)[2]),
    computed=LENGTHS,
)
def packed_attention(op: Operation) -> Reads:
    """As Attention, of sequences that follow one another: a token sees those of its own.

    output[i, h*D + d] <- Q[i, head h], K[seen, head h], V[seen, h*D + d]

    seen: cumulative_sequence_length[b] .. cumulative_sequence_length[b + 1] - 1, for i among them

    cumulative_sequence_length [0, 2, 3]:   i: 0 1 2   seen: {0,1} {0,1} {2}

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftpackedattention
    """
    queries, keys, values = projections(op, Inputs())
    return _unpadded(op, queries, keys, values, 4, 5)


def _packed_multi_head(op: Operation) -> list[Stage]:
    shape, heads = op.shape(0), op.attribute("num_heads")
    made = []
    for k in range(3):
        given = op.shape(k) if op.has(1) else shape
        if len(given) == 4:
            lifted = Stage((1, *given), [Rearrange(0, given, (0, 1, 2, 3))])
            stage = unpacked(lifted, (1, *given), k)
        else:
            lifted = Stage((1, *given), [Rearrange(k, given, (0, 1))])
            stage = heads_of(lifted, (1, *given), 0, given[1], heads)
        made.append(stage)
    width = heads * made[0].shape[3]
    return [biased(op, stage, 3, k * width) for k, stage in enumerate(made)]


def _packed_multi_head_shape(op: Operation) -> Shape:
    shape = op.shape(0)
    return (shape[0], op.shape(2)[1] if op.has(2) else shape[1] * shape[3])


@transfer(
    "PackedMultiHeadAttention",
    domain=MICROSOFT,
    shape=_packed_multi_head_shape,
    computed=LENGTHS,
)
def packed_multi_head_attention(op: Operation) -> Reads:
    """As MultiHeadAttention, of sequences that follow one another: a token sees those of its own.

    output[i, h*D + d] <- query[i, head h], key[seen, head h], value[seen, h*D + d]

    seen is that of PackedAttention. Queries, keys and values may be packed into one input.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftpackedmultiheadattention
    """
    queries, keys, values = _packed_multi_head(op)
    return _unpadded(op, queries, keys, values, 5, 6)
