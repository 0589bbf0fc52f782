"""Bounds of small graphs against sets of elements, carried through the same reads one by one."""

from __future__ import annotations

import numpy as np
import pytest

import rfgraph
from tests.graphs import parsed


def rows(analysis: rfgraph.Analysis, tensor: str, axis: int = 2) -> list[tuple[int, int]]:
    lo, hi = analysis.bounds(tensor, axis=axis)
    pairs = np.broadcast_arrays(lo, hi)
    return list(zip(pairs[0].ravel().tolist(), pairs[1].ravel().tolist(), strict=True))


def test_all_padding_windows_are_empty_and_stay_empty() -> None:
    analysis = rfgraph.analyze(
        parsed("""net (float[1, 1, 3] x) => (float[1, 1, 7] z)
              <float[1, 1, 1] W = {1}>
              { y = Conv <pads = [2, 2]> (x, W)  z = Relu (y) }""")
    )
    empty = (3, -1)
    assert rows(analysis, "z") == [empty, empty, (0, 0), (1, 1), (2, 2), empty, empty]
    lo, hi = analysis.bounds("z")
    assert (lo > hi).all(axis=-1).ravel().tolist() == [True] * 2 + [False] * 3 + [True] * 2
    assert analysis.box("z", (0, 0, 0)) is None
    assert analysis.box("z", (0, 0, -3)) == ((0, 0), (0, 0), (2, 2))


def test_empty_rows_do_not_lend_their_columns() -> None:
    """Rows and columns meet in tokens: what is empty in one must not widen the other."""
    analysis = rfgraph.analyze(
        parsed("""net (float[1, 1, 2, 4] x) => (float[1, 1, 12] z)
              <float[1, 1, 1, 1] W = {1}, int64[3] s = {1, 1, 16},
               float[1, 1, 5] V = {1, 1, 1, 1, 1}>
              { y = Conv <pads = [1, 0, 1, 0]> (x, W)  t = Reshape (y, s)  z = Conv (t, V) }""")
    )
    # Tokens 0-3 and 12-15 are padding; token 1 of z reads tokens 1 to 5, of which 4 and 5 are
    # columns 0 and 1 of row 0.
    assert analysis.box("z", (0, 0, 0)) == ((0, 0), (0, 0), (0, 0), (0, 0))
    assert analysis.box("z", (0, 0, 1)) == ((0, 0), (0, 0), (0, 0), (0, 1))
    assert analysis.box("z", (0, 0, 11)) == ((0, 0), (0, 0), (1, 1), (3, 3))


def test_branches_join_without_loss() -> None:
    analysis = rfgraph.analyze(
        parsed("""net (float[1, 1, 9] x) => (float[1, 1, 9] z)
              <float[1, 1, 3] W = {1, 1, 1}>
              { a = Conv <pads = [4, 0], dilations = [2]> (x, W)
                b = Conv <pads = [1, 1]> (x, W)
                z = Add (a, b) }""")
    )
    first = [min(i for i in (o - 4, o - 2, o - 1, o) if i >= 0) for o in range(9)]
    expected = [(lo, min(8, o + 1)) for o, lo in enumerate(first)]
    assert rows(analysis, "z") == expected


def test_bounds_are_compressed() -> None:
    analysis = rfgraph.analyze("models/vgg16.onnx")
    lo, hi = analysis.bounds("features", axis=2)
    assert lo.shape == hi.shape == (1, 1, 7, 1)
    lo, _ = analysis.bounds("features")
    assert lo.shape == (1, 1, 7, 7, 4)


def test_huge_sides_cost_no_area() -> None:
    analysis = rfgraph.analyze(
        parsed("""net (float[1, 3, 100000, 100000] x) => (float[1, 4, N, M] z)
              <int64[4] w = {4, 3, 3, 3}, int64[4] v = {4, 4, 3, 3}>
              { W = ConstantOfShape (w)  V = ConstantOfShape (v)
                y = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, W)
                z = Conv <pads = [1, 1, 1, 1]> (y, V) }""")
    )
    assert analysis.box("z", (0, 0, 49_999, 0)) == ((0, 0), (0, 2), (99_995, 99_999), (0, 3))
    with pytest.raises(rfgraph.ShapeError, match="axis="):
        analysis.bounds("z")


def test_several_inputs_and_a_scalar() -> None:
    analysis = rfgraph.analyze(
        parsed("""net (float[2, 3] x, float[3] b, float s, float[4] unused) => (float[2, 3] z)
              { y = Add (x, b)  z = Mul (y, s) }""")
    )
    assert analysis.box("z", (1, 2), "x") == ((1, 1), (2, 2))
    assert analysis.box("z", (1, 2), "b") == ((2, 2),)
    assert analysis.box("z", (1, 2), "s") == ()
    assert analysis.box("z", (1, 2), "unused") is None
    assert analysis.bounds("z", "s")[0].shape == (1, 1, 0)
    assert [analysis.depends("z", name) for name in analysis.inputs] == [True, True, True, False]


def test_the_box_is_the_bounds_at_a_unit() -> None:
    analysis = rfgraph.analyze("models/espcn.onnx")
    shape = analysis.shape("y")
    assert shape is not None
    lo, hi = (np.broadcast_to(end, (*shape, 4)) for end in analysis.bounds("y"))
    for unit in [(0, 0, 0, 0), (0, 0, 5, 670), (0, 0, 671, 671), (0, 0, 333, 2)]:
        box = analysis.box("y", unit)
        assert box == tuple(zip(lo[unit].tolist(), hi[unit].tolist(), strict=True))


def test_what_varies_along_different_axes_is_joined() -> None:
    analysis = rfgraph.analyze(
        parsed("""net (float[4] x) => (float[4, 4] z)
              <int64[1] rows = {1}>
              { y = Unsqueeze (x, rows)  z = Add (y, x) }""")
    )
    lo, hi = analysis.bounds("z", axis=0)
    assert lo.tolist() == [[min(i, j) for j in range(4)] for i in range(4)]
    assert hi.tolist() == [[max(i, j) for j in range(4)] for i in range(4)]


def test_parts_of_a_concatenation_keep_their_own_bounds() -> None:
    """Along the axis of the concatenation, along another one, and through a second one."""
    analysis = rfgraph.analyze(
        parsed("""net (float[1, 2, 6] x) => (float[1, 6, 6] z, float[1, 4, 12] t)
              <float[2, 2, 3] W = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}>
              { a = Conv <pads = [1, 1]> (x, W)  b = Conv <pads = [1, 1]> (a, W)
                y = Concat <axis = 1> (x, a)  z = Concat <axis = 1> (y, b)
                t = Concat <axis = 2> (y, y) }""")
    )
    reach = [0, 0, 1, 1, 2, 2]
    lo, hi = (np.broadcast_to(end, (1, 6, 6)) for end in analysis.bounds("z", axis=2))
    assert lo[0].tolist() == [[max(o - r, 0) for o in range(6)] for r in reach]
    assert hi[0].tolist() == [[min(o + r, 5) for o in range(6)] for r in reach]
    lo, _ = (np.broadcast_to(end, (1, 4, 12)) for end in analysis.bounds("t", axis=2))
    assert lo[0].tolist() == [[max(o % 6 - r, 0) for o in range(12)] for r in reach[:4]]
    first, last = (np.broadcast_to(end, (1, 6, 6)) for end in analysis.bounds("z", axis=1))
    assert first[0, :, 0].tolist() == [0, 1, 0, 0, 0, 0]
    assert last[0, :, 0].tolist() == [0, 1, 1, 1, 1, 1]


def test_what_masks_leave_nothing_of_is_not_seen() -> None:
    """Rows that see something, and a triangle that takes others: together they leave nothing."""
    analysis = rfgraph.analyze(
        parsed("""net (float[1, 1, 1, 1] x) => (float[1, 1, 5, 2] z)
              <float[1, 1, 1, 1] W = {1}, int64 k = {0}>
              { y = Conv <pads = [4, 0, 0, 1]> (x, W)  z = Trilu <upper = 1> (y, k) }""")
    )
    assert analysis.depends("y", "x")
    assert not analysis.depends("z", "x")
    assert rows(analysis, "z", axis=2) == [(1, -1)] * len(rows(analysis, "z", axis=2))
