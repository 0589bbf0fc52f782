"""Sets of textbook nets, what a `Support` answers, sparsity patterns, and what is refused."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rfgraph
from rfgraph.engine.products import AxesMask, region_of
from rfgraph.engine.support import Support

from .graphs import Nodes, model
from .oracle.observe import poison


class Net(Nodes):
    """Convolutions with weights of ones, padded to the same size unless told otherwise."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.input = shape
        self.channels = {"x": shape[1]}

    def op(self, kind: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        y = super().op(kind, *inputs, **attributes)
        self.channels[y] = self.channels.get(str(inputs[0]), 1)
        return y

    def conv(self, x: str, kernel: Sequence[int], channels: int = 1, **given: Any) -> str:
        steps = list(given.get("dilations", [1] * len(kernel)))
        half = [(k - 1) * d // 2 for k, d in zip(kernel, steps, strict=True)]
        given = {"pads": half * 2, "dilations": steps, **given}
        shape = (channels, self.channels[x] // given.get("group", 1), *kernel)
        y = self.op("Conv", x, np.ones(shape), **given)
        self.channels[y] = channels
        return y

    def analysis(self, *outputs: str) -> rfgraph.Analysis:
        return rfgraph.analyze(self.written({"x": self.input}, *outputs))


# ---------------------------------------------------------------- textbook


def test_a_cross() -> None:
    net = Net(1, 1, 15, 15)
    y = net.op("Add", net.conv("x", (1, 7)), net.conv("x", (7, 1)))
    seen = net.analysis(y).support(y, (0, 0, 7, 7))
    cross = np.zeros((7, 7), bool)
    cross[3, :] = cross[:, 3] = True
    assert seen.box == ((0, 0), (0, 0), (4, 10), (4, 10))
    assert np.array_equal(seen.mask[0, 0], cross)
    assert (seen.count, seen.density) == (13, 13 / 49)


def test_a_grid() -> None:
    net = Net(1, 1, 25, 25)
    y = "x"
    for _ in range(3):
        y = net.conv(y, (3, 3), dilations=[2, 2])
    seen = net.analysis(y).support(y, (0, 0, 12, 12))
    grid = np.zeros((13, 13), bool)
    grid[::2, ::2] = True
    assert np.array_equal(seen.mask[0, 0], grid)
    assert (seen.count, seen.mask.size) == (49, 169)


def test_hybrid_dilation_has_no_holes() -> None:
    """Dilations of 1, 2 and 5 cover what dilations of 2, 2 and 2 leave out."""
    net = Net(1, 1, 40, 40)
    y = "x"
    for dilation in (1, 2, 5):
        y = net.conv(y, (3, 3), dilations=[dilation] * 2)
    seen = net.analysis(y).support(y, (0, 0, 20, 20))
    assert (seen.box, seen.density) == (((0, 0), (0, 0), (12, 28), (12, 28)), 1)


def test_wavenet_covers_every_sample() -> None:
    net = Net(1, 1, 2000)
    y = "x"
    for layer in range(10):
        y = net.conv(y, (2,), dilations=[2**layer], pads=[2**layer, 0])
    seen = net.analysis(y).support(y, (0, 0, 1999))
    assert (seen.box, seen.count) == (((0, 0), (0, 0), (976, 1999)), 1024)


def test_crosses_of_crosses_are_a_staircase() -> None:
    """As far as so many steps go, each along a row or along a column."""
    net = Net(1, 1, 21, 21)
    y, steps = "x", 5
    for _ in range(steps):
        y = net.op("Add", net.conv(y, (1, 3)), net.conv(y, (3, 1)))
    rows, columns = np.abs(np.mgrid[-10:11, -10:11])
    assert np.array_equal(
        np.asarray(net.analysis(y).support(y, (0, 0, 10, 10)))[0, 0], rows + columns <= steps
    )


def test_a_checkerboard_of_a_transposed_convolution() -> None:
    """Kernel 3 and stride 2: units see one element, or two, along each axis."""
    net = Net(1, 1, 4, 4)
    w = net.constant(np.ones((1, 1, 3, 3), np.float32))
    y = net.op("ConvTranspose", "x", w, strides=[2, 2])
    analysis = net.analysis(y)
    counts = [[analysis.support(y, (0, 0, a, b)).count for b in (3, 4)] for a in (3, 4)]
    assert counts == [[1, 2], [2, 4]]


def test_groups_and_a_shuffle() -> None:
    net = Net(1, 6, 3)
    y = net.conv("x", (1,), 6, group=3)
    analysis = net.analysis(y)
    assert np.flatnonzero(analysis.support(y, (0, 3, 1)).along(1)).tolist() == [2, 3]
    y = net.op("Reshape", y, net.constant([1, 3, 2, 3]))
    y = net.op("Transpose", y, perm=[0, 2, 1, 3])
    y = net.op("Reshape", y, net.constant([1, 6, 3]))
    net.channels[y] = 6
    y = net.conv(y, (1,), 6, group=3)
    analysis = net.analysis(y)
    sides = [np.flatnonzero(analysis.support(y, (0, c, 1)).along(1)).tolist() for c in range(6)]
    assert sides == [[0, 1, 2, 3]] * 2 + [[0, 1, 4, 5]] * 2 + [[2, 3, 4, 5]] * 2


def test_a_reshape_that_cuts_rows() -> None:
    """Three tokens around a row's beginning are two ends of rows, and no box."""
    net = Net(1, 1, 4, 5)
    y = net.op("Reshape", "x", net.constant([1, 1, 20]))
    net.channels[y] = 1
    y = net.conv(y, (3,))
    seen = net.analysis(y).support(y, (0, 0, 10))
    assert np.argwhere(np.asarray(seen)[0, 0]).tolist() == [[1, 4], [2, 0], [2, 1]]
    assert (seen.box, seen.count) == (((0, 0), (0, 0), (1, 2), (0, 4)), 3)


def test_attention_in_windows_that_shift() -> None:
    """Two layers over windows of 4 tokens, the second shifted by 2: a window and its neighbours."""
    net = Net(1, 12, 2)

    def windows(x: str) -> str:
        x = net.op("Reshape", x, net.constant([3, 4, 2]))
        weights = net.op("Softmax", net.op("MatMul", x, net.op("Transpose", x, perm=[0, 2, 1])))
        return net.op("Reshape", net.op("MatMul", weights, x), net.constant([1, 12, 2]))

    def rolled(x: str, by: int) -> str:
        axis, end = net.constant([1]), net.constant([12])
        head = net.op("Slice", x, net.constant([0]), net.constant([by]), axis)
        return net.op("Concat", net.op("Slice", x, net.constant([by]), end, axis), head, axis=1)

    y = rolled(windows(rolled(windows("x"), 2)), 10)
    analysis = net.analysis(y)
    seen = [np.flatnonzero(analysis.support(y, (0, t, 0)).along(1)).tolist() for t in (2, 0)]
    # The first tokens meet the last ones.
    assert seen == [list(range(8)), [0, 1, 2, 3, 8, 9, 10, 11]]


# ---------------------------------------------------------------- what is asked of a set

ROWS = np.arange(9) % 4 == 1
COLUMNS = np.arange(7) < 3


@pytest.fixture
def cross() -> Support:
    every = np.ones(7, bool)
    shape = (2, 9, 7)
    region = region_of([np.array([True, False]), ROWS, every], shape)
    region += region_of([np.array([False, True]), np.ones(9, bool), COLUMNS], shape)
    return Support("x", shape, region)


def test_answers_agree_with_the_array(cross: Support) -> None:
    array = np.asarray(cross)
    assert array.dtype == bool
    assert array.shape == cross.shape == (2, 9, 7)
    assert np.array_equal(array[0], ROWS[:, None] & np.ones(7, bool))
    assert np.array_equal(array[1], np.ones((9, 1), bool) & COLUMNS)
    assert (cross.count, bool(cross)) == (array.sum(), True)
    assert cross.box == ((0, 1), (0, 8), (0, 6))
    assert cross.density == array.sum() / array.size
    assert np.array_equal(cross.mask, array)
    assert np.array_equal(cross.elements, np.flatnonzero(array))
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        assert np.array_equal(cross.along(axis), array.any(axis=others))
        assert np.array_equal(cross.projection(others), array.any(axis=axis))
        assert np.array_equal(cross.projection(others[::-1]), array.any(axis=axis).T)
    assert np.array_equal(cross.projection(()), np.array(True))
    assert repr(cross) == f"Support({cross.count} elements of 'x' in {cross.box})"
    assert np.asarray(cross, dtype=np.uint8).sum() == cross.count


@given(st.integers(0, 1 << 30))
def test_ends_and_lengths_are_those_of_the_array(seed: int) -> None:
    """Of unions of up to three products, with masks over one axis and over two."""
    rng = np.random.default_rng(seed)
    shape = (4, 5, 1, 3)
    region = []
    for _ in range(rng.integers(0, 4)):
        axes = list(rng.permutation([0, 1, 3])[: rng.integers(0, 4)])
        product = []
        while axes:
            own = tuple(sorted(int(axes.pop()) for _ in range(min(len(axes), rng.integers(1, 3)))))
            mask = rng.random([shape[a] for a in own]) < 0.3
            mask.reshape(-1)[rng.integers(mask.size)] = True
            if not mask.all():
                product.append(AxesMask(own, mask))
        region.append(tuple(product))
    found = Support("x", shape, tuple(region))
    array = np.asarray(found)
    sides = [np.flatnonzero(array.any(axis=tuple({0, 1, 2, 3} - {a}))) for a in range(4)]
    assert found.lengths == tuple(len(side) for side in sides)
    assert found.count == array.sum()
    assert found.box == (tuple((side[0], side[-1]) for side in sides) if array.any() else None)


def test_a_set_inside_of_its_box() -> None:
    inner = Support("x", (9, 7), region_of([ROWS, ~COLUMNS], (9, 7)))
    assert inner.box == ((1, 5), (3, 6))
    assert np.array_equal(inner.mask, np.asarray(inner)[1:6, 3:7])
    assert np.array_equal(inner.elements, np.flatnonzero(inner))
    assert (inner.count, inner.density) == (8, 0.4)


def test_an_empty_set() -> None:
    nothing = Support("x", (9, 7), ())
    assert not nothing
    assert (nothing.box, nothing.count, nothing.density) == (None, 0, 0)
    assert nothing.mask.shape == (0, 0)
    assert not np.asarray(nothing).any()
    assert not nothing.projection((1,)).any()
    assert not len(nothing.elements)
    assert repr(nothing) == "Support(0 elements of 'x' in None)"


def test_a_set_of_a_scalar() -> None:
    for region, count in (((), 0), (((),), 1)):
        scalar = Support("x", (), region)
        assert (scalar.count, len(scalar.elements), bool(scalar)) == (count, count, bool(count))
        assert np.asarray(scalar).shape == scalar.mask.shape[:0] == ()
        assert bool(np.asarray(scalar)) is bool(count)


def test_a_joint_mask() -> None:
    diagonal = Support("x", (3, 4, 4), ((AxesMask((1, 2), np.eye(4, dtype=bool)),),))
    assert (diagonal.count, diagonal.box) == (12, ((0, 2), (0, 3), (0, 3)))
    assert diagonal.density == 0.25
    assert np.array_equal(diagonal.elements, np.flatnonzero(diagonal))


# ---------------------------------------------------------------- questions, and what is refused

POOLS = """a = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
           n = NonZero (x)  f = Cast <to = 1> (n)  s = ReduceSum <keepdims = 0> (f)
           y = Add (a, s)"""


def test_regions_are_unions() -> None:
    analysis = rfgraph.analyze(model("y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)"))
    region = (0, slice(None), slice(1, None, 2), -1)
    one_by_one = [np.asarray(analysis.support("y", (0, 0, r, 3))) for r in (1, 3)]
    assert np.array_equal(analysis.support("y", region), one_by_one[0] | one_by_one[1])
    assert not analysis.support("y", (0, 0, slice(2, 2), 0))
    reached = [np.asarray(analysis.influence("x", (0, 0, r, 7))) for r in (1, 3, 5, 7)]
    assert np.array_equal(
        analysis.influence("x", (0, 0, slice(1, None, 2), 7)), np.logical_or.reduce(reached)
    )
    assert not analysis.influence("x", (0, 0, slice(2, 2), 0))


def test_through_a_value_of_unknown_shape_all_is_seen() -> None:
    analysis = rfgraph.analyze(model(POOLS))
    assert analysis.shape("n") == (4, None)
    assert analysis.support("n", (0, 0)).count == 64
    assert analysis.support("y", (0, 0, 1, 1)).count == 64
    assert analysis.support("a", (0, 0, 1, 1)).count == 4
    assert analysis.influence("x", (0, 0, 3, 3), "y").count == 16
    assert analysis.influence("x", (0, 0, 3, 3), "a").count == 1
    unknown = rfgraph.analyze(model("n = custom.Own (x) y = Relu (n)"))
    assert unknown.shape("n") is None
    for ask in (
        lambda: unknown.support("n", (0, 0)),
        lambda: unknown.influence("n", (0, 0), "n"),
        lambda: unknown.influence("x", (0, 0, 3, 3), "n"),
        lambda: unknown.sparsity("n"),
    ):
        with pytest.raises(rfgraph.ShapeError, match="the shape of 'n' is not known"):
            ask()


def test_wrong_questions() -> None:
    weights = {"w": np.ones(8, np.float32)}
    net = model("y = Add (x, w)  z = Relu (w)", outputs="y z", initializers=weights)
    analysis = rfgraph.analyze(net)
    for ask, said in (
        (lambda: analysis.support("q", (0, 0, 0, 0)), "no tensor 'q'"),
        (lambda: analysis.support("y", (0, 0, 0)), "and 3 coordinates are given"),
        (lambda: analysis.support("y", (0, 0, 8, 0)), "no coordinate 8 on axis 2"),
        (lambda: analysis.support("y", (0, 0, 0, -9)), "no coordinate -9 on axis 3"),
        (lambda: analysis.support("y", (0, 0, 0, 1.5)), "1.5 is not a coordinate"),
        (lambda: analysis.support("y", (0, 0, 0, 0), "w"), "no input 'w'"),
        (lambda: analysis.influence("x", (0, 0, 0, 0)), "2 outputs"),
        (lambda: analysis.influence("x", (0, 0, 0, 0), "q"), "no tensor 'q'"),
        (lambda: analysis.influence("x", (0, 0, 0, 8), "y"), "no coordinate 8"),
        (lambda: analysis.influence("w", (0,), "y"), "'w' depends on no input"),
        (lambda: analysis.sparsity("q"), "no tensor 'q'"),
    ):
        with pytest.raises(rfgraph.QueryError, match=said):
            ask()
    assert not analysis.support("z", (0,))


def test_several_inputs() -> None:
    analysis = rfgraph.analyze(model("y = Add (a, b)", "float[4,1] a, float[3] b, float[2] c"))
    with pytest.raises(rfgraph.QueryError, match=r"3 inputs \(name one of"):
        analysis.support("y", (0, 0))
    assert np.asarray(analysis.support("y", (2, 1), "a")).ravel().tolist() == [0, 0, 1, 0]
    assert np.asarray(analysis.support("y", (2, 1), "b")).tolist() == [0, 1, 0]
    assert not analysis.support("y", (2, 1), "c")
    assert np.argwhere(analysis.influence("b", (1,))).tolist() == [[r, 1] for r in range(4)]


def test_scalars_and_empty_tensors() -> None:
    analysis = rfgraph.analyze(model("y = Mul (x, s)", "float[3] x, float s"))
    assert analysis.support("y", (1,), "s").count == 1
    assert analysis.influence("s", ()).count == 3
    analysis = rfgraph.analyze(
        model(
            "y = Concat <axis = 0> (x, e)  t = ReduceSum <keepdims = 0> (e)  z = Add (y, t)",
            "float[3] x, float[0] e",
            "z y",
        )
    )
    assert not analysis.support("z", (0,), "e")
    assert analysis.support("z", (0,), "x").count == 1
    assert not analysis.influence("e", (slice(None),), "z")


def test_influence_of_values_inside() -> None:
    net = Net(1, 1, 9)
    a = net.conv("x", (3,))
    y = net.conv(a, (3,), dilations=[2])
    analysis = net.analysis(y)
    assert np.flatnonzero(analysis.influence(a, (0, 0, 4))).tolist() == [2, 4, 6]
    assert np.flatnonzero(analysis.influence("x", (0, 0, 4))).tolist() == list(range(1, 8))
    assert np.flatnonzero(analysis.influence(y, (0, 0, 4), y)).tolist() == [4]
    assert not analysis.influence(y, (0, 0, 4), a)


LOOP = """r = Relu (x)  c = Constant <value = bool {1}> ()
    y = Loop (n, c, r) <body = g (int64 i, bool c0, float[1,1,600] h)
        => (bool c1, float[1,1,600] k) { c1 = Identity (c0)  k = Conv <pads = [1, 0]> (h, w) }>"""


def test_a_loop_of_many_rounds() -> None:
    weights = {"w": np.ones((1, 1, 2), np.float32)}
    analysis = rfgraph.analyze(model(LOOP, "float[1,1,600] x, int64 n", initializers=weights))
    assert analysis.support("y", (0, 0, 500), "x").box == ((0, 0), (0, 0), (0, 500))
    for tensor in ("x", "r"):
        reached = analysis.influence(tensor, (0, 0, 100), "y")
        assert reached.box == ((0, 0), (0, 0), (100, 599))


@pytest.mark.parametrize("tensor", ["h", "k", "y"])
def test_values_within_a_loop(tensor: str) -> None:
    """Of all its rounds: what one makes, later ones read."""
    weights = {"w": np.ones((1, 1, 2), np.float32)}
    loop = LOOP.replace("600", "40")
    analysis = rfgraph.analyze(model(loop, "float[1,1,40] x, int64 n", initializers=weights))
    unit = (0, 0, 30)
    assert analysis.support(tensor, unit, "x").box == ((0, 0), (0, 0), (0, 30))
    assert analysis.box(tensor, unit, "x") == ((0, 0), (0, 0), (0, 30))
    for other in ("h", "k", "y") if tensor != "y" else ():
        assert analysis.influence(tensor, unit, other).box == ((0, 0), (0, 0), (30, 39))
    with pytest.raises(rfgraph.QueryError, match="through a loop"):
        analysis.paths(tensor, unit, "x")


# ---------------------------------------------------------------- sparsity


def test_sparsity_is_the_pattern_of_the_jacobian() -> None:
    pytest.importorskip("scipy")
    weights = {"w": np.ones((2, 2, 3), np.float32), "axes": np.array([0])}
    net = model(
        "a = Conv <pads = [1, 1], strides = [2]> (x, w)  t = Transpose <perm = [1, 0, 2]> (a)"
        "b = ReduceSum (t, axes)  y = Concat <axis = 0> (t, b)",
        "float[1,2,7] x",
        initializers=weights,
    )
    analysis = rfgraph.analyze(net)
    for tensor, mask in poison(net, "x", "all").items():
        pattern = analysis.sparsity(tensor)
        assert (pattern.format, pattern.dtype) == ("csr", bool)
        assert np.array_equal(pattern.toarray(), mask.reshape(-1, 14))


def test_sparsity_of_little() -> None:
    pytest.importorskip("scipy")
    analysis = rfgraph.analyze(
        model(
            "y = Add (x, s)  z = Relu (c)  t = ReduceSum <keepdims = 0> (x)",
            "float[3] x, float s, float[2] c",
            "y z t",
        )
    )
    assert analysis.sparsity("y", "x").toarray().tolist() == np.eye(3, dtype=bool).tolist()
    assert analysis.sparsity("y", "s").toarray().tolist() == [[True]] * 3
    assert analysis.sparsity("t", "x").toarray().tolist() == [[True] * 3]
    assert analysis.sparsity("t", "s").shape == (1, 1)
    assert analysis.sparsity("z", "x").nnz == 0


def test_a_pattern_that_is_too_large_is_refused_at_once() -> None:
    begun = time.perf_counter()
    net = Net(1, 1, 100_000, 100_000)
    y = net.conv("x", (3, 3))
    z = net.op("GlobalAveragePool", y)
    tall = Net(1, 1, 30_000)
    w = tall.op("GlobalAveragePool", "x")
    tall_y = tall.op("Add", "x", w)
    for analysis, tensor in ((net.analysis(y, z), y), (tall.analysis(tall_y), tall_y)):
        with pytest.raises(rfgraph.ShapeError, match=r"too large.*the support of some units"):
            analysis.sparsity(tensor)
    assert time.perf_counter() - begun < 5


def test_without_scipy_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(rfgraph.RFGraphError, match=r"need scipy.*pip install 'rfgraph\[sparse"):
        rfgraph.analyze(model("y = Relu (x)")).sparsity("y")


# ---------------------------------------------------------------- large


def test_the_area_never_shows() -> None:
    net = Net(1, 3, 100_000, 100_000)
    y = "x"
    for _ in range(100):
        y = net.conv(y, (3, 3), 3)
    analysis = net.analysis(y)
    tracemalloc.start()
    begun = time.perf_counter()
    seen = analysis.support(y, (0, 1, 50_000, 7))
    taken = time.perf_counter() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen.box == ((0, 0), (0, 2), (49_900, 50_100), (0, 107))
    assert seen.count == 3 * 201 * 108
    assert seen.mask.shape == (1, 3, 201, 108)
    assert taken < 2
    assert peak < 1 << 26


def test_many_products_in_a_large_picture() -> None:
    """40 crosses: a staircase of many products, which no mask of the whole picture joins."""
    net = Net(1, 1, 20_000, 20_000)
    y, steps = "x", 40
    for _ in range(steps):
        y = net.op("Add", net.conv(y, (1, 3)), net.conv(y, (3, 1)))
    seen = net.analysis(y).support(y, (0, 0, 10_000, 10_000))
    rows, columns = np.abs(np.mgrid[-40:41, -40:41])
    assert np.array_equal(seen.mask[0, 0], rows + columns <= steps)
    assert seen.count == 2 * steps * (steps + 1) + 1


def test_wide_runs_of_axes_that_belong_together() -> None:
    """A triangle of tokens, both of whose axes are summed up to each unit."""
    net = Net(1, 1, 400)
    size = 400
    y = net.op("Reshape", "x", net.constant([20, 20]))
    y = net.op("CumSum", net.op("CumSum", y, net.constant(0)), net.constant(1))
    y = net.op("Reshape", y, net.constant([1, 1, size]))
    net.channels[y] = 1
    y = net.conv(y, (21,), dilations=[19])
    seen = np.asarray(net.analysis(y).support(y, (0, 0, 200))).reshape(20, 20)
    expected = np.zeros((20, 20), bool)
    for k in range(-10, 11):
        row, column = divmod(200 + 19 * k, 20)
        if 0 <= row < 20:
            expected[: row + 1, : column + 1] = True
    assert np.array_equal(seen, expected)
