"""Control flow, containers and functions written out: names, limits, and what is refused."""

from __future__ import annotations

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser

import rfgraph
from tests.graphs import parsed


def model(
    body: str, inputs: str = "float[1, 1, 9] x", given: str = "", opset: int = 17
) -> onnx.ModelProto:
    """A model of one output `y`; `given` are initializers."""
    return parsed(f"g ({inputs}) => (float y) <{given}> {{ {body} }}", opset=opset)


def last(analysis: rfgraph.Analysis, tensor: str = "y") -> tuple[list[int], list[int]]:
    lo, hi = analysis.bounds(tensor, "x")
    shape = analysis.extent(tensor) or ()
    full = (*shape, lo.shape[-1])
    lo, hi = np.broadcast_to(lo, full), np.broadcast_to(hi, full)
    return lo[..., -1].reshape(-1).tolist(), hi[..., -1].reshape(-1).tolist()


CONV = "Conv<pads = [1, 1]>"
WEIGHT = "float[1, 1, 3] w = {1, 1, 1}"


def loop(step: str, trips: str = "n", condition: str = "", after: str = "o = Identity(c)") -> str:
    return (
        f"y = Loop({trips}, {condition or chr(34) * 2}, x)"
        f"<body = b (int64 i, bool c, float[1, 1, 9] s) => (bool o, float[1, 1, 9] r) "
        f"{{ {after} r = {step} }}>"
    )


# ---------------------------------------------------------------- names


def test_values_of_a_branch_keep_their_names() -> None:
    text = (
        "y = If(k)<then_branch = t () => (float[1, 1, 9] p) { q = Neg(x) p = Neg(q) }, "
        "else_branch = e () => (float[1, 1, 9] u) { u = Identity(x) }>"
    )
    live = rfgraph.analyze(model(text, given="bool k = {1}"))
    assert live.tensors == ["x", "q", "p", "y"]
    both = rfgraph.analyze(model(text, "float[1, 1, 9] x, bool k"))
    assert both.tensors == ["x", "k", "q", "p", "u", "y"]
    assert both.depends("y", "k")
    assert not both.depends("q", "k")


def test_values_of_a_round_are_numbered() -> None:
    a = rfgraph.analyze(model(loop(f"{CONV}(s, w)"), given=f"{WEIGHT}, int64 n = {{2}}"))
    assert a.tensors == ["x", "Loop_0/0/o", "Loop_0/0/r", "Loop_0/1/o", "Loop_0/1/r", "y"]
    assert last(a, "Loop_0/0/r") == ([0, 0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8, 8])


def test_values_of_a_repeated_body_keep_their_names() -> None:
    text = loop("Conv<pads = [1, 0]>(s, w)")
    a = rfgraph.analyze(model(text, "float[1, 1, 9] x, int64 n", "float[1, 1, 2] w = {1, 1}"))
    assert a.tensors == ["x", "n", "s", "o", "r", "y"]
    assert last(a, "y") == ([0] * 9, list(range(9)))
    assert last(a, "s") == ([0] * 9, list(range(9)))
    assert a.depends("y", "n")


def test_the_model_stays_as_it_is() -> None:
    made = model(loop(f"{CONV}(s, w)"), given=f"{WEIGHT}, int64 n = {{2}}")
    before = made.SerializeToString(deterministic=True)
    rfgraph.analyze(made)
    assert made.SerializeToString(deterministic=True) == before


def test_a_function_called_in_a_branch_is_inlined() -> None:
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "my" : 1]>'
        f"g (float[1, 1, 9] x) => (float y) <bool k = {{1}}, {WEIGHT}> {{"
        "y = If(k)<then_branch = t () => (float[1, 1, 9] p) { p = my.f(x, w) }, "
        "else_branch = e () => (float[1, 1, 9] u) { u = Identity(x) }> }"
        '<domain: "my", opset_import: ["" : 17]> f (a, w) => (b) { b = Conv<pads = [1, 1]>(a, w) }'
    )
    a = rfgraph.analyze(made, strict=True)
    assert last(a) == ([0, 0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8, 8])


# ---------------------------------------------------------------- the number of rounds


def test_a_loop_that_its_condition_ends() -> None:
    """As exporters write `while`: the greatest trip count, and a condition in the body."""
    text = loop(f"{CONV}(s, w)", after="o = Less(i, two)")
    given = f"{WEIGHT}, int64 n = {{9223372036854775807}}, int64 two = {{2}}"
    a = rfgraph.analyze(model(text, given=given))
    assert last(a)[1] == [3, 4, 5, 6, 7, 8, 8, 8, 8]
    assert a.notes == []


@pytest.mark.parametrize(("trips", "seen"), [(0, list(range(9))), (1, [1, 2, 3, 4, 5, 6, 7, 8, 8])])
def test_few_rounds(trips: int, seen: list[int]) -> None:
    given = f"{WEIGHT}, int64 n = {{{trips}}}"
    assert last(rfgraph.analyze(model(loop(f"{CONV}(s, w)"), given=given)))[1] == seen


def test_a_condition_that_is_false_from_the_beginning() -> None:
    text = loop(f"{CONV}(s, w)", condition="k")
    given = f"{WEIGHT}, int64 n = {{3}}, bool k = {{0}}"
    assert last(rfgraph.analyze(model(text, given=given)))[1] == list(range(9))


@pytest.mark.parametrize("trips", [10**6, 2**62])
def test_very_many_rounds_settle(trips: int) -> None:
    text = loop("Conv<pads = [1, 0]>(s, w)")
    given = f"float[1, 1, 2] w = {{1, 1}}, int64 n = {{{trips}}}"
    begun = time.monotonic()
    a = rfgraph.analyze(model(text, given=given))
    assert time.monotonic() - begun < 20
    assert last(a) == ([0] * 9, list(range(9)))


def test_a_loop_without_an_end_settles() -> None:
    text = loop("Neg(s)", trips='""', condition="k", after="o = Identity(c)")
    a = rfgraph.analyze(model(text, given="bool k = {1}"))
    assert last(a) == (list(range(9)), list(range(9)))


def test_what_grows_for_very_long_sees_everything() -> None:
    """More rounds than are followed: the whole input, which is sound."""
    body = (
        "y = Loop(n, k, x)<body = b (int64 i, bool c, float[1, 1, 3000] s) => "
        "(bool o, float[1, 1, 3000] r) { o = Identity(c) r = Conv<pads = [1, 1]>(s, w) }>"
    )
    inputs = "float[1, 1, 3000] x, int64 n, bool k"
    a = rfgraph.analyze(model(body, inputs, given=WEIGHT))
    assert a.box("y", (0, 0, 1500), "x")[2] == (0, 2999)
    assert a.field("y", "x")[2].size == float("inf")


def test_rounds_that_are_given_up_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written out, and dropped again as it gets too long, leaves room for what follows."""
    monkeypatch.setattr("rfgraph.unroll.writer.MAX_UNROLLED", 100)
    monkeypatch.setattr("rfgraph.unroll.writer.MAX_WRITTEN", 300)
    loops = "".join(
        f"y{k + 1} = Loop(n, k, y{k})<body = b{k} (int64 i{k}, bool c{k}, float[1, 1, 9] s{k}) => "
        f"(bool o{k}, float[1, 1, 9] r{k}) {{ o{k} = Identity(c{k}) "
        f"r{k} = Loop(n, k, s{k})<body = d{k} (int64 j{k}, bool e{k}, float[1, 1, 9] t{k}) => "
        f"(bool f{k}, float[1, 1, 9] u{k}) {{ f{k} = Identity(e{k}) u{k} = Neg(t{k}) }}> }}> "
        for k in range(8)
    )
    made = model(f"y0 = Neg(x) {loops} y = Neg(y8)", given="int64 n = {12}, bool k = {1}")
    assert last(rfgraph.analyze(made)) == (list(range(9)), list(range(9)))


def test_loops_in_loops_stay_within_the_limit() -> None:
    inner = (
        "q = Loop(n, k, s)<body = b2 (int64 j, bool d, float[1, 1, 9] t) => "
        "(bool e, float[1, 1, 9] u) { e = Identity(d) u = Conv<pads = [1, 0]>(t, w) }>"
    )
    text = (
        "y = Loop(n, k, x)<body = b (int64 i, bool c, float[1, 1, 9] s) => "
        f"(bool o, float[1, 1, 9] r) {{ o = Identity(c) {inner} r = Neg(q) }}>"
    )
    given = "float[1, 1, 2] w = {1, 1}, int64 n = {500}, bool k = {1}"
    begun = time.monotonic()
    a = rfgraph.analyze(model(text, given=given))
    assert time.monotonic() - begun < 30
    assert last(a) == ([0] * 9, list(range(9)))


def test_a_state_that_grows() -> None:
    """Its shape changes from round to round: known if the rounds are, else open."""
    text = (
        "y = Loop(n, k, x)<body = b (int64 i, bool c, float[1, 1, 9] s) => "
        "(bool o, float[1, 1, 9] r) { o = Identity(c) r = Concat<axis = 2>(s, x) }>"
    )
    known = rfgraph.analyze(model(text, given="int64 n = {2}, bool k = {1}"))
    assert known.shape("y") == (1, 1, 27)
    assert last(known) == (list(range(9)) * 3, list(range(9)) * 3)
    open_ = rfgraph.analyze(model(text, "float[1, 1, 9] x, int64 n", "bool k = {1}"))
    assert open_.shape("y") == (1, 1, None)
    assert last(open_) == ([0], [8])


def test_rows_of_rounds_that_are_not_told_apart_are_noted() -> None:
    text = (
        "z, y = Loop(n, k, x)<body = b (int64 i, bool c, float[1, 1, 9] s) => "
        "(bool o, float[1, 1, 9] r, float[1, 1, 9] v) "
        "{ o = Identity(c) r = Conv<pads = [1, 0]>(s, w) v = Identity(r) }>"
    )
    given = "float[1, 1, 2] w = {1, 1}, int64 n = {20000}, bool k = {1}"
    a = rfgraph.analyze(model(text, given=given))
    assert a.shape("y") == (20000, 1, 1, 9)
    assert [note.operator for note in a.notes] == ["Loop"]
    assert a.box("y", (0, 0, 0, 4), "x")[2] == (0, 4)


def scan(length: int) -> onnx.ModelProto:
    text = (
        "z, y = Scan<num_scan_inputs = 1, body = b (float[2] h, float[2] e) => "
        "(float[2] r, float[2] o) { r = Add(h, e) o = Identity(r) }>(h0, x)"
    )
    return model(text, f"float[{length}, 2] x", "float[2] h0 = {0, 0}")


def test_a_scan_is_a_prefix() -> None:
    a = rfgraph.analyze(scan(5))
    assert [a.box("y", (t, 1), "x") for t in range(5)] == [((0, t), (1, 1)) for t in range(5)]


def test_a_long_scan_is_noted() -> None:
    a = rfgraph.analyze(scan(30000))
    assert a.shape("y") == (30000, 2)
    assert {note.operator for note in a.notes} == {"Gather", "Scan"}
    assert a.box("y", (0, 1), "x") == ((0, 29999), (1, 1))


@pytest.mark.parametrize(
    ("lengths", "seen"), [("", [4, 4]), ("int64[2] lens = {2, 5}", [1, 4])], ids=["whole", "own"]
)
def test_a_scan_of_version_8_has_a_batch(lengths: str, seen: list[int]) -> None:
    text = (
        "z, v = Scan<num_scan_inputs = 1, body = b (float h, float e) => (float r, float o) "
        "{ r = Add(h, e) o = Identity(r) }>" + ("(lens, h0, x)" if lengths else '("", h0, x)')
    )
    given = "float[2] h0 = {0, 0}" + (f", {lengths}" if lengths else "")
    a = rfgraph.analyze(model(f"{text} y = Neg(v)", "float[2, 5] x", given, opset=8))
    assert a.shape("y") == (2, 5)
    assert [a.box("z", (b,), "x") for b in range(2)] == [
        ((b, b), (0, n)) for b, n in enumerate(seen)
    ]
    assert a.box("y", (1, 3), "x") == ((1, 1), (0, 3))
    assert a.box("y", (0, 3), "x") == (None if lengths else ((0, 0), (0, 3)))


# ---------------------------------------------------------------- sequences and optionals


def test_elements_are_traced() -> None:
    text = (
        "s = SplitToSequence<axis = 2>(x, two) e = SequenceAt(s, one) "
        "t = SequenceInsert(s, e, zero) y = SequenceAt(t, zero)"
    )
    given = "int64 two = {2}, int64 one = {1}, int64 zero = {0}"
    a = rfgraph.analyze(model(text, given=given))
    assert last(a) == ([2, 3], [2, 3])
    assert last(a, "s") == ([0], [8])


def test_an_element_that_the_data_choose() -> None:
    text = "s = SequenceConstruct(x, z) z = Neg(x) y = SequenceAt(s, k)"
    a = rfgraph.analyze(model(text, "float[1, 1, 9] x, int64 k"))
    assert last(a) == (list(range(9)), list(range(9)))
    assert a.depends("y", "k")


def test_a_sequence_of_unknown_length() -> None:
    made = model("n = SequenceLength(s) y = SequenceAt(s, k)", given="int64 k = {0}")
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, [3])
    made.graph.input.append(helper.make_value_info("s", helper.make_sequence_type_proto(kind)))
    a = rfgraph.analyze(made)
    assert a.depends("y", "s")
    assert a.depends("n", "s")
    assert not a.depends("y", "x")
    assert a.shape("y") == (3,)


def test_an_optional() -> None:
    text = (
        "p = Optional(x) k = OptionalHasElement(p) "
        "y = If(k)<then_branch = t () => (float[1, 1, 9] a) { a = OptionalGetElement(p) }, "
        "else_branch = e () => (float[1, 1, 9] b) { b = Identity(z) }> z = Neg(x)"
    )
    a = rfgraph.analyze(model(text, opset=18))
    assert "b" not in a.tensors
    assert last(a) == (list(range(9)), list(range(9)))


def test_a_function_of_the_specification_is_replaced_by_its_body() -> None:
    text = "y = CenterCropPad<axes = [2]>(x, k)"
    a = rfgraph.analyze(model(text, given="int64[1] k = {5}", opset=18), strict=True)
    assert last(a) == ([2, 3, 4, 5, 6], [2, 3, 4, 5, 6])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y = SequenceAt(s, k) s = SequenceConstruct(x)", "element 3 of a sequence of 1"),
        (
            "t = SequenceErase(s, k) s = SequenceConstruct(x) y = SequenceAt(t, k)",
            "element 3 of a sequence of 1",
        ),
        ("s = SplitToSequence<axis = 7>(x) y = SequenceAt(s, k)", "no axis 7"),
        ('y = Loop(k, "", x)', "body"),
        ("y = If(b)", "then_branch"),
        ("y = Scan<num_scan_inputs = 1>(x)", "body"),
        (
            'y = Loop(k, "", x)<body = b (int64 i, bool c) => (bool o) { o = Identity(c) }>',
            "takes 2 inputs",
        ),
        (
            "y = If(b)<then_branch = t () => (float p) { p = Neg(nowhere) }, "
            "else_branch = e () => (float q) { q = Neg(x) }>",
            "nowhere",
        ),
    ],
)
def test_broken_bodies(text: str, said: str) -> None:
    with pytest.raises(rfgraph.RFGraphError, match=said):
        rfgraph.analyze(model(text, given="int64 k = {3}, bool b = {1}"))


def test_branches_in_branches() -> None:
    """As deep as protobuf reads."""
    inner, name = helper.make_node("Neg", ["x"], ["v0"]), "v0"
    for k in range(1, 30):
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        then = helper.make_graph([inner], f"g{k}", [], outputs)
        other = helper.make_node("Neg", ["x"], [f"u{k}"])
        outputs = [helper.make_tensor_value_info(f"u{k}", TensorProto.FLOAT, None)]
        otherwise = helper.make_graph([other], f"h{k}", [], outputs)
        inner = helper.make_node("If", ["k"], [f"v{k}"], then_branch=then, else_branch=otherwise)
        name = f"v{k}"
    made = model("", given="bool k = {1}")
    made.graph.node.extend([inner, helper.make_node("Identity", [name], ["y"])])
    assert last(rfgraph.analyze(made)) == (list(range(9)), list(range(9)))


def test_a_function_that_calls_itself_in_a_branch() -> None:
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "my" : 1]>'
        "g (float[1, 1, 9] x) => (float y) <bool k = {1}> { y = my.f(x, k) }"
        '<domain: "my", opset_import: ["" : 17, "my" : 1]> f (a, k) => (b) {'
        "b = If(k)<then_branch = t () => (float p) { p = my.f(a, k) }, "
        "else_branch = e () => (float u) { u = Identity(a) }> }"
    )
    with pytest.raises(rfgraph.ModelError, match="deep"):
        rfgraph.analyze(made)
