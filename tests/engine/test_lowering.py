"""Lowering, a read at a time: the instructions it becomes, by hand, and what these hold.

What a slot holds is held against the definition of the read: the coordinates that it lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pytest

import rfgraph
from rfgraph.engine._lowering import AxisView, Chain, Item, Lowering, Piece, leaves, written
from rfgraph.engine.bounds import Bounds
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    lookup,
    part,
    point,
    same,
    shifted,
    window,
)
from tests.graphs import model

Shape: TypeAlias = tuple[int, ...]
Told: TypeAlias = "list[tuple[int, int] | None]"


def lowered(reads: list[Read], shape: Shape, extent: Shape) -> Bounds:
    """What one node ``y`` of shape `extent` becomes that reads ``x`` of `shape` so."""

    @rfgraph.transfer("Read", domain="own", shape=lambda op: extent, replace=True)
    def read(op: rfgraph.Operation) -> list[Read]:
        return reads

    sizes = ",".join(map(str, shape))
    return rfgraph.analyze(model("y = own.Read(x)", f"float[{sizes}] x")).lowered


def made(bounds: Bounds, inputs: int) -> list[str]:
    """The instructions that are not seeds of the input's axes, nor what masks are made of."""
    kinds = [bounds.program.instruction(slot)[0] for slot in range(len(bounds.program))]
    return [kind for kind in kinds[inputs:] if kind != "LISTED"]


def view(bounds: Bounds, axis: int) -> AxisView:
    return bounds.views["y"]["x"][axis]


def only(bounds: Bounds, axis: int) -> Item:
    (item,) = view(bounds, axis).items
    assert isinstance(item, Item)
    return item


def ends(bounds: Bounds, axis: int, extent: Shape) -> Told:
    """First and last coordinate that each unit sees along an axis of ``x``, of all items."""
    units: Told = [None] * int(np.prod(extent))
    number = np.arange(len(units)).reshape(extent)
    for item, confined in leaves(view(bounds, axis)):
        low = written(bounds.program, item, extent)
        holds = np.ones(extent, bool)
        for mask in item.masks:
            holds &= written(bounds.program, mask, extent)[0] <= 0
        for a, begin, end, _ in confined:
            along = np.arange(extent[a]).reshape([-1 if k == a else 1 for k in range(len(extent))])
            holds &= (along >= begin) & (along < end)
        first, last = np.broadcast_to(low, (2, *extent))
        for unit in number[holds]:
            a, b = int(first.flat[unit]), -int(last.flat[unit])
            if a > b:  # nothing
                continue
            old = units[unit]
            units[unit] = (a, b) if old is None else (min(a, old[0]), max(b, old[1]))
    return units


def hulls(coordinates: Sequence[Sequence[int]]) -> Told:
    return [(min(c), max(c)) if len(c) else None for c in coordinates]


def test_the_same_coordinate_makes_nothing() -> None:
    bounds = lowered([PerAxis(0, (same(1), same(0)))], (4, 6), (6, 4))
    assert made(bounds, 2) == []
    # Rows of x are seen along axis 1 of y, by the slot with which x sees them.
    (own,) = bounds.views["x"]["x"][0].items
    assert isinstance(own, Item)
    assert only(bounds, 0).slot == own.slot
    assert [(p.axis, p.inner, p.size) for p in only(bounds, 0).pieces] == [(1, 1, 4)]
    assert [(p.axis, p.inner, p.size) for p in only(bounds, 1).pieces] == [(0, 1, 6)]


def test_a_window_is_one_instruction() -> None:
    bounds = lowered([PerAxis(0, (window(0, 3, 2, 2, 3),))], (9,), (6,))
    # The last one. Before it zeros along x, and the window of them, which tells where anything is
    # read: at every unit, so that there is no mask.
    assert made(bounds, 1) == ["WINDOW"] * 3
    assert only(bounds, 0).masks == ()
    reads = [[c for c in (2 * o - 3, 2 * o - 1, 2 * o + 1) if 0 <= c < 9] for o in range(6)]
    assert ends(bounds, 0, (6,)) == hulls(reads)


def test_its_progression_is_the_read() -> None:
    bounds = lowered([PerAxis(0, (window(0, 3, 2, 2, 3),))], (9,), (6,))
    kind, source, word, *_ = bounds.program.instruction(only(bounds, 0).slot)
    assert (kind, source) == ("WINDOW", 0)
    # Starts, counts, coordinates a period, step, first and past the last unit, units, length.
    assert bounds.program.progression(word) == ([-3], [3], 2, 2, 0, 6, 6, 9)


def test_equal_reads_are_one_instruction() -> None:
    """Rows and columns of a square."""
    both = PerAxis(0, (window(0, 3, 1, 1, 1), window(1, 3, 1, 1, 1)))
    bounds = lowered([both], (5, 5), (5, 5))
    assert made(bounds, 1) == ["WINDOW"] * 2
    assert only(bounds, 0).slot == only(bounds, 1).slot


@pytest.mark.parametrize(("read", "is_global"), [(WHOLE, False), (STATISTIC, True)])
def test_a_whole_axis_is_a_fold(read: object, is_global: bool) -> None:
    bounds = lowered([PerAxis(0, (read, same(1)))], (4, 6), (3, 6))  # type: ignore[arg-type]
    assert made(bounds, 2) == ["FOLD"]
    item = only(bounds, 0)
    assert (item.pieces, item.masks, item.is_global) == ((), (), is_global)
    assert bounds.program.at(item.slot, 0) == (0, -3)


def test_everything_folds_every_axis_and_is_global() -> None:
    bounds = lowered([Everything(0)], (4, 6), (3,))
    assert made(bounds, 2) == ["FOLD", "FOLD"]
    assert [only(bounds, axis).is_global for axis in (0, 1)] == [True, True]
    assert [bounds.program.at(only(bounds, axis).slot, 0) for axis in (0, 1)] == [(0, -3), (0, -5)]


def test_one_coordinate_varies_along_nothing() -> None:
    bounds = lowered([PerAxis(0, (point(2), same(0)))], (4, 6), (6,))
    assert only(bounds, 0).pieces == ()
    assert bounds.program.at(only(bounds, 0).slot, 0) == (2, -2)


def test_an_axis_that_is_repeated_keeps_its_only_coordinate() -> None:
    bounds = lowered([Elementwise(0)], (1, 6), (4, 6))
    assert ends(bounds, 0, (4, 6)) == [(0, 0)] * 24
    assert ends(bounds, 1, (4, 6)) == [(c, c) for c in range(6)] * 4


def test_a_reshape_changes_pieces_alone() -> None:
    """Unit t of y is element (t % 6, t // 6) of x: rows are its last digit, columns the first."""
    bounds = lowered([Rearrange(0, (6, 4), (1, 0))], (6, 4), (24,))
    assert made(bounds, 2) == []
    assert [(p.axis, p.inner, p.size) for p in only(bounds, 0).pieces] == [(0, 1, 6)]
    assert [(p.axis, p.inner, p.size) for p in only(bounds, 1).pieces] == [(0, 6, 4)]
    assert ends(bounds, 1, (24,)) == [(t // 6, t // 6) for t in range(24)]


def test_where_nothing_is_read_all_axes_see_nothing() -> None:
    """Rows outside of x: the columns have a mask along the rows."""
    bounds = lowered([PerAxis(0, (lookup((0,), np.array([2, -1, 0])), same(1)))], (3, 5), (3, 5))
    held = np.array([True, False, True])
    columns = [(c, c) if held[r] else None for r in range(3) for c in range(5)]
    assert ends(bounds, 1, (3, 5)) == columns
    (mask,) = only(bounds, 1).masks
    assert (written(bounds.program, mask, (3, 5))[0, :, 0] <= 0).tolist() == held.tolist()


def test_padding_places_an_axis_in_a_longer_one() -> None:
    bounds = lowered([PerAxis(0, (shifted(0, -2),))], (4,), (7,))
    assert ends(bounds, 0, (7,)) == [None, None, (0, 0), (1, 1), (2, 2), (3, 3), None]


def test_channels_that_see_other_rows_are_a_chain() -> None:
    text = "a = Conv<pads = [1, 1]>(x, w) y = Concat<axis = 1>(x, a)"
    w = np.ones((1, 1, 3), np.float32)
    bounds = rfgraph.analyze(model(text, "float[1,1,4] x", initializers={"w": w})).lowered
    (chain,) = view(bounds, 2).items
    assert isinstance(chain, Chain)
    assert (chain.axis, chain.size) == (1, 2)
    assert [(begin, size) for begin, size, _ in chain.parts] == [(0, 1), (1, 1)]
    # What is seen from a part is what its value sees.
    assert [seen for _, _, seen in chain.parts] == [bounds.views[v]["x"][2] for v in ("x", "a")]
    own, windows = [[o] for o in range(4)], [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3]]
    assert ends(bounds, 2, (1, 2, 4)) == hulls([*own, *windows])


def test_parts_that_see_the_same_are_one_item() -> None:
    """Unit o of a value twice its own length sees element o % 4."""
    bounds = lowered([PerAxis(0, (part(0, 0, 4),)), PerAxis(0, (part(0, 4, 4),))], (4,), (8,))
    assert isinstance(view(bounds, 0).items[0], Item)
    assert ends(bounds, 0, (8,)) == [(o % 4, o % 4) for o in range(8)]


def test_two_reads_of_an_axis_are_their_minimum() -> None:
    """A window and a fixed distance: of ends that are negated the least is the last."""
    reads = [PerAxis(0, (window(0, 3, 1, 1, 1),)), PerAxis(0, (lookup((0,), np.arange(6)[::-1]),))]
    bounds = lowered(reads, (6,), (6,))
    assert made(bounds, 1)[-1] == "MIN"
    both = [[c for c in (o - 1, o, o + 1, 5 - o) if 0 <= c < 6] for o in range(6)]
    assert ends(bounds, 0, (6,)) == hulls(both)


def test_reads_that_vary_along_different_axes_stay_apart() -> None:
    """A unit sees its own row, and the row that its column says: two items, no table of both."""
    reads = [PerAxis(0, (same(0), same(1))), PerAxis(0, (same(1), same(0)))]
    bounds = lowered(reads, (5, 5), (5, 5))
    assert made(bounds, 1) == []
    assert len(view(bounds, 0).items) == 2
    pairs = [(min(r, c), max(r, c)) for r in range(5) for c in range(5)]
    assert ends(bounds, 0, (5, 5)) == pairs


# ---------------------------------------------------------------- pieces


@pytest.mark.parametrize(
    ("piece", "digits"),
    [
        (Piece(0, 1, 6), [0, 1, 2, 3, 4, 5]),
        (Piece(0, 2, 3), [0, 0, 1, 1, 2, 2]),
        (Piece(0, 1, 2), [0, 1, 0, 1, 0, 1]),
        (Piece(0, 1, 3, 3), [0, 1, 2, 0, 1, 2]),
    ],
)
def test_the_digit_of_a_coordinate(piece: Piece, digits: list[int]) -> None:
    assert piece.of(np.arange(6)).tolist() == digits
    assert [piece.of(c) for c in range(6)] == digits
    assert piece.is_whole(6) == (digits == list(range(6)))


def test_seeds_of_a_shape() -> None:
    lowering = Lowering()
    rows, columns = lowering.seed((4, 6))
    (item,) = rows.items
    assert isinstance(item, Item)
    assert [lowering.program.at(item.slot, c) for c in range(4)] == [(c, -c) for c in range(4)]
    assert rows is not columns
    # A scalar is followed as if it had an axis; what is asked again is the same.
    (scalar,) = lowering.seed(())
    assert scalar.items[0].pieces == ()  # type: ignore[union-attr]
    assert lowering.seed((4, 6)) == (rows, columns)
