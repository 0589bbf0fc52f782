"""Attention, and what goes with it: rotary embeddings, caches and running states."""

from __future__ import annotations

import numpy as np

from rfgraph.ops.onnx.moving import along_axis, gathered
from rfgraph.ops.onnx.windows import bias, taps
from rfgraph.ops.registry import Operation, Reads, describe, transfer
from rfgraph.prune.facts import Fact
from rfgraph.prune.masks import Keys, Left, left
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
    part,
    point,
    running,
    same,
    shifted,
    window,
)


def _unpacked(k: int, shape: Shape, heads: int) -> tuple[Source, Shape]:
    """Input `k` as (batch, heads, length, size); three axes are (batch, length, heads * size)."""
    if len(shape) == 4:
        return k, shape
    batch, length, hidden = shape
    packed = (batch, length, heads, hidden // heads)
    made = (batch, heads, length, hidden // heads)
    return Stage(made, [Rearrange(k, packed, (0, 2, 1, 3))]), made


def _packed(shape: Shape, reads: list[Read]) -> list[Read]:
    """The reads of (batch, length, heads * size), from those of `shape`, which has heads second."""
    return [Rearrange(Stage(shape, reads), shape, (0, 2, 1, 3))]


def _head(heads: int, shared: int) -> AxisRead:
    """The one of `shared` heads that each of `heads` heads uses: equal runs of them share one."""
    if heads % shared:
        raise ValueError(f"{heads} heads can't share {shared}")
    return same(1) if heads == shared else block(1, heads // shared, 1)


# ---------------------------------------------------------------- Attention

_COMPUTED = "its 'nonpad_kv_seqlen' is computed: every key may be attended"


def _keys(op: Operation, queries: int, total: int, past: int) -> Keys:
    """What `is_causal`, the windows, `nonpad_kv_seqlen` and a short mask leave."""
    end = np.full((1, 1), total)
    if op.has(3) and op.shape(3) and op.version >= 24:
        end = np.minimum(end, op.shape(3)[-1])
    left, right = op.attribute("left_window_size", -1), op.attribute("right_window_size", -1)
    right = 0 if op.attribute("is_causal", 0) else right
    offset = np.full((1, 1), past)
    if op.has(6):
        given = op.static(6)
        if given is None:
            op.note(_COMPUTED)
            return Keys(total, np.zeros_like(end), end)
        valid = given.astype(np.int64).reshape(-1, 1)
        valid = valid[:1] if (valid == valid[0]).all() else valid
        end = np.minimum(end, valid)
        offset = valid - queries
    place = np.arange(queries) + offset
    first, last = np.zeros_like(end), end
    if left >= 0:
        first = np.maximum(place - left, 0)
    if right >= 0:
        last = np.minimum(place + right + 1, end)
    first, last = np.broadcast_arrays(first, last)
    counts = np.maximum(last - first, 0)
    if len(offset) > 1 or max(left, right) < 0:
        return Keys(total, first, counts)
    nearest = int(offset[0, 0])
    if left < 0:
        return Keys(total, first, counts, shifted(2, nearest + right), -1)
    if right < 0:
        return Keys(total, first, counts, shifted(2, nearest - left), 1)
    return Keys(total, first, counts, window(2, left + right + 1, 1, 1, left - nearest))


def _masks(op: Operation) -> list[Fact]:
    """What is known of attn_mask: what it adds to the scores."""
    fact = op.known(3)
    if fact is not None and fact.value.dtype == bool:
        excluded = fact.zeros
        if excluded is None:
            return []
        fact = Fact(excluded, np.full((1,) * excluded.ndim, -np.inf, np.float32))
    return [] if fact is None else [fact]


def _weighing(op: Operation, keys: Keys, extent: Shape) -> np.ndarray | None:
    """Elements of an output of shape `extent` with four axes whose values aren't all 0, as far as
    their query may attend them; None: all.
    """
    zeros = op.zeros(2)
    shape = op.shape(2)
    if zeros is None or op.has(5):
        return None
    _, (_, heads, _, size) = _unpacked(2, shape, op.attribute("kv_num_heads", 0))
    if len(shape) == 3:
        full = np.broadcast_to(zeros, (*zeros.shape[:2], heads * size))
        zeros = full.reshape(*zeros.shape[:2], heads, size).swapaxes(1, 2)
    kept = keys.kept if isinstance(keys, Left) else keys.may()[:, None]
    if zeros.shape[1] > 1:
        zeros = zeros.repeat(extent[1] // heads, axis=1)
    left = np.broadcast_to(kept, (*kept.shape[:3], keys.total))
    right = np.broadcast_to(~zeros, (*zeros.shape[:2], keys.total, zeros.shape[3]))
    return np.asarray(left.astype(np.float32) @ right.astype(np.float32) > 0)


def _cached(op: Operation, k: int, past: int) -> tuple[Source, Shape, list[Read]]:
    """Keys or values after those of the past: source, shape, and the reads that make them."""
    source, shape = _unpacked(k, op.shape(k), op.attribute("kv_num_heads", 0))
    if not op.has(past):
        return source, shape, source.reads if isinstance(source, Stage) else [Elementwise(k)]
    before = op.shape(past)[2]
    reads: list[Read] = [
        PerAxis(past, along_axis(4, 2, part(2, 0, before))),
        PerAxis(source, along_axis(4, 2, part(2, before, shape[2]))),
    ]
    shape = (*shape[:2], before + shape[2], shape[3])
    return Stage(shape, reads), shape, reads


def _attention_shapes(op: Operation) -> list[Shape]:
    """Inference leaves the present keys and values open if there are none of the past."""
    _, (batch, heads, length, _) = _unpacked(0, op.shape(0), op.attribute("q_num_heads", 0))
    _, keys, _ = _cached(op, 1, 4)
    _, values, _ = _cached(op, 2, 5)
    Y: Shape = (batch, heads, length, values[3])
    if len(op.shape(0)) == 3:
        Y = (batch, length, heads * values[3])
    return [Y, keys, values, (batch, heads, length, keys[2])]


@transfer("Attention", since=23, shape=_attention_shapes, computed=_COMPUTED)
def attention(op: Operation) -> Reads:
    """A query weighs the values by its product with their keys.

    Y[b, h, i, e] <- Q[b, h, i, all], K[b, g, J, all], V[b, g, J, e], attn_mask[b, h, i, J]
    with g the keys' head that h uses, and J the keys that query i may attend: all, but with

    ``is_causal``          up to i + offset
    ``left_window_size``   from i + offset - left_window_size on, and to the right in the same way
    `past_key`             offset = its length: these keys come first
    `nonpad_kv_seqlen`     below it, offset = nonpad_kv_seqlen - number of queries

    causal, three queries:   i: 0 1 2   J: {0} {0,1} {0,1,2}

    A single key has the weight 1: then the query reads V alone, and attn_mask, which may leave
    not even that one. What attn_mask excludes by its values counts as read, unless pruned: a query
    of which it excludes all keys then reads nothing. From version 24 on it may be shorter than
    the keys, those beyond it are not attended. Inputs with three axes hold the heads side by side
    in the last one.

    https://onnx.ai/onnx/operators/onnx__Attention.html
    """
    Q, (batch, heads, length, _) = _unpacked(0, op.shape(0), op.attribute("q_num_heads", 0))
    K, (_, shared, total, _), present_key = _cached(op, 1, 4)
    V, (*_, size), present_value = _cached(op, 2, 5)
    structure = _keys(op, length, total, op.shape(4)[2] if op.has(4) else 0)
    keys = left(op, structure, _masks(op), zeroed=True)
    head = _head(heads, shared)
    lengths: list[Read] = []
    if op.static(6) is None:
        lengths.append(PerAxis(6, (same(0),)))

    def mask(column: AxisRead) -> list[Read]:
        if not op.has(3):
            return []
        shape = op.shape(3)
        first = 4 - len(shape)
        reads: list[AxisRead] = [
            same(first + k) if n > 1 else point(0) for k, n in enumerate(shape)
        ]
        if shape and (shape[-1] > 1 or op.version >= 24):
            reads[-1] = column
        return [PerAxis(3, tuple(reads))]

    def weights() -> list[Read]:
        """What the weights of a query read, all together."""
        reads = list(lengths)
        reads += [PerAxis(Q, (same(0), same(1), q, STATISTIC)) for q in keys.queries(2, length)]
        reads += [PerAxis(K, (same(0), head, r, STATISTIC)) for r in keys.read(2)]
        reads += [read for r in keys.read(1) for read in mask(r)]
        return reads

    Y = weights()
    weighing = _weighing(op, keys, (batch, heads, length, size))
    if weighing is not None:
        Y = confined(op, Y, weighing, (batch, heads, length, size))
    Y += [PerAxis(V, (same(0), head, r, same(3))) for r in keys.read(1)]
    if len(op.shape(0)) == 3:
        Y = _packed((batch, heads, length, size), Y)
    mode = op.attribute("qk_matmul_output_mode", 0)
    scores: list[Read] = [
        PerAxis(Q, (same(0), same(1), same(2), STATISTIC)),
        PerAxis(K, (same(0), head, same(3), STATISTIC)),
    ]
    if mode >= 2 and op.made(3):
        # After the mask the score of a key that may not be attended is -inf, its weight 0.
        inner = weights() if mode == 3 else [*scores, *mask(same(3)), *lengths]
        extent = (batch, heads, length, total)
        stage = Stage(extent, inner)
        scores = [PerAxis(stage, (same(0), same(1), same(2), structure.attended()))]
        if mode == 3 and isinstance(keys, Left):
            scores = confined(op, scores, keys.kept, extent)
    return Y, present_key, present_value, scores


# ---------------------------------------------------------------- positions


_ANY_POSITION = "its 'position_ids' are computed: every row of the caches is assumed"


@transfer("RotaryEmbedding", since=23, computed=_ANY_POSITION)
def rotary_embedding(op: Operation) -> Reads:
    """Pairs of elements of a head are rotated by an angle that depends on the position.

    Y[b, n, l, e] <- X[b, n, l, e], X[b, n, l, e's partner], cos_cache[p, k], sin_cache[p, k]
    with p = position_ids[b, l] and k the pair's number;  without position_ids the caches are
    read at [b, l, k]

    head of 4:   e: 0 1 2 3   reads: {0,2} {1,3} {0,2} {1,3}   interleaved: {0,1} {0,1} {2,3} {2,3}

    From ``rotary_embedding_dim`` on, if it is given, elements are left as they are.

    https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html
    """
    shape = op.shape(0)
    X, (batch, heads, length, size) = _unpacked(0, shape, op.attribute("num_heads", 0))
    turned = op.attribute("rotary_embedding_dim", 0) or size
    half = turned // 2
    e = np.arange(size)
    rotated = e < turned
    if op.attribute("interleaved", 0):
        pair, first, step = e // 2, e - e % 2, 1
    else:
        pair, first, step = e % half, e % half, half
    elements = Table((3,), np.where(rotated, first, e), np.where(rotated, 2, 1), step)
    own_pair = Table((3,), np.where(rotated, pair, 0), rotated.astype(np.int64))
    row: tuple[AxisRead, ...] = (same(0), same(1))
    angles = Stage((batch, length, half))
    if op.has(3):
        angles.reads.append(PerAxis(3, row))
        row = (_row(op, op.shape(1)[0]),)
    angles.reads.extend(PerAxis(cache, (*row, same(2))) for cache in (1, 2))
    reads: list[Read] = [
        PerAxis(X, (same(0), same(1), same(2), elements)),
        PerAxis(angles, (same(0), same(2), own_pair)),
    ]
    return reads if len(shape) == 4 else _packed((batch, heads, length, size), reads)


def _row(op: Operation, rows: int) -> AxisRead:
    """The row of a cache of `rows` that `position_ids` names for each sequence and place."""
    positions = op.static(3)
    if positions is None:
        if op.live(1) or op.live(2):
            op.note(_ANY_POSITION)
        return WHOLE
    positions = np.where(positions < 0, positions + rows, positions)
    if len(positions) and (positions == positions[0]).all():
        return gathered((1,), positions[0])
    return gathered((0, 1), positions)


# ---------------------------------------------------------------- running states


@transfer("LinearAttention", since=27)
def linear_attention(op: Operation) -> Reads:
    """Every step writes its key and value into a state, from which its query reads.

    linear        S_t = S_t-1 + k_t v_t'
    gated         S_t = exp(g_t) S_t-1 + k_t v_t'
    delta         S_t = S_t-1 + beta_t k_t (v_t - S_t-1' k_t)'
    gated_delta   delta, with exp(g_t) S_t-1 in the place of S_t-1
    o_t = scale * S_t' q_t

    output[b, t, h, m] <- query[b, t, h, all], key[b, 0 .. t, g, all], value[b, 0 .. t, g, m],
    past_state[b, g, all, m], decay[b, 0 .. t, g, all], beta[b, 0 .. t, g];  g the head of h

    three steps:   t: 0 1 2   reads: {0} {0,1} {0,1,2}

    present_state[b, g, d, m] reads all steps in the same way, but where nothing is corrected
    only coordinate d of key, past_state and decay. A single step without past_state finds
    nothing to correct.

    https://onnx.ai/onnx/operators/onnx__LinearAttention.html
    """
    heads, shared = op.attribute("q_num_heads"), op.attribute("kv_num_heads")
    query, (batch, _, length, _) = _unpacked(0, op.shape(0), heads)
    key, _ = _unpacked(1, op.shape(1), shared)
    value, (*_, size) = _unpacked(2, op.shape(2), shared)
    rule = op.attribute("update_rule", "gated_delta")

    def state(head: AxisRead, d: AxisRead, gate: AxisRead, time: AxisRead) -> list[Read]:
        """What the state reads; `d` and `gate` are the coordinates of key and decay."""
        reads: list[Read] = [
            PerAxis(key, (same(0), head, time, d)),
            PerAxis(value, (same(0), head, time, same(3))),
            PerAxis(3, (same(0), head, d, same(3))),
        ]
        if op.has(4):
            decay, (*_, gates) = _unpacked(4, op.shape(4), shared)
            reads.append(PerAxis(decay, (same(0), head, time, gate if gates > 1 else point(0))))
        if op.has(5):
            own = head if op.shape(5)[2] > 1 else point(0)
            reads.append(PerAxis(5, (same(0), time, own)))
        return reads

    reads = state(_head(heads, shared), STATISTIC, STATISTIC, running(2, length))
    output = [PerAxis(query, (same(0), same(1), same(2), STATISTIC)), *reads]
    corrected = rule.endswith("delta")
    # Without a past the first step has nothing to correct.
    mixed = corrected and length > (0 if op.has(3) else 1)
    own = same(2)
    present = state(
        same(1), STATISTIC if mixed else own, STATISTIC if corrected else own, STATISTIC
    )
    return _packed((batch, heads, length, size), output), present


@transfer("CausalConvWithState", since=27)
def causal_conv_with_state(op: Operation) -> Reads:
    """Each channel has a window of its own that ends at the output's place.

    output[b, c, o] <- input[b, c, o-k+1 .. o], weight[c, 0, all], bias[c];  before the input
    lies past_state, or nothing
    present_state[b, c, o] <- the last k - 1 of both

    k=3, three inputs:   o: 0 1 2   reads: {0} {0,1} {0,1,2}

    https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html
    """
    shape = op.shape(0)
    kernel = op.shape(1)[2]
    before = kernel - 1
    source: Source = 0
    used: AxisRead = STATISTIC
    output_window = window(2, kernel, 1, 1, before)
    last = shifted(2, shape[2] - before)
    if op.has(3) and before:
        source = Stage(
            (*shape[:2], before + shape[2]),
            [
                PerAxis(3, along_axis(3, 2, part(2, 0, before))),
                PerAxis(0, along_axis(3, 2, part(2, before, shape[2]))),
            ],
        )
        output_window, last = window(2, kernel, 1, 1, 0), shifted(2, shape[2])
    else:
        o, k = np.ogrid[: shape[2], :kernel]
        used = taps(2, o - before + k >= 0)
    output = [
        PerAxis(source, along_axis(3, 2, output_window)),
        PerAxis(1, (same(1), point(0), used)),
        bias(2),
    ]
    return output, [PerAxis(source, along_axis(3, 2, last))]


describe("Attention", streamed="attend within a window, or behind a causal mask")
