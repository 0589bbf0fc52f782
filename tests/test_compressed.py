"""The compressed arrays and the Cython loop, against the definition written out in numpy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfgraph._core import progression_min
from rfgraph.reads import (
    WHOLE,
    Along,
    AxisRead,
    Fixed,
    Rearrange,
    Table,
    block,
    coordinates,
    part,
    running,
    same,
    strided,
    tiled,
    transposed_window,
    window,
)
from rfgraph.reads.compressed import NOTHING, moved, pulled

small = st.integers(-3, 8)


@st.composite
def patterns(draw: st.DrawFn, axis: int = 0) -> Along:
    phases = draw(st.integers(1, 4))
    starts = draw(st.lists(small, min_size=phases, max_size=phases))
    counts = draw(st.lists(st.integers(0, 5), min_size=phases, max_size=phases))
    bounds = sorted(draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))
    return Along(
        axis,
        tuple(starts),
        tuple(counts),
        draw(st.integers(-3, 3)),
        draw(st.integers(1, 3)),
        draw(st.sampled_from([None, tuple(bounds)])),
    )


def read_coordinates(read: AxisRead, o: int, size: int) -> list[int]:
    """The definition of the words in rfgraph.reads, one coordinate at a time."""
    if isinstance(read, Fixed):
        stop = size if read.count is None else read.start + read.count
        return list(range(read.start, stop))
    if isinstance(read, Table):
        start, count = int(read.starts[o]), int(read.counts[o])
    else:
        if read.part is not None and not read.part[0] <= o < read.part[1]:
            return []
        period, phase = divmod(o, len(read.starts))
        start, count = read.starts[phase] + period * read.advance, read.counts[phase]
    found = [start + k * read.step for k in range(count)]
    return [i for i in found if 0 <= i < size]


@given(patterns(), st.integers(0, 9), st.integers(0, 12), st.integers(1, 2), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_loop_is_a_minimum_over_what_is_read(
    read: Along, size: int, outputs: int, outer: int, inner: int
) -> None:
    source = np.random.default_rng(0).integers(-50, 50, (outer, size, inner))
    out = np.empty((outer, outputs, inner), dtype=np.int64)
    begin, end = read.part or (0, NOTHING)
    starts, counts = np.array(read.starts), np.array(read.counts)
    progression_min(source, starts, counts, read.advance, read.step, begin, end, NOTHING, out)
    for o in range(outputs):
        taps = read_coordinates(read, o, size)
        expected = source[:, taps].min(axis=1) if taps else np.full((outer, inner), NOTHING)
        np.testing.assert_array_equal(out[:, o], expected)


@given(patterns(), st.integers(0, 9), st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_coordinates_are_clipped(read: Along, size: int, outputs: int) -> None:
    starts, counts, step = coordinates(read, size, (outputs,))
    for o in range(outputs):
        taps = [int(starts[o]) + k * step for k in range(int(counts[o]))]
        assert taps == read_coordinates(read, o, size)


CASES: dict[str, tuple[tuple[AxisRead, ...], tuple[int, ...], tuple[int, ...]]] = {
    "window and pool": ((same(0), window(1, 3, 2, 1, 1)), (4, 7), (4, 4)),
    "wide window": ((window(0, 150, 1, 1, 75),), (300,), (301,)),
    "wide dilated window": ((window(0, 70, 3, 4, 100),), (500,), (130,)),
    "transposed": ((transposed_window(0, 3, 2, 3, 1, 12), same(1)), (5, 3), (12, 3)),
    "swapped": ((same(1), window(0, 2, 1, 2, 0)), (3, 6), (4, 3)),
    "reduced": ((WHOLE, same(0)), (3, 6), (6,)),
    "grouped": ((block(0, 2, 3), same(1)), (6, 4), (4, 4)),
    "picked": ((Fixed(2), same(0)), (3, 6), (6,)),
    "flipped": ((strided(0, 5, -2), tiled(1, 3)), (6, 3), (3, 9)),
    "a part": ((part(0, 2, 3), same(1)), (3, 2), (7, 2)),
    "running": ((running(0, 6), running(1, 4, reverse=True, exclusive=True)), (6, 4), (6, 4)),
    "diagonal": ((same(0), same(0)), (4, 4), (4,)),
    "diagonal windows": (
        (window(0, 2, 1, 1, 1), window(0, 3, 1, 1, 1), same(1)),
        (4, 4, 2),
        (4, 2),
    ),
    "joint tables": (
        (
            Table((0, 1), np.array([[0, 2], [1, 3]]), np.ones((2, 2), dtype=np.int64)),
            Table((1,), np.array([1, 0]), np.array([2, 1])),
        ),
        (4, 3),
        (2, 2),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_pulled_is_a_minimum_over_the_product(
    case: tuple[tuple[AxisRead, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    reads, source, extent = case
    rng = np.random.default_rng(1)
    for varying in product([False, True], repeat=len(source)):
        dims = tuple(n if v else 1 for n, v in zip(source, varying, strict=True))
        array = rng.integers(-99, 99, (2, *dims))
        full = np.broadcast_to(array, (2, *source))
        got = pulled(array, reads, source, extent)
        assert all(n in (1, m) for n, m in zip(got.shape[1:], extent, strict=True))
        got = np.broadcast_to(got, (2, *extent))
        for unit in np.ndindex(*extent):
            taps = [_taps(r, unit, n) for r, n in zip(reads, source, strict=True)]
            if all(taps):
                expected = full[np.ix_([0, 1], *taps)].min(axis=tuple(range(1, full.ndim)))
                np.testing.assert_array_equal(got[(slice(None), *unit)], expected)
            elif any(not t for t, v in zip(taps, varying, strict=True) if v):
                assert (got[(slice(None), *unit)] == NOTHING).all()


def _taps(read: AxisRead, unit: tuple[int, ...], size: int) -> list[int]:
    if isinstance(read, Table):
        at = tuple(unit[a] for a in read.axes)
        start = int(read.starts[at])
        return [i for i in range(start, start + int(read.counts[at])) if 0 <= i < size]
    return read_coordinates(read, unit[read.axis] if isinstance(read, Along) else 0, size)


REARRANGEMENTS = [
    ((2, 3, 4), (2, 3, 4), (0, 1, 2), (6, 4)),
    ((2, 3, 4), (2, 3, 4), (2, 0, 1), (4, 2, 3)),
    ((1, 8, 2, 2), (1, 2, 2, 2, 2, 2), (0, 3, 4, 1, 5, 2), (1, 2, 4, 4)),
    ((6, 4), (6, 4), (0, 1), (3, 1, 8)),
    ((1, 12, 1), (1, 3, 4, 1), (0, 2, 1, 3), (12,)),
    ((5, 1), (5, 1), (0, 1), (1, 5, 1)),
]


@pytest.mark.parametrize(("source", "view", "permutation", "extent"), REARRANGEMENTS)
def test_moved_is_reshape_transpose_reshape(
    source: tuple[int, ...],
    view: tuple[int, ...],
    permutation: tuple[int, ...],
    extent: tuple[int, ...],
) -> None:
    rng = np.random.default_rng(2)
    for varying in product([False, True], repeat=len(source)):
        dims = tuple(n if v else 1 for n, v in zip(source, varying, strict=True))
        array = rng.integers(-99, 99, (2, *dims))
        full = np.broadcast_to(array, (2, *source)).reshape(2, *view)
        expected = full.transpose(0, *(a + 1 for a in permutation)).reshape(2, *extent)
        got = moved(array, Rearrange(0, view, permutation), source, extent)
        np.testing.assert_array_equal(np.broadcast_to(got, expected.shape), expected)


def test_what_does_not_vary_stays_compressed() -> None:
    rows = np.arange(2 * 14).reshape(2, 1, 1, 14, 1)
    tokens = moved(rows, Rearrange(0, (1, 8, 14, 14), (0, 1, 2, 3)), (1, 8, 14, 14), (1, 8, 196))
    assert tokens.shape == (2, 1, 1, 196)
    back = moved(tokens, Rearrange(0, (1, 8, 196), (0, 1, 2)), (1, 8, 196), (1, 8, 14, 14))
    assert back.shape == rows.shape
