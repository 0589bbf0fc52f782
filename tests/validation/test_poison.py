"""The rules against the kernels: what NaN shows in a probe, and perturbation without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import pytest
from onnx import parser

import rfgraph
from rfgraph.validation.nan.kernels import CARRIES, REPLACED
from rfgraph.validation.nan.probe import Probe, interpolates, poisoned
from rfgraph.worker.protos import Key
from tests.backend.harness import float_cases, listed
from tests.graphs import parsed
from tests.oracle.cases import CASES
from tests.oracle.control_flow import Graphs
from tests.oracle.observe import Shape, session
from tests.oracle.perturbation import CannotRunError, Case

from .probing import NotObservedError, faults, operators

# So many cases of each operator are tried, of those made by hand and of ONNX's.
_BY_HAND = 5
_BACKEND = 2

# Larger inputs need too many runs.
_LARGE = 1000

# Trials of the perturbation at most; ONNX's cases have data that show little.
_TRIALS = 144
_MORE_TRIALS = 600


# Operators on values that are no tensors: graphs of control flow have them.
_CONTAINERS = {
    ("", name)
    for name in (
        "Optional",
        "OptionalGetElement",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SplitToSequence",
    )
}


@cache
def backend() -> dict[Key, list[Case]]:
    """ONNX's cases of one node, by its operator."""
    found: dict[Key, list[Case]] = {}
    not_run = listed("not_run.toml")
    for name, case in float_cases().items():
        small = all(np.size(case.feeds[n]) <= _LARGE for n in case.followed)
        if small and name not in not_run and len(case.model.graph.node) == 1:
            (key,) = operators(case.model)
            found.setdefault(key, []).append(case)
    return found


def cases_of(key: Key) -> Iterator[tuple[Case, bool, int]]:
    """Some cases of an operator, whether perturbation shows all that they read, and when."""
    by_hand = [case for builder in CASES.get(key, ()) for case in builder()]
    for case in _some(by_hand, _BY_HAND):
        yield case, not case.incomplete, _TRIALS
    incomplete = listed("incomplete.toml")
    for case in _some(backend().get(key, []), _BACKEND):
        yield case, case.name not in incomplete, _MORE_TRIALS


def _some(cases: list[Case], count: int) -> list[Case]:
    return cases[:: max(1, len(cases) // count)][: count + 1]


def observed(case: Case, exact: bool, most: int) -> Iterator[dict[str, str]]:
    """What is wrong with a case; of one that is lost as a whole, with each input by itself."""
    try:
        yield faults(case, exact=exact, most=most)
    except (NotObservedError, CannotRunError):
        for name in case.followed if len(case.followed) > 1 else ():
            try:
                yield faults(replace(case, follow=(name,)), exact=exact, most=most)
            except (NotObservedError, CannotRunError):
                continue


@pytest.mark.parametrize(
    "key", sorted({*REPLACED, *CARRIES} - _CONTAINERS), ids=lambda key: ".".join(key).strip(".")
)
def test_nan_shows_what_is_read(key: Key) -> None:
    found = [wrong for given in cases_of(key) for wrong in observed(*given)]
    assert found, "no case can be observed"
    assert not [wrong for wrong in found if wrong]


@pytest.mark.parametrize("first", range(0, 90, 45))
def test_control_flow_and_sequences_are_kept_as_they_are(first: int) -> None:
    kept = lost = 0
    occurring: set[Key] = set()
    for seed in range(first, first + 45):
        graphs = Graphs(seed)
        outputs = [value.name for value in graphs.model.graph.output]
        probe = poisoned(graphs.model, outputs, lambda name: None, held=graphs.steering)
        lost += len(probe.lost)
        occurring |= operators(probe.model)
        truth = graphs.masks()
        graphs.model = probe.model
        for input, by_output in graphs.masks().items() if probe.values else ():
            for output, mask in by_output.items():
                assert np.array_equal(mask, truth[input][output]), (seed, output, input)
                kept += 1
    assert kept > 60
    assert lost == 0
    assert occurring >= {*_CONTAINERS, ("", "If"), ("", "Loop"), ("", "Scan")}


# ---------------------------------------------------------------- the probe as a whole


def written(body: str, inputs: str, outputs: str, opset: int = 17) -> onnx.ModelProto:
    return parsed(f"g ({inputs}) => ({outputs}) {{ {body} }}", opset=opset)


def shapes_in(model: onnx.ModelProto) -> Callable[[str], Shape | None]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if all(dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    }.get


def nan_of(probe: Probe, input: str, place: tuple[int, ...]) -> dict[str, list[int]]:
    """Which units of each value are NaN where one element of an input is."""
    feeds = {
        value.name: np.full([d.dim_value for d in value.type.tensor_type.shape.dim], 0.5, "f")
        for value in probe.model.graph.input
    }
    feeds[input][place] = np.nan
    made = session(probe.model).run(list(probe.values), feeds)
    return {
        name: np.isnan(value).reshape(-1).astype(int).tolist()
        for name, value in zip(probe.values, made, strict=True)
    }


def test_token_inputs_become_floats() -> None:
    made = written(
        "w = Constant<value = float[3, 2] {1, 2, 3, 4, 5, 6}> () e = Gather(w, ids) "
        "m = Cast<to = 1>(mask) y = Mul(e, m)",
        "int64[1, 2] ids, bool[1, 2, 1] mask",
        "float[1, 2, 2] y",
    )
    kept = made.SerializeToString()
    probe = poisoned(made, ["e", "y"], shapes_in(made))
    assert made.SerializeToString() == kept
    assert not probe.lost
    kinds = [value.type.tensor_type.elem_type for value in probe.model.graph.input]
    assert kinds == [onnx.TensorProto.FLOAT] * 2
    assert nan_of(probe, "ids", (0, 1)) == {"e": [0, 0, 1, 1], "y": [0, 0, 1, 1]}
    assert nan_of(probe, "mask", (0, 0, 0)) == {"e": [0, 0, 0, 0], "y": [1, 1, 0, 0]}


def test_held_inputs_keep_their_type() -> None:
    made = written("y = Gather(x, i)", "float[3] x, int64[1] i", "float[1] y")
    assert "its 'indices' say where it reads" in poisoned(made, ["y"], shapes_in(made)).lost["y"]
    probe = poisoned(made, ["y"], shapes_in(made), held={"i"})
    assert probe.values == ("y",)
    assert probe.model.graph.input[1].type.tensor_type.elem_type == onnx.TensorProto.INT64


def test_what_is_lost_says_where_and_why() -> None:
    made = written(
        "a = Relu(x) n = NonZero(a) b = Cast<to = 1>(n) c = Exp(b) s = Shape(c) "
        "t = Shape(a) z = Cast<to = 1>(t) y = Add(a, z)",
        "float[1] x",
        "float[1, n] c, float[1] y, int64[2] s",
    )
    made.graph.node[1].name = "where"
    probe = poisoned(made, ["a", "c", "y", "s", "y"], shapes_in(made))
    assert probe.values == ("a", "y")
    reason = "NonZero 'where': the size of its output depends on the data"
    assert probe.lost == {"c": reason, "s": reason}
    assert nan_of(probe, "x", (0,)) == {"a": [1], "y": [1]}


def test_the_shape_of_what_is_lost_is_a_constant() -> None:
    made = written(
        "u, i, j, c = Unique(x) r = Reshape(u, k) s = Shape<start = 1>(r) f = Cast<to = 1>(s) "
        "y = Add(x, f)",
        "float[4] x, int64[2] k",
        "float[4] y, float[2, 2] r",
    )
    known = {"r": (2, 2), "y": (4,), "x": (4,)}
    probe = poisoned(made, ["y", "r"], known.get, held={"k"})
    assert probe.values == ("y",)
    assert probe.lost["r"].startswith("Unique ")
    lost = poisoned(made, ["y"], lambda name: None, held={"k"}).lost
    assert lost["y"].startswith("Unique ")


def test_an_unknown_operator_is_not_trusted() -> None:
    made = written("a = Neg(x) y = Neg(a)", "float[2] x", "float[2] y")
    made.graph.node[1].domain = "example"
    made.opset_import.append(onnx.helper.make_opsetid("example", 1))
    probe = poisoned(made, ["a", "y"], shapes_in(made))
    assert probe.values == ("a",)
    assert probe.lost["y"].endswith("not known to carry NaN")
    assert probe.lost["y"].startswith("example.Neg ")


def test_branches_are_rewritten() -> None:
    made = written(
        """y = If(c) <
            then_branch = t () => (float[1, 1, 3] u) {
                p = MaxPool<kernel_shape = [2]>(x) n = Shape(x) u = Add(p, k) },
            else_branch = e () => (float[1, 1, 3] v) {
                b = Cast<to = 9>(x) w = If(i) <
                    then_branch = f () => (bool[1, 1, 4] r) { r = Not(b) },
                    else_branch = g () => (bool[1, 1, 4] s) { s = Not(d) }>
                z = Cast<to = 1>(w) v = AveragePool<kernel_shape = [2]>(z) }> """,
        "float[1, 1, 4] x, bool c, bool i, float k, bool[1, 1, 4] d",
        "float[1, 1, 3] y",
    )
    probe = poisoned(made, ["y"], shapes_in(made), held={"c", "i", "k", "d"})
    assert probe.values == ("y",)
    feeds = {
        "x": np.array([[[1, 2, np.nan, 4]]], np.float32),
        "k": np.array(1, np.float32),
        "d": np.ones((1, 1, 4), bool),
    }
    for c, i, sees in ((1, 0, [0, 1, 1]), (0, 1, [0, 1, 1]), (0, 0, [0, 0, 0])):
        chosen = {"c": np.array(c, bool), "i": np.array(i, bool)}
        (y,) = session(probe.model).run(None, {**feeds, **chosen})
        assert np.isnan(y).reshape(-1).tolist() == sees


def test_branches_with_values_of_one_name() -> None:
    branch = "() => (float[2] {0}) {{ {0} = Flatten(x) }}"
    made = written(
        f"y = If(c) <then_branch = t {branch.format('u')}, else_branch = e {branch.format('u')}>",
        "float[2, 1] x, bool c",
        "float[2, 1] y",
    )
    probe = poisoned(made, ["y"], shapes_in(made), held={"c"})
    assert probe.lost == {}
    feeds = {"x": np.array([[np.nan], [1]], np.float32), "c": np.array(False)}
    (y,) = session(probe.model).run(None, feeds)
    assert np.isnan(y).tolist() == [[True], [False]]


def test_functions_are_inlined_with_the_names_of_the_analysis() -> None:
    made = parser.parse_model(
        '<ir_version: 9, opset_import: ["": 17, "d": 1]> g (float[1, 1, 3] x) => (float[1, 1, 2] y)'
        '{ y = d.f(x) } <domain: "d", opset_import: ["": 17]> f (a) => (c)'
        "{ b = Relu(a) c = MaxPool<kernel_shape = [2]>(b) }"
    )
    analysis = rfgraph.analyze(made)
    probe = poisoned(made, [t for t in analysis.tensors if t != "x"], analysis.shape)
    assert set(probe.values) == {"b", "y"}
    assert nan_of(probe, "x", (0, 0, 2)) == {"b": [0, 0, 1], "y": [0, 1]}


def test_external_weights_stay_where_they_are() -> None:
    made = written("y = Conv(x, w)", "float[1, 1, 5] x, float[1, 1, 2] w", "float[1, 1, 4] y")
    del made.graph.input[1]
    weight = made.graph.initializer.add(name="w", data_type=1, dims=[1, 1, 2], data_location=1)
    weight.external_data.add(key="location", value="elsewhere.bin")
    probe = poisoned(made, ["y"], {"x": (1, 1, 5), "y": (1, 1, 4)}.get)
    assert list(probe.model.graph.initializer) == [weight]


def test_texts_hold_no_nan() -> None:
    made = written(
        "e = StringConcat(s, s) y = Neg(x)",
        "string[2] s, float[2] x",
        "string[2] e, float[2] y",
        20,
    )
    probe = poisoned(made, ["e", "y"], shapes_in(made))
    assert probe.values == ("y",)
    assert probe.lost == {"e": "input 's': its type can't hold NaN"}


@pytest.mark.parametrize("opset", [7, 9, 13, 17, 18, 21])
def test_whatever_the_operator_set(opset: int) -> None:
    made = written(
        "p = MaxPool<kernel_shape = [2]>(x) q = PRelu(p, s) g = GlobalMaxPool(q) y = Sub(q, g)",
        "float[1, 1, 3] x, float[1] s",
        "float[1, 1, 2] y",
        opset,
    )
    probe = poisoned(made, ["p", "q", "y"], shapes_in(made))
    assert nan_of(probe, "x", (0, 0, 0)) == {"p": [1, 0], "q": [1, 0], "y": [1, 1]}
    assert nan_of(probe, "s", (0,)) == {"p": [0, 0], "q": [1, 1], "y": [1, 1]}


def test_what_interpolates() -> None:
    nearest = written("y = Resize(x, , s)", "float[1, 1, 2] x, float[3] s", "float[1, 1, 4] y")
    assert not interpolates(nearest)
    inside = written(
        'y = If(c)<then_branch = t () => (float[1] a) { a = Resize<mode = "linear">(x, , s) }, '
        "else_branch = e () => (float[1] b) { b = Neg(x) }>",
        "float[1] x, bool c, float[1] s",
        "float[1] y",
    )
    assert interpolates(inside)
