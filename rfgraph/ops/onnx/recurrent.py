"""Recurrent layers: RNN, GRU and LSTM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from rfgraph.ops.registry import Operation, Reads, describe, transfer
from rfgraph.reads.words import (
    STATISTIC,
    AxisRead,
    Coordinate,
    Factor,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    Table,
    part,
    point,
    running,
    same,
    shifted,
)

# The inputs by their position.
_X, _W, _R, _B, _SEQUENCE_LENS, _INITIAL_H, _INITIAL_C, _P = range(8)

_COMPUTED = "its 'sequence_lens' are computed: sequences as long as X are assumed"

# What one hidden unit reads besides X: blocks of rows, one row a unit, as (input, block); True
# where it reads the rows of all units, False for its own row alone. None is a state of zeros.
Rows: TypeAlias = dict[tuple[int, int], bool]
Cell: TypeAlias = "Callable[[Rows | None, Rows | None], tuple[Rows, Rows | None]]"


def _union(*parts: Rows | None) -> Rows:
    rows: Rows = {}
    for found in parts:
        for block, every in (found or {}).items():
            rows[block] = rows.get(block, False) or every
    return rows


def _of_all(rows: Rows | None) -> Rows:
    """What a product with a matrix reads of a state: that of every unit."""
    return dict.fromkeys(rows or {}, True)


def _gate(gate: int, gates: int, H: Rows | None) -> Rows:
    """Xt*W[gate] + Ht-1*R[gate] + Wb[gate] + Rb[gate], of `gates`."""
    rows: Rows = {(_W, gate): False, (_B, gate): False, (_B, gates + gate): False}
    if H is not None:
        rows = _union(rows, {(_R, gate): False}, _of_all(H))
    return rows


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer: its sizes, and what its units read after each number of steps.

    `hidden` and `cell` have an entry for no step, one, two ...; the last one holds for all
    further steps.
    """

    length: int
    batch: int
    units: int
    directions: int
    hidden: list[Rows]
    cell: list[Rows]


def _layer(op: Operation, cell: Cell) -> _Layer:
    length, batch, _ = _by_time(op)
    directions, _, units = op.shape(_R)
    H: Rows | None = {(_INITIAL_H, 0): False} if op.has(_INITIAL_H) else None
    C: Rows | None = {(_INITIAL_C, 0): False} if op.has(_INITIAL_C) else None
    steps = [(H, C)]
    while len(steps) < 3 or steps[-1] != steps[-2]:
        steps.append(cell(*steps[-1]))
    hidden, memory = zip(*steps, strict=True)
    return _Layer(
        length, batch, units, directions, [_union(h) for h in hidden], [_union(c) for c in memory]
    )


def _by_time(op: Operation) -> Shape:
    """The shape of X with time first."""
    first, second, features = op.shape(_X)
    return (second, first, features) if op.attribute("layout", 0) else (first, second, features)


def _shapes(op: Operation) -> list[Shape]:
    """Of Y, and of the last states."""
    length, batch, _ = _by_time(op)
    directions, _, units = op.shape(_R)
    if op.attribute("layout", 0):
        last = (batch, directions, units)
        return [(batch, length, directions, units), last, last]
    last = (directions, batch, units)
    return [(length, directions, batch, units), last, last]


def _reads(op: Operation, cell: Cell) -> Reads:
    """The reads of Y, Y_h and Y_c."""
    layer = _layer(op, cell)
    lengths = np.full(1, layer.length)
    reading: list[Read] = []
    if op.has(_SEQUENCE_LENS):
        given = op.static(_SEQUENCE_LENS)
        if given is None:
            op.note(_COMPUTED)
            reading.append(PerAxis(_SEQUENCE_LENS, (same(2),)))
        elif given.shape != (layer.batch,) or given.dtype.kind not in "iu":
            raise ValueError(
                f"sequence_lens has the shape {given.shape}, and the batch of X has {layer.batch} "
                "rows"
            )
        elif (given != layer.length).any():
            lengths = given.astype(np.int64)
    Y = _over_directions(op, layer, lengths, reading, last=False, rows=layer.hidden)
    H = _over_directions(op, layer, lengths, reading, last=True, rows=layer.hidden)
    C = _over_directions(op, layer, lengths, reading, last=True, rows=layer.cell)
    return Y, H, C


def _over_directions(
    op: Operation,
    layer: _Layer,
    lengths: np.ndarray,
    reading: list[Read],
    *,
    last: bool,
    rows: list[Rows],
) -> list[Read]:
    """The reads of an output: each direction is a stage of shape (time, 1, batch, hidden)."""
    reads: list[Read] = []
    count = layer.directions
    for d in range(count):
        reverse = bool(d) or op.attribute("direction", "forward") == "reverse"
        shape = (1 if last else layer.length, 1, layer.batch, layer.units)
        time, steps = _times(layer.length, lengths, reverse=reverse, last=last)
        stage = Stage(shape, list(reading))
        x: list[AxisRead] = [time, same(2), STATISTIC]
        if op.attribute("layout", 0):
            x[:2] = x[1::-1]
        # A feature counts if it does for any unit.
        stage.reads.append(PerAxis(_X, tuple(x), (Factor(_W, (point(d), "row", Coordinate(2))),)))
        stage.reads.extend(_rows(op, shape, steps, d, layer.units, rows))
        own = same(1) if count == 1 else part(1, d, 1)
        if last:
            own = same(0) if count == 1 else part(0, d, 1)
            reads.append(PerAxis(stage, (point(0), own, same(1), same(2))))
        else:
            reads.append(PerAxis(stage, (same(0), own, same(2), same(3))))
    if not op.attribute("layout", 0):
        return reads
    if last:
        made = (count, layer.batch, layer.units)
        return [Rearrange(Stage(made, reads), made, (1, 0, 2))]
    whole = (layer.length, count, layer.batch, layer.units)
    return [Rearrange(Stage(whole, reads), whole, (2, 0, 1, 3))]


def _times(
    length: int, lengths: np.ndarray, *, reverse: bool, last: bool
) -> tuple[AxisRead, np.ndarray]:
    """How a stage reads the time axis of X, and the number of steps behind each of its elements.

    The steps have the shape (times, sequences) or, where all are equally long, (times, 1).
    """
    full = bool((lengths == length).all())
    axes = (0,) if full else (0, 2)
    if last:
        read = STATISTIC if full else Table((2,), np.zeros_like(lengths), lengths)
        return read, lengths[None]
    t = np.arange(length)[:, None]
    steps = lengths - t if reverse else t + 1
    steps = np.where(t < lengths, steps, -1)
    if full:
        return running(0, length, reverse=reverse), steps
    starts = np.broadcast_to(t if reverse else np.zeros_like(t), steps.shape)
    counts = np.maximum(steps, 0)
    side = 1 if reverse else -1
    return Table(axes, starts, counts, 1, shifted(0, 0), open=side), steps


def _rows(
    op: Operation, shape: Shape, steps: np.ndarray, direction: int, units: int, rows: list[Rows]
) -> list[Read]:
    """The reads of weights and initial states, each from the number of steps on that needs it: most
    depend on no input, and there are hundreds.
    """
    reads: list[Read] = []
    for source, block in rows[-1]:
        if not op.live(source):
            continue
        first = [k for k, found in enumerate(rows) if (source, block) in found]
        every = [k for k in first if rows[k][source, block]]
        own = shifted(3, block * units)
        all_units = Fixed(block * units, units, statistic=True)
        if not every or first[0] < every[0]:
            reads.append(_from_step(shape, steps, first[0], _of_block(op, source, direction, own)))
        if every:
            read = _of_block(op, source, direction, all_units)
            reads.append(_from_step(shape, steps, every[0], read))
    return reads


def _of_block(op: Operation, source: int, direction: int, rows: AxisRead) -> Read:
    """Rows of an input for one direction, and all columns of the matrices."""
    if source == _W:
        return PerAxis(_W, (point(direction), rows, STATISTIC))
    if source == _R:
        return PerAxis(_R, (point(direction), rows, STATISTIC))
    if source in (_B, _P):
        return PerAxis(source, (point(direction), rows))
    state: tuple[AxisRead, ...] = (point(direction), same(2), rows)
    if op.attribute("layout", 0):
        state = (same(2), point(direction), rows)
    return PerAxis(source, state)


def _from_step(shape: Shape, steps: np.ndarray, first: int, read: Read) -> Read:
    """`read`, confined to the elements of a stage of `shape` behind `first` steps or more."""
    there = steps >= first
    if there.all():
        return read
    times = np.broadcast_to(np.arange(shape[0])[:, None], there.shape)
    axes: tuple[int, ...] = (0, 2)
    if there.shape[1] == 1:
        there, times, axes = there[:, 0], times[:, 0], (0,)
    confined = Table(axes, times, there.astype(np.int64), interior=same(0))
    return PerAxis(Stage(shape, [read]), (confined, same(1), same(2), same(3)))


@transfer("RNN", since=7, shape=_shapes, computed=_COMPUTED)
def rnn(op: Operation) -> Reads:
    """The state of every step reads its own X and, through the last state, all before.

    Ht = f(Xt*Wi + Ht-1*Ri + Wbi + Rbi)

    Y[t, 0, b, j] <- X[0 .. t, b, all], initial_h[0, b, all], rows of W, R and B: at the first
    step row j alone, then all;  direction 1, or ``reverse``, runs from the end

    three steps:   t: 0 1 2   reads: {0} {0,1} {0,1,2}   reverse: {0,1,2} {1,2} {2}

    Without `initial_h` the first step reads no R. Beyond its length a sequence is zero, and a
    reversed one begins at its last element.

    https://onnx.ai/onnx/operators/onnx__RNN.html
    """

    def cell(H: Rows | None, _: Rows | None) -> tuple[Rows, Rows | None]:
        return _gate(0, 1, H), None

    return _reads(op, cell)


@transfer("GRU", since=7, shape=_shapes, computed=_COMPUTED)
def gru(op: Operation) -> Reads:
    """As RNN, with an update and a reset gate.

    zt = f(Xt*Wz + Ht-1*Rz + Wbz + Rbz),  rt = f(Xt*Wr + Ht-1*Rr + Wbr + Rbr)
    ht = g(Xt*Wh + (rt . Ht-1)*Rh + Rbh + Wbh)
    ht = g(Xt*Wh + rt . (Ht-1*Rh + Rbh) + Wbh)   with ``linear_before_reset``
    Ht = (1 - zt) . ht + zt . Ht-1

    The first step without `initial_h` resets nothing, so that it reads no reset gate; with it,
    unit j reads the reset gates of all units, or with ``linear_before_reset`` its own.

    https://onnx.ai/onnx/operators/onnx__GRU.html
    """
    z, r, h = range(3)

    def cell(H: Rows | None, _: Rows | None) -> tuple[Rows, Rows | None]:
        proposed = _gate(h, 3, H)
        reset = _gate(r, 3, H)
        if not op.attribute("linear_before_reset", 0):
            reset = _of_all(reset) if H is not None else {}
        elif H is None and not op.has(_B):
            reset = {}
        return _union(_gate(z, 3, H), proposed, reset, H), None

    return _reads(op, cell)


@transfer("LSTM", since=7, shape=_shapes, computed=_COMPUTED)
def lstm(op: Operation) -> Reads:
    """As RNN, with input, output and forget gates and a cell state of each unit's own.

    it = f(Xt*Wi + Ht-1*Ri + Pi . Ct-1 + Wbi + Rbi),  ft the same with Wf, Rf, Pf, Wbf, Rbf
    ct = g(Xt*Wc + Ht-1*Rc + Wbc + Rbc)
    Ct = ft . Ct-1 + it . ct
    ot = f(Xt*Wo + Ht-1*Ro + Po . Ct + Wbo + Rbo)
    Ht = ot . h(Ct)

    At the first step, unit j reads initial_c[., b, j] and P of its own; later those of all,
    through the states of all. Without `initial_c` that step forgets nothing, so that it reads no
    forget gate; with ``input_forget`` there is none, ft = 1 - it. Y_c does not read the last
    output gate.

    https://onnx.ai/onnx/operators/onnx__LSTM.html
    """
    i, o, f, c = range(4)

    def peephole(gate: int, C: Rows | None) -> Rows:
        return {} if C is None else _union({(_P, gate): False}, C)

    def cell(H: Rows | None, C: Rows | None) -> tuple[Rows, Rows | None]:
        memory = _union(_gate(i, 4, H), _gate(c, 4, H), peephole(i, C))
        if C is not None and not op.attribute("input_forget", 0):
            memory = _union(memory, _gate(f, 4, H), peephole(f, C))
        return _union(_gate(o, 4, H), peephole(o, memory)), memory

    return _reads(op, cell)


_FORWARD = "a recurrent layer that runs forward alone"

describe("RNN GRU", carried=((_INITIAL_H, 1),), streamed=_FORWARD)
describe("LSTM", carried=((_INITIAL_H, 1), (_INITIAL_C, 2)), streamed=_FORWARD)
