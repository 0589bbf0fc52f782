"""What is kept between models: one after another they are answered as if each were the first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

import rfgraph
from rfgraph.analysis import entry, regions
from rfgraph.compare import snapshot
from rfgraph.engine import answers, trace
from rfgraph.engine.support import KnownRegions
from rfgraph.model import graph
from rfgraph.reads import PerAxis, same, window
from tests.graphs import model
from tests.oracle.generate import random_graph

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.onnx"))


@pytest.fixture(autouse=True)
def first() -> Iterator[None]:
    """Begin with nothing kept."""
    entry.forget()
    yield
    entry.forget()


def bounds(analysis: rfgraph.Analysis) -> dict[tuple[str, str, int], bytes]:
    """Bounds of all values along all axes of all inputs."""
    found = {}
    for tensor in analysis.tensors:
        for name in analysis.inputs:
            if analysis.depends(tensor, name):
                for axis in range(len(analysis.extent(name) or ())):
                    lo, hi = analysis.bounds(tensor, name, axis=axis)
                    found[tensor, name, axis] = lo.tobytes() + hi.tobytes()
    return found


def supports(analysis: rfgraph.Analysis) -> dict[tuple[str, str], bytes]:
    """What the middle unit of every output sees."""
    found = {}
    for output in analysis.outputs:
        unit = [n // 2 for n in analysis.extent(output) or ()]
        for name in analysis.inputs:
            if analysis.depends(output, name):
                support = analysis.support(output, unit, name)
                sides = [support.along(axis) for axis in range(len(support.shape))]
                found[output, name] = b"".join(side.tobytes() for side in sides)
    return found


def gathered(indices: np.ndarray) -> onnx.ModelProto:
    """Elements of an input that an initializer names."""
    return model(
        "y = Gather <axis = 0> (x, i)", f"float[{indices.size}] x", initializers={"i": indices}
    )


def test_large_constants_of_one_name_are_told_apart() -> None:
    order = np.arange(2048)
    for indices in (order, order[::-1].copy(), np.roll(order, 5), order):
        lo, hi = rfgraph.analyze(gathered(indices)).bounds("y", "x")
        assert (lo[:, 0] == indices).all()
        assert (hi[:, 0] == indices).all()


def with_one_tap(tap: int) -> onnx.ModelProto:
    """A convolution whose kernel is 0 but at one tap, by weights that take some room."""
    weights = np.zeros((16, 16, 5), np.float32)
    weights[..., tap] = np.arange(1, 257).reshape(16, 16)
    return model(
        "y = Conv <pads = [2, 2]> (x, W)", "float[1, 16, 32] x", initializers={"W": weights}
    )


@pytest.mark.parametrize(("longest", "most"), [(1 << 18, 1 << 26), (0, 1 << 26), (1 << 18, 0)])
def test_large_constants_that_cut_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, longest: int, most: int
) -> None:
    """Whether what came of them is kept, too long to be, or there is no room for any."""
    monkeypatch.setattr(answers, "_LONGEST", longest)
    monkeypatch.setattr(answers, "_MOST_LISTED", most)
    monkeypatch.setattr(answers._Room, "taken", 1)
    for tap in (0, 4, 2, 0, 4):
        lo, hi = rfgraph.analyze(with_one_tap(tap), prune=True).bounds("y", "x", axis=2)
        own = np.arange(32) + tap - 2
        seen = (own >= 0) & (own < 32)
        assert np.broadcast_to(lo, (1, 16, 32))[0, 3].tolist() == np.where(seen, own, 32).tolist()
        assert np.broadcast_to(hi, (1, 16, 32))[0, 3].tolist() == np.where(seen, own, -1).tolist()


def test_what_large_constants_cut_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rfgraph.analyze(with_one_tap(3), prune=True)
    asked = []
    ask = trace.Tracer._asked
    monkeypatch.setattr(trace.Tracer, "_asked", lambda *a: asked.append(a) or ask(*a))
    rfgraph.analyze(with_one_tap(3), prune=True)
    assert not asked
    rfgraph.analyze(with_one_tap(1), prune=True)
    assert len(asked) == 1


@pytest.mark.parametrize("seed", [2137, 21074])
def test_branches_are_told_in_one_order_whatever_was_looked_at_before(seed: int) -> None:
    asked = random_graph(seed)

    def fields(*, prune: bool = False) -> list[rfgraph.Field]:
        found = rfgraph.analyze(asked, prune=prune)
        every = ((t, name) for t in found.tensors for name in found.inputs)
        return [found.field(t, name) for t, name in every if found.depends(t, name)]

    first = fields()
    assert any(side.branches for field in first for side in field)
    entry.forget()
    fields(prune=True)
    assert fields() == first


def test_small_constants_of_one_name_are_told_apart() -> None:
    for start in (0, 3, 1, 0):
        given = {"s": np.array([start]), "e": np.array([start + 4])}
        lo, _ = rfgraph.analyze(
            model("y = Slice (x, s, e)", "float[9] x", initializers=given)
        ).bounds("y", "x")
        assert lo[:, 0].tolist() == [start, start + 1, start + 2, start + 3]


@pytest.mark.parametrize(
    "given",
    [
        "y = Resize (x, , s)",
        "t = Identity (s) y = Resize (x, , t)",
        "t = Constant <value_floats: floats = [{floats}]> () y = Resize (x, , t)",
        "t = Constant <value_ints: ints = [{ints}]> () y = Resize (x, , , t)",
        "t = Constant <value_ints: ints = [{ints}]> () z = Add (i, t) y = Resize (x, , , z)",
    ],
)
def test_shapes_that_contents_steer_are_told_apart(given: str) -> None:
    """By a rule for shapes that asks for contents: initializers, constants, what is computed."""
    for factor in (2, 3, 1, 2):
        nodes = given.format(floats=f"1.0, {factor}.0", ints=f"1, {4 * factor}")
        initializers = {"s": np.array([1, factor], np.float32), "i": np.zeros(2, np.int64)}
        for _ in range(2):
            proto = model(nodes, "float[1, 4] x", initializers=initializers)
            assert rfgraph.analyze(proto).extent("y") == (1, 4 * factor)
            found = rfgraph.analyze(proto.SerializeToString())
            assert found.extent("y") == (1, 4 * factor)


def test_a_transfer_that_is_replaced_holds_for_the_next_model() -> None:
    asked = model("z = Relu (x)\ny = own.KeptSmooth (z)", "float[9] x")
    for reach in (1, 2, 1):

        @rfgraph.transfer("KeptSmooth", domain="own", shape=lambda op: op.shape(0), replace=True)
        def smooth(op, reach=reach):  # type: ignore[no-untyped-def]
            return [PerAxis(0, (window(0, 2 * reach + 1, 1, 1, reach),))]

        assert rfgraph.analyze(asked).field("y", "x").size == (2 * reach + 1,)


@pytest.mark.parametrize("domain", ["own", "com.microsoft"])
def test_a_shape_that_is_told_anew_holds_for_the_next_model(domain: str) -> None:
    asked = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 17, "{domain}": 1]>
        net (float[9] x) => (float[n] y) {{ y = {domain}.KeptCropped (x) }}
    """)
    for size in (3, 5, 3):

        @rfgraph.transfer("KeptCropped", domain=domain, shape=lambda op, n=size: (n,), replace=True)
        def cropped(op):  # type: ignore[no-untyped-def]
            return [PerAxis(0, (same(0),))]

        assert rfgraph.analyze(asked).shape("y") == (size,)


def test_functions_of_one_name_are_those_of_their_model() -> None:
    text = """
        <ir_version: 8, opset_import: ["": 17, "own": 1]>
        net (float[1, 1, 9] x) => (float[1, 1, 9] y) {{ y = own.Block (x) }}
        <domain: "own", opset_import: ["": 17]>
        Block (x) => (y) {{
            w = Constant <value = float[1, 1, {taps}] {{{ones}}}> ()
            y = Conv <auto_pad = "SAME_UPPER"> (x, w)
        }}
    """
    for taps in (3, 5, 3):
        asked = onnx.parser.parse_model(text.format(taps=taps, ones=", ".join("1" * taps)))
        assert rfgraph.analyze(asked).field("y", "x").size[2] == taps


@pytest.mark.parametrize("limits", [(1, 1, 1), (3, 4, 500)])
def test_stores_that_begin_anew_change_nothing(
    limits: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [path for path in MODELS if path.stem in ("unet_tconv", "siamese", "wavenet", "tcn")]
    expected = [bounds(rfgraph.analyze(path, assume=True)) for path in paths]
    seen = [supports(rfgraph.analyze(path, assume=True)) for path in paths]
    monkeypatch.setattr(regions, "_MOST_KEPT", limits[2])
    monkeypatch.setattr(graph, "_MOST_KEPT", limits[0])
    monkeypatch.setattr(graph, "_MOST_KNOWN", limits[0])
    monkeypatch.setattr(answers, "_MOST_KEPT", limits[1])
    monkeypatch.setattr(entry, "_MOST_KEPT", limits[2])
    for _ in range(2):
        assert [bounds(rfgraph.analyze(path, assume=True)) for path in paths] == expected
        assert [supports(rfgraph.analyze(path, assume=True)) for path in paths] == seen


def middle(nodes: str, inputs: str, name: str) -> list[int]:
    """Where the middle unit of `y` sees an input of nine elements."""
    ones = np.ones((1, 1, 3), np.float32)
    asked = model(nodes, inputs, initializers={"W": ones, "V": np.ones((1, 1, 5), np.float32)})
    support = rfgraph.analyze(asked).support("y", (0, 0, 4), name)
    return [int(at) for at in np.flatnonzero(support.along(2))]


def test_supports_are_told_apart_where_bounds_are_equal() -> None:
    x = "float[1, 1, 9] x"
    dense = "y = Conv <pads = [2, 2]> (x, V)"
    holed = "y = Conv <pads = [2, 2], dilations = [2]> (x, W)"
    for nodes, seen in ((dense, [2, 3, 4, 5, 6]), (holed, [2, 4, 6])) * 2:
        assert middle(nodes, x, "x") == seen


def test_supports_are_told_apart_by_input() -> None:
    first, second = "float[1, 1, 9] a, float[1, 1, 9] b", "float[1, 1, 9] b, float[1, 1, 9] a"
    nodes = "c = Conv <pads = [1, 1]> ({}, W) y = Add (c, {})"
    for inputs in (first, second, first):
        for wide, narrow in ("ab", "ba"):
            assert middle(nodes.format(wide, narrow), inputs, wide) == [3, 4, 5]
            assert middle(nodes.format(wide, narrow), inputs, narrow) == [4]


def test_supports_are_told_apart_behind_loops() -> None:
    # How often is not known: as far as any number of rounds sees.
    nodes = """
        go = Constant <value = bool {{1}}> ()
        z = Loop (steps, go, x) <body = inner (int64 i, bool c, float[1, 1, 9] a)
            => (bool d, float[1, 1, 9] b) {{
                d = Identity (c) b = MaxPool <kernel_shape = [3], pads = {0}> (a)
            }}>
        y = Relu (z)
    """
    inputs = "float[1, 1, 9] x, int64 steps"
    for pads, seen in (("[1, 1]", [*range(9)]), ("[2, 0]", [0, 1, 2, 3, 4])) * 2:
        assert middle(nodes.format(pads), inputs, "x") == seen


# Nodes of which no answer is kept beyond their model.
OF_ONE_MODEL = {
    "a loop": """
        go = Constant <value = bool {1}> ()
        r = Loop (steps, go, x) <body = inner (int64 i, bool c, float[1, 1, 9] a)
            => (bool d, float[1, 1, 9] b) { d = Identity (c) b = Conv <pads = [1, 1]> (a, W) }>
        y = If (go) <then_branch = left () => (float[1, 1, 9] p) { p = Relu (r) },
            else_branch = right () => (float[1, 1, 9] q) { q = Conv <pads = [1, 1]> (x, W) }>
    """,
    "sizes that the data decide": "r = Compress <axis = 2> (x, kept) y = Relu (r)",
    "what is learnt": "z = Mul (x, m) r = Conv <pads = [1, 1]> (z, W) y = Mul (r, z)",
}


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("nodes", OF_ONE_MODEL)
def test_what_is_kept_does_not_grow_with_equal_models(nodes: str, prune: bool) -> None:
    initializers = {"W": np.ones((1, 1, 3), np.float32), "m": np.arange(9, dtype=np.float32) // 4}
    inputs = "float[1, 1, 9] x, int64 steps, bool[9] kept"
    asked = model(OF_ONE_MODEL[nodes], inputs, initializers=initializers).SerializeToString()
    sizes = []
    for _ in range(6):
        analysis = rfgraph.analyze(asked, prune=prune)
        supports(analysis)
        list(analysis.unequal)
        lowering = entry._KEPT.lowering
        known = lowering.answers[KnownRegions]
        sizes.append((lowering.size, known.size))
    assert sizes[1:] == sizes[1:2] * 5


# Each differs from the first in what constants of the same names hold.
WEIGHTS = np.ones((1, 1, 3), np.float32)
HOLED = {
    "dense": {"w": WEIGHTS, "b": np.ones(1, np.float32), "m": np.ones(9, np.float32)},
    "without a tap": {"w": WEIGHTS * [1, 0, 0], "b": np.ones(1, np.float32)},
    "without a bias": {"w": WEIGHTS, "b": np.zeros(1, np.float32)},
    "masked": {"w": WEIGHTS, "m": np.arange(9.0) // 4},
    "all masked": {"w": WEIGHTS, "m": np.zeros(9)},
    "low": {"w": WEIGHTS, "l": np.where(np.arange(9) < 5, 0, -np.inf)},
}


@pytest.mark.parametrize("last", HOLED)
def test_what_constants_cut_is_of_their_model(last: str) -> None:
    def asked(name: str) -> onnx.ModelProto:
        given = {"b": np.ones(1), "m": np.ones(9), "l": np.zeros(9)} | HOLED[name]
        return model(
            """far = Pad <mode = "constant"> (x, p)
            conv = Conv (far, w, b)
            short = Slice (conv, s, e, a)
            held = Mul (short, m)
            scores = Add (held, l)
            weights = Softmax <axis = 2> (scores)
            y = Mul (weights, short)""",
            "float[1, 1, 9] x",
            initializers={
                **{k: v.astype(np.float32) for k, v in given.items()},
                "p": np.array([0, 0, 4, 0, 0, 4]),
                "s": np.array([3]),
                "e": np.array([12]),
                "a": np.array([2]),
            },
        )

    expected = bounds(rfgraph.analyze(asked(last), prune=True))
    entry.forget()
    for name in HOLED:
        rfgraph.analyze(asked(name), prune=True)
        assert rfgraph.analyze(asked(name)).pruned
    assert bounds(rfgraph.analyze(asked(last), prune=True)) == expected
    assert bounds(rfgraph.analyze(asked(last)).pruned) == expected
    assert bounds(rfgraph.analyze(asked(last))) == bounds(rfgraph.analyze(asked("dense")))


@pytest.mark.parametrize("later", [False, True])
def test_constants_cut_what_they_have_zeros_for(later: bool) -> None:
    def analysed(nodes: str, inputs: str, **given: list[float]) -> rfgraph.Analysis:
        weights = {name: np.array(value, np.float32) for name, value in given.items()}
        asked = model(nodes, inputs, initializers=weights)
        return rfgraph.analyze(asked).pruned if later else rfgraph.analyze(asked, prune=True)

    def ends(analysis: rfgraph.Analysis, name: str) -> list[list[int]]:
        return [bound.reshape(-1).tolist() for bound in analysis.bounds("y", name, axis=2)]

    # Taps.
    x = "float[1, 1, 9] x"
    for w, last in (([1, 1, 1], 2), ([1, 0, 0], 0), ([1, 1, 0], 1), ([1, 1, 1], 2)):
        found = ends(analysed("y = Conv (x, w)", x, w=[[w]]), "x")
        assert found == [list(range(7)), list(range(last, 7 + last))]
    # A sum of nothing is 0 if nothing is added to it.
    for b in (1, 0, 2, 0):
        given = {"w": np.ones((1, 1, 3)), "b": [b]}
        nodes = "c = Conv <pads = [4, 4]> (x, w, b)\ny = Mul (c, z)"
        found = ends(analysed(nodes, f"{x}, float[1, 1, 15] z", **given), "z")
        read = [o for o in range(15) if b or 2 <= o < 13]
        assert [o for o in range(15) if found[0][o] == found[1][o] == o] == read
    # What is cut off stays so.
    for zeros in (0, 9, 4, 9):
        m = [0] * zeros + [1] * (9 - zeros)
        nodes = "a = Mul (x, m)\nb = Softmax <axis = 2> (a)\nc = Sigmoid (b)\ny = Add (c, z)"
        found = analysed(nodes, f"{x}, {x.replace('x', 'z')}", m=m)
        assert found.depends("y", "z")
        assert [found.depends(t, "x") for t in "abcy"] == [zeros < 9] * 4


def test_what_follows_from_a_view_is_worked_out_once() -> None:
    calls = []

    def ask(analysis: rfgraph.Analysis, tensor: str, what: str) -> int:
        def make() -> int:
            calls.append(what)
            return len(calls)

        return analysis.once(tensor, "x", what, make)

    nodes = "a = Relu (x)\nb = Sigmoid (a)\ny = ReduceMax <axes = [0]> (b)"
    first = rfgraph.analyze(model(nodes, "float[9] x"))
    assert ask(first, "x", "this") == ask(first, "b", "this") == 1
    assert ask(first, "y", "this") == 2
    assert ask(first, "a", "that") == 3
    # The same net with other names, and a longer one.
    later = rfgraph.analyze(
        model(nodes.replace("a = ", "z = ").replace("(a)", "(z)"), "float[9] x")
    )
    assert ask(later, "z", "this") == 1
    longer = rfgraph.analyze(model(nodes, "float[10] x"))
    assert ask(longer, "a", "this") == 4


def test_threads_do_not_get_in_each_others_way() -> None:
    paths = [path for path in MODELS if path.stat().st_size < 300_000][:3]
    analyses = [rfgraph.analyze(path, assume=True) for path in paths]
    expected = [bounds(analysis) for analysis in analyses]
    seen = [supports(rfgraph.analyze(path, assume=True)) for path in paths]
    wrong: list[str] = []

    def work(turn: int) -> None:
        for k in range(len(paths)):
            k = (k + turn) % len(paths)
            # What was made before is read while others are made.
            found = [analyses[k], rfgraph.analyze(paths[k], assume=True)]
            found.append(analyses[k].resized({}))
            found.append(analyses[k].pruned)
            wrong.extend(str(paths[k]) for a in found if bounds(a) != expected[k])
            wrong.extend(str(paths[k]) for a in found[:2] if supports(a) != seen[k])

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_is_changed_of_an_answer_does_not_stay() -> None:
    def seen() -> list[dict[str, object]]:
        found: list[dict[str, object]] = snapshot(
            rfgraph.analyze("models/lenet_textbook.onnx"), ["y"]
        )["y"]["sees"]["x"]
        return found

    first = seen()
    first[2]["size"] = "changed"
    assert seen()[2]["size"] == 6
