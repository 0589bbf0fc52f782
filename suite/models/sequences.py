"""Sequences: recurrent layers, attention."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from .single import Live, Single, family, floats, ints, live, single

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def _layer(
    kind: str,
    direction: str,
    lengths: np.ndarray | None = None,
    start: bool = False,
    **given: Any,
) -> Single:
    """A layer of 3 steps, 2 sequences, 2 features; its state has 2."""
    ways, gates = 2 if direction == "bidirectional" else 1, 2 * _GATES[kind]
    by_batch = given.get("layout", 0)
    batch = len(lengths) if lengths is not None else 2
    outer = (batch, 4) if by_batch else (4, batch)
    x = live(*outer, 2)
    state: Live | None = None
    if start:
        state = live(*((batch, ways) if by_batch else (ways, batch)), 2)
    operands: list[Live | np.ndarray | None] = [
        x, floats(ways, gates, 2), floats(ways, gates, 2, seed=2), floats(ways, 2 * gates, seed=3),
        lengths, state,
    ]  # fmt: skip
    return single(
        kind, *operands, opset=given.pop("opset", 14), outputs=2, hidden_size=2,
        direction=direction, **given,
    )  # fmt: skip


@family("RNN, GRU, LSTM")
def layers() -> Iterator[Single]:
    """Recurrent layers: every direction, both layouts, sequences that end early."""
    ways = ("forward", "reverse", "bidirectional")
    short = ints(2, 4, 1, dtype=np.int32)
    for kind, direction, lengths, layout in product(_GATES, ways, (None, short), (0, 1)):
        yield _layer(kind, direction, lengths, layout=layout)
    for kind, direction in product(_GATES, ways):
        yield _layer(kind, direction, short, start=True)
    for direction in ways:
        yield _layer("GRU", direction, linear_before_reset=1)
    yield _layer("LSTM", "forward", input_forget=1)
    yield _layer("RNN", "forward", clip=0.5)
    yield _layer("LSTM", "reverse", short, opset=7)


def _attention(*shapes: tuple[int, ...], mask: np.ndarray | None = None, **given: Any) -> Single:
    return single(
        "Attention", *(live(*shape) for shape in shapes), *([] if mask is None else [mask]),
        **given,
    )  # fmt: skip


@family("Attention")
def attention() -> Iterator[Single]:
    """Attention: causal, masked, in groups, with a past."""
    q, k = (1, 2, 3, 2), (1, 2, 4, 2)
    for opset in (23, 24):
        yield _attention(q, k, k, opset=opset)
        yield _attention(q, k, k, is_causal=1, opset=opset)
        yield _attention(q, q, q, is_causal=1, softcap=2.0, opset=opset)
        seen = np.tri(3, 4, 1) > 0
        yield _attention(q, k, k, mask=seen, opset=opset)
        added = np.where(seen, 0.25, -np.inf).astype(np.float32)
        yield _attention(q, k, k, mask=added, opset=opset, note="added")
        yield _attention(
            q, k, k, mask=np.tri(3, 4, 2).reshape(1, 1, 3, 4) > 0, is_causal=1, opset=opset
        )
        yield _attention((1, 4, 3, 2), k, k, opset=opset)
        yield _attention((1, 4, 3, 2), k, k, is_causal=1, scale=0.5, opset=opset)
        yield _attention(
            (1, 3, 8), (1, 4, 4), (1, 4, 4), q_num_heads=4, kv_num_heads=2, opset=opset
        )
        yield _attention(
            (2, 3, 4), (2, 4, 4), (2, 4, 4), q_num_heads=2, kv_num_heads=2, is_causal=1, opset=opset
        )
        past = (1, 2, 2, 2)
        yield single(
            "Attention",
            live(*q),
            live(*q),
            live(*q),
            None,
            live(*past),
            live(*past),
            opset=opset,
            outputs=3,
            is_causal=1,
        )
    yield single(
        "Attention",
        live(2, 1, 3, 2),
        live(2, 1, 4, 2),
        live(2, 1, 4, 2),
        None,
        None,
        None,
        ints(2, 4),
        opset=24,
    )
    yield single(
        "Attention",
        live(2, 1, 4, 2),
        live(2, 1, 4, 2),
        live(2, 1, 4, 2),
        None,
        None,
        None,
        ints(3, 4),
        opset=24,
        is_causal=1,
    )
