"""Axes whose size the data decide: whole along them, exact along the others.

The right values are what onnxruntime shows: an element of an input is changed, and every unit that
moves, or all where even the size does, saw it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx.parser
import pytest

import rfgraph
from tests.graphs import parsed

from .oracle.observe import session

PICK = "int64 n = {2}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, float t = {0}"


def model(body: str, inputs: str, given: str = PICK) -> onnx.ModelProto:
    return parsed(f"g ({inputs}) => (float[N] y) <{given}> {{ {body} }}", opset=18)


def seen(made: onnx.ModelProto, feeds: dict[str, np.ndarray], input: str) -> Iterator[np.ndarray]:
    """For each element of an input the units of the first output that move, in several runs."""
    run = session(made).run
    rng = np.random.default_rng(0)
    for _ in range(24):
        (y, *_) = run(None, feeds)
        for place in np.ndindex(feeds[input].shape):
            for value in (-3.0, 0.1, 5.0):
                changed = {k: v.copy() for k, v in feeds.items()}
                changed[input][place] = value
                (z, *_) = run(None, changed)
                moved = np.ones(y.shape, bool) if y.shape != z.shape else y != z
                yield place, moved
        feeds = {k: rng.standard_normal(v.shape).astype(v.dtype) for k, v in feeds.items()}
        # Something is kept.
        feeds["m"][rng.integers(len(feeds["m"]))] = 9


def assert_exact(made: onnx.ModelProto, feeds: dict[str, np.ndarray], input: str = "x") -> None:
    """Claimed is the hull of what is seen, of all units along an axis of unknown size together."""
    a = rfgraph.analyze(made)
    (value,) = a.outputs[:1]
    shape = a.shape(value)
    assert shape is not None
    lo, hi = a.bounds(value, input)
    extent = a.extent(value) or ()
    lo, hi = (np.broadcast_to(end, (*extent, feeds[input].ndim)) for end in (lo, hi))
    least, most = np.full(lo.shape, 10**6), np.full(lo.shape, -1)
    for place, moved in seen(made, dict(feeds), input):
        assert len(moved.shape) == len(shape)
        assert all(n in (None, m) for n, m in zip(shape, moved.shape, strict=True))
        for unit in np.argwhere(moved):
            at = tuple(0 if n is None else i for i, n in zip(unit, shape, strict=True))
            least[at], most[at] = np.minimum(least[at], place), np.maximum(most[at], place)
    assert (lo == np.where(most < 0, lo, least)).all(), (lo.tolist(), least.tolist())
    assert (hi == np.where(most < 0, hi, most)).all(), (hi.tolist(), most.tolist())


ROWS = np.array([[2, -1, 3], [-2, 4, 1], [5, -6, 7], [1, 2, -3]], np.float32)
# Columns by themselves: which rows are kept is said by another input.
KEPT = "k = Greater(m, t) c = Compress<axis = 0>(x, k)"
INPUTS = "float[4, 3] x, float[4] m"
FEEDS = {"x": ROWS, "m": np.array([1, -1, 2, 3], np.float32)}


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("y = Relu(c)", (None, 3)),
        ("y = Transpose(c)", (3, None)),
        ("y = Unsqueeze(c, one)", (None, 1, 3)),
        ("y = Concat<axis = 1>(c, c)", (None, 6)),
        ("y = Concat<axis = 0>(c, x)", (None, 3)),
        ("y = Slice(c, one, two, one)", (None, 1)),
        ("y = Slice(c, zero, two, zero)", (None, 3)),
        ("y = Gather<axis = 1>(c, one)", (None, 1)),
        ("y = Gather<axis = 0>(c, zero)", (1, 3)),
        ("y = ReduceMean<keepdims = 0>(c, zero)", (3,)),
        ("y = ReduceSum<keepdims = 0>(c, one)", (None,)),
        (
            "s = Shape(c) v = Slice(s, zero, one) r = Concat<axis = 0>(v, mm) y = Reshape(c, r)",
            (None, 3, 1),
        ),
        ("r = Concat<axis = 0>(minus, three) y = Reshape(c, r)", (None, 3)),
        ("y = Reshape(c, minus)", (None,)),
        ("y, z = TopK<axis = 1>(c, two)", (None, 2)),
        ("y = Softmax<axis = 0>(c)", (None, 3)),
        ("y = Tile(c, tt)", (None, 6)),
        ("y = MatMul(c, w)", (None, 2)),
        ("y, z = Split<axis = 1>(c, ot)", (None, 1)),
        ("y, z = Split<axis = 0, num_outputs = 2>(c)", (None, 3)),
    ],
)  # fmt: skip
def test_columns_stay_apart(body: str, shape: tuple[int | None, ...]) -> None:
    given = (
        f"{PICK}, int64[2] mm = {{3, 1}}, int64[1] minus = {{-1}}, "
        "int64[1] three = {3}, int64[2] tt = {1, 2}, int64[2] ot = {1, 2}, "
        "float[3, 2] w = {1, 2, 3, 4, 5, 6}"
    )
    made = model(f"{KEPT} {body}", INPUTS, given=given)
    assert rfgraph.analyze(made).shape("y") == shape
    assert_exact(made, FEEDS)


@pytest.mark.parametrize(
    "body",
    [
        "s = Shape(c) v = Slice(s, zero, one) y = Cast<to = 1>(v)",
        "s = Size(c) y = Cast<to = 1>(s)",
        "s = Shape(c) o = ConstantOfShape(s) e = Exp(o) y = ReduceSum<keepdims = 0>(e)",
        "o, k1 = Dropout(c) f = Cast<to = 1>(k1) y = ReduceSum<keepdims = 0>(f)",
        "o = Pad(c, p) e = Exp(o) r = ReduceSum<keepdims = 0>(e, zero) y = Slice(r, zero, one)",
    ],
)
def test_a_number_of_elements_depends_on_what_decides_it(body: str) -> None:
    """Nothing but the size tells: of what is constant or padded the sum does."""
    given = f"{PICK}, int64[4] p = {{0, 1, 0, 1}}"
    made = model(f"{KEPT} {body}", INPUTS, given=given)
    assert rfgraph.analyze(made).box("y", (0,) * (body.count("Slice") > 0), "m") == ((0, 3),)
    run = session(made).run
    fewer = {**FEEDS, "m": np.array([1, -1, -2, 3], np.float32)}
    assert not np.array_equal(run(None, FEEDS)[0], run(None, fewer)[0])


def test_sizes_that_are_computed() -> None:
    """Slice, TopK, Expand, Tile, Range, Reshape and Resize by what is computed from the data."""
    many = "k = Greater(m, t) i = Cast<to = 7>(k) q = ReduceSum<keepdims = 1>(i, zero)"
    for body, shape in (
        ("y = Slice(x, zero, q, zero)", (None, 3)),
        ("y = Slice(x, zero, q, one)", (4, None)),
        ("y, z = TopK<axis = 0>(x, q)", (None, 3)),
        ("f = Squeeze(q) o = Range(zs, f, os) y = Cast<to = 1>(o)", (None,)),
        ("e = Concat<axis = 0>(q, one, one) y = Expand(x, e)", (None, 4, 3)),
        ("e = Concat<axis = 0>(q, one) y = Tile(x, e)", (None, None)),
    ):
        made = model(f"{many} {body}", INPUTS, given=f"{PICK}, int64 zs = {{0}}, int64 os = {{1}}")
        a = rfgraph.analyze(made)
        assert a.shape("y") == shape, body
        assert a.box("y", (0,) * len(shape), "m") == ((0, 3),), body
        assert {note.kind for note in a.notes} <= {"computed"}, body


def test_an_input_that_decides_nothing_but_a_size() -> None:
    """The classes of a OneHot are as many as are told."""
    body = "i = Cast<to = 7>(m) d = ReduceMax<keepdims = 0>(i) j = ArgMax<axis = 1>(x) "
    made = model(f"{body} y = OneHot(j, d, v)", INPUTS, f"{PICK}, float[2] v = {{0, 1}}")
    a = rfgraph.analyze(made)
    assert a.shape("y") == (4, 1, None)
    assert a.box("y", (1, 0, 0), "x") == ((1, 1), (0, 2))
    assert a.box("y", (1, 0, 0), "m") == ((0, 3),)


def test_slices_of_computed_length_keep_the_other_axis() -> None:
    many = "k = Greater(m, t) i = Cast<to = 7>(k) q = ReduceSum<keepdims = 1>(i, zero)"
    assert_exact(model(f"{many} y = Slice(x, zero, q, zero)", INPUTS), FEEDS)
    assert_exact(model(f"{many} y = Slice(x, zero, q, one)", INPUTS), FEEDS)
    assert_exact(model(f"{many} y, z = TopK<axis = 0>(x, q)", INPUTS), FEEDS)


def test_a_boolean_mask() -> None:
    """As PyTorch exports ``x[mask]`` and ``torch.nonzero``."""
    body = "k = Greater(m, t) z = NonZero(k) i = Transpose(z) y = GatherND(x, i)"
    made = model(body, INPUTS)
    assert rfgraph.analyze(made).shape("y") == (None, 3)
    assert_exact(made, FEEDS)


def test_branches_of_different_sizes() -> None:
    """As detectors do where nothing is found."""
    body = (
        "s = ReduceSum<keepdims = 0>(m) b = Greater(s, t) "
        "y = If(b)<then_branch = a () => (float[4, 3] p) { p = Neg(x) }, "
        "else_branch = e () => (float[1, 3] q) { q = Slice(x, zero, one, zero) }>"
    )
    made = model(body, INPUTS)
    assert rfgraph.analyze(made).shape("y") == (None, 3)
    assert_exact(made, FEEDS)


def test_rows_of_a_loop_of_unknown_length() -> None:
    body = (
        "k = Greater(m, t) i = Cast<to = 7>(k) q = ReduceSum<keepdims = 0>(i) "
        "z, y = Loop(q, true, x)<body = b (int64 j, bool c, float[4, 3] s) => "
        "(bool o, float[4, 3] r, float[4, 3] v) { o = Identity(c) r = Neg(s) v = Relu(r) }>"
    )
    made = model(body, INPUTS, given=f"{PICK}, bool true = {{1}}")
    a = rfgraph.analyze(made)
    assert a.shape("y") == (None, 4, 3)
    assert a.box("y", (7, 2, 1), "x") == ((2, 2), (1, 1))
    assert a.box("y", (7, 2, 1), "m") == ((0, 3),)


def test_a_size_names_itself() -> None:
    """The rest of a reshape is known where the unknown size is kept: (N, 4, 3) to (N, -1)."""
    made = model(
        "k = Greater(m, t) c = Compress<axis = 0>(x, k) s = Shape(c) v = Slice(s, zero, one) "
        "r = Concat<axis = 0>(v, minus) y = Reshape(c, r)",
        "float[5, 4, 3] x, float[5] m",
        given=f"{PICK}, int64[1] minus = {{-1}}",
    )
    a = rfgraph.analyze(made)
    assert a.shape("y") == (None, 12)
    assert a.box("y", (0, 7), "x") == ((0, 4), (2, 2), (1, 1))


# ---------------------------------------------------------------- detectors


def detector() -> onnx.ModelProto:
    """A head of boxes and scores over a grid, and what YOLOv5 exports put behind it."""
    return onnx.parser.parse_model(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[1, 3, 16, 16] x) => (float[N, 6] det, float[1, 64, 4] boxes)
        <float[4, 3, 3, 3] W, float[6, 4, 1, 1] V, int64[3] flat = {1, 6, 64},
         int64[2] parts = {4, 2}, int64[1] most = {5}, float[1] iou = {0.5}, float[1] low = {0.1},
         int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3}> {
          f = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, W)
          head = Conv(f, V)
          rows = Reshape(head, flat)
          pred = Transpose<perm = [0, 2, 1]>(rows)
          boxes, conf = Split<axis = 2>(pred, parts)
          scores = Transpose<perm = [0, 2, 1]>(conf)
          selected = NonMaxSuppression<center_point_box = 1>(boxes, scores, most, iou, low)
          image = Slice(selected, zero, one, one)
          classes = Slice(selected, one, two, one)
          anchor = Slice(selected, two, three, one)
          place = Concat<axis = 1>(image, anchor)
          kept = GatherND(boxes, place)
          best = GatherND(scores, selected)
          column = Unsqueeze(best, one)
          label = Cast<to = 1>(classes)
          det = Concat<axis = 1>(kept, column, label)
        }
        """.replace("W,", "W = {" + ", ".join(["1"] * 108) + "},").replace(
            "V,", "V = {" + ", ".join(["1"] * 24) + "},"
        )
    )


def test_a_detector_sees_all_of_the_picture() -> None:
    a = rfgraph.analyze(detector())
    assert a.shape("selected") == (None, 3)
    assert a.shape("det") == (None, 6)
    assert a.shape("best") == (None,)
    assert a.box("det", (2, 5)) == ((0, 0), (0, 2), (0, 15), (0, 15))
    # In front of the selection nothing has changed.
    assert a.box("boxes", (0, 9, 0)) == ((0, 0), (0, 2), (1, 3), (1, 3))
    assert a.support("det", (0, 0)).count == 3 * 16 * 16
    assert a.influence("x", (0, 0, 5, 5), "det").shape == (1, 6)
    operators = [(note.operator, note.kind) for note in a.notes]
    gathered = ("GatherND", "computed")
    assert operators == [("NonMaxSuppression", "computed"), gathered, gathered]


def test_no_operator_behind_a_selection_is_unknown() -> None:
    found = [finding.code for finding in rfgraph.check(detector()).findings]
    assert "RF901" not in found
    assert found.count("RF902") == 1


def test_images_of_a_batch_stay_apart_if_each_is_selected_from_by_itself() -> None:
    """The rows that are kept are those of each image: the batch and the columns are known."""
    made = model(
        "k = Greater(m, t) z = NonZero(k) i = Squeeze(z, zero) y = Gather<axis = 1>(x, i)",
        "float[2, 4, 3] x, float[4] m",
    )
    a = rfgraph.analyze(made)
    assert a.shape("y") == (2, None, 3)
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
    assert_exact(made, {"x": x, "m": FEEDS["m"]})


# ---------------------------------------------------------------- questions


def test_questions_about_an_unknown_size() -> None:
    made = model(f"{KEPT} y = Relu(c)", INPUTS)
    a = rfgraph.analyze(made)
    assert a.extent("y") == (1, 3)
    assert a.box("y", (1000, 1), "x") == a.box("y", (-1, 1), "x") == ((0, 3), (1, 1))
    assert a.support("y", (slice(2, 5), 1), "x").box == ((0, 3), (1, 1))
    assert a.influence("x", (2, 1), "y").mask.tolist() == [[True]]
    assert [hop.tensor for hop in a.explain("y", "x", (3, 1))[0].lower]
    with pytest.raises(rfgraph.QueryError, match=r"no unit \(0, 3\)"):
        a.box("y", (0, 3), "x")
    with pytest.raises(rfgraph.ShapeError, match="the data decide how many elements 'y' has"):
        a.paths("y", (0, 1), "x")


def test_windows_over_an_unknown_size_see_all_of_it() -> None:
    inputs = "float[1, 2, 9] x, float[9] m"
    kept = "k = Greater(m, t) c = Compress<axis = 2>(x, k)"
    weights = f"{PICK}, float[3, 2, 3] w = {{{', '.join('1' * 18)}}}, float[3] s = {{1, 1, 2}}"
    a = rfgraph.analyze(model(f"{kept} y = Conv<pads = [1, 1]>(c, w)", inputs, weights))
    assert a.shape("y") == (1, 3, None)
    assert a.box("y", (0, 0, 0), "x") == ((0, 0), (0, 1), (0, 8))
    a = rfgraph.analyze(model(f"{kept} y = Resize(c, , s)", inputs, weights))
    assert a.shape("y") == (1, 2, None)
    assert a.box("y", (0, 1, 0), "x") == ((0, 0), (1, 1), (0, 8))


def test_what_can_not_be_computed_with_a_size_is_whole() -> None:
    """Of a size that is not known nobody can tell half: a note says so, and no check complains."""
    made = model(
        "k = Greater(m, t) c = Compress<axis = 2>(x, k) y = SpaceToDepth<blocksize = 2>(c)",
        "float[1, 2, 4, 4] x, float[4] m",
    )
    a = rfgraph.analyze(made)
    assert a.shape("y") == (1, 8, None, 2)
    assert a.box("y", (0, 0, 0, 0), "x") == ((0, 0), (0, 1), (0, 3), (0, 3))
    assert [note.kind for note in a.notes if note.operator == "SpaceToDepth"] == ["shape"]
    assert {finding.code for finding in rfgraph.check(made).findings} <= {"RF902"}
