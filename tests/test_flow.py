"""The reads of a model's nodes: nodes that ask the same share one answer, and nobody changes it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.backend.test.case.node import collect_testcases

import rfgraph
from rfgraph import checks
from rfgraph.engine import pruned
from rfgraph.engine.trace import Flow, Tracer, trace
from rfgraph.errors import RFGraphError
from rfgraph.model.graph import Graph, Kinds, read
from rfgraph.reads import (
    Along,
    Coordinate,
    Factor,
    Fixed,
    PerAxis,
    Read,
    Stage,
    Table,
    Tap,
    same,
    shifted,
)
from rfgraph.shapes.shapes import Shapes
from rfgraph.unroll.expand import expand
from tests.graphs import model
from tests.oracle.generate import random_graph

MODELS = Path(__file__).parents[1] / "models"

GRAPHS = 200


def expanded(given: onnx.ModelProto | Path, sizes: Mapping[str, Any] | None = None) -> Any:
    graph = read(given)
    known = {i.name: tuple(i.dims or ()) for i in graph.inputs}
    return expand(graph, {**known, **(sizes or {})})


def traced(given: onnx.ModelProto | Path) -> Flow:
    return trace(*expanded(given))


def described(what: Any) -> Hashable:
    """Reads so that they can be compared, tables and stages by what they hold."""
    if isinstance(what, list | tuple):
        return tuple(map(described, what))
    if isinstance(what, np.ndarray):
        return what.dtype.str, what.shape, what.tobytes()
    if isinstance(what, Read | Stage | Table | Factor):
        fields = [getattr(what, name) for name in type(what).__slots__]
        return (type(what).__name__, *map(described, fields))
    assert what is None or isinstance(what, int | str | Along | Fixed | Tap | Coordinate)
    return what


class Forgetful(dict[Any, Any]):
    """Has no answer to give to a second node."""

    def get(self, key: object, default: Any = None) -> Any:
        return default


def steps(graph: Graph, shapes: Shapes, answers: dict[Any, Any]) -> object:
    """All that a trace with some answers at hand gives."""
    tracer = Tracer(graph, shapes, strict=False)
    tracer._answers = answers
    try:
        found = tracer.flow()
    except RFGraphError as error:
        return str(error)
    return [(step.node, described(step.reads)) for step in found.steps], found.notes


def asked_alone(graph: Graph, shapes: Shapes) -> object:
    """The same where every node is asked, whatever was answered to others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rfgraph.engine.trace.answered", lambda nodes, at, *_: at)
        patch.setattr("rfgraph.engine.trace.kept_for", lambda node: {})
        return steps(graph, shapes, Forgetful())


def graphs_and_models() -> Iterator[onnx.ModelProto | Path]:
    yield from map(random_graph, range(GRAPHS))
    yield from sorted(MODELS.glob("*.onnx"))


def cases() -> Iterator[onnx.ModelProto]:
    yield from (case.model for case in collect_testcases(None))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_shared_answers_are_those_of_each_node_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if they are shared by many models, of which the cases differ in one thing each."""
    kinds = Kinds()
    monkeypatch.setattr("rfgraph.model.graph.Kinds", lambda: kinds)
    answers: dict[Any, Any] = {}
    compared = 0
    for each in (*graphs_and_models(), *cases()):
        try:
            graph, shapes = expanded(each)
        except (RFGraphError, TypeError):
            # Some have open axes.
            continue
        assert steps(graph, shapes, answers) == asked_alone(graph, shapes)
        compared += 1
    assert compared > GRAPHS + 1500


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("given", "least"),
    [
        (graphs_and_models, GRAPHS + 1),
        # That ONNX makes its cases takes ten seconds.
        pytest.param(cases, 1500, marks=pytest.mark.slow),
    ],
)
def test_answers_hold_where_constants_cut_nothing(
    given: Callable[[], Iterator[onnx.ModelProto | Path]], least: int
) -> None:
    """What is pruned reads the same whether answers that were given before are taken or not."""
    compared = 0
    for each in given():
        try:
            graph, shapes = expanded(each)
            own = pruned.trace(graph, shapes)
        except (RFGraphError, TypeError):
            continue
        other = pruned.trace(graph, shapes, like=trace(graph, shapes))
        assert [described(step.reads) for step in own.steps] == [
            described(step.reads) for step in other.steps
        ]
        assert [step.node for step in own.steps] == [step.node for step in other.steps]
        assert own.notes == other.notes
        compared += 1
    assert compared >= least


def answered(made: onnx.ModelProto) -> list[list[list[Read]]]:
    """The reads of each node."""
    return [step.reads for step in traced(made).steps]


WEIGHTS = {
    "W": np.ones((1, 1, 3, 3), np.float32),
    "one": np.array([1]),
    "too": np.array([1]),
    "two": np.array([2]),
}


def test_nodes_that_ask_the_same_share_the_answer() -> None:
    text = "a = Conv(x, W) b = Conv<pads=[1,1,1,1]>(a, W) y = Conv<pads=[1,1,1,1]>(b, W)"
    first, other, last = answered(model(text, initializers=WEIGHTS))
    assert other is last
    assert first != other


def test_what_a_node_is_told_of_an_input_s_value_counts() -> None:
    text = "a = Slice(x, one, end, ax) b = Slice(x, too, end, ax) c = Slice(x, two, three, ax)"
    more = {"end": np.array([2]), "three": np.array([3]), "ax": np.array([3])}
    made = model(f"{text} y = Concat<axis=3>(a, b, c)", initializers={**WEIGHTS, **more})
    first, same_numbers, other, _ = answered(made)
    assert first is same_numbers
    assert first == [[PerAxis(0, (same(0), same(1), same(2), shifted(3, 1)))]]
    assert other == [[PerAxis(0, (same(0), same(1), same(2), shifted(3, 2)))]]


def test_which_inputs_live_counts() -> None:
    text = "a = Add(x, B) b = Add(a, B) c = Add(B, a) y = Add(b, c)"
    made = answered(model(text, initializers={"B": np.ones((1, 1, 8, 8), np.float32)}))
    assert [[read.source for read in reads] for (reads,) in made] == [[0], [0], [1], [0, 1]]
    assert made[0] is made[1]


def test_what_asks_for_the_node_has_an_answer_of_its_own() -> None:
    @rfgraph.transfer("Op", domain="own", shape=lambda op: op.shape(0))
    def shift(op: rfgraph.Operation) -> list[Read]:
        far = len(op.node.name) if op.attribute("by_node", 0) else int(op.names[0][1:])
        return [PerAxis(0, (shifted(0, far),))]

    for attribute in ("<by_node = 1>", ""):
        made = model(f"x2 = own.Op{attribute}(x1) y = own.Op{attribute}(x2)", "float[9] x1")
        made.graph.node[0].name, made.graph.node[1].name = "A", "AA"
        assert [reads[0][0].axes[0].starts for reads in answered(made)] == [(1,), (2,)]  # type: ignore[union-attr]


def test_a_transfer_that_is_replaced_between_two_analyses_is_asked() -> None:
    made = model("a = Relu(x) y = Relu(a)", "float[9] x")
    assert rfgraph.analyze(made).box("y", (4,)) == ((4, 4),)

    @rfgraph.transfer("Relu", replace=True)
    def relu(op: rfgraph.Operation) -> list[Read]:
        return [PerAxis(0, (shifted(0, 1),))]

    assert rfgraph.analyze(made).box("y", (4,)) == ((6, 6),)


def test_every_node_has_its_notes() -> None:
    text = "a = custom.A(x) b = custom.A(a) c, i = TopK(b, one) y, j = TopK(c, one)"
    flow = traced(model(text, initializers=WEIGHTS))
    assert [note.operator for note in flow.notes] == ["A", "A", "TopK", "TopK"]
    assert len({note.node for note in flow.notes}) == 4


@pytest.mark.parametrize(
    "name", ["inception_v3", "swin_tiny.dynamo", "unet_tconv", "wavenet.dynamo", "siamese"]
)
def test_no_analysis_changes_reads(name: str) -> None:
    a = rfgraph.analyze(MODELS / f"{name}.onnx", assume=True)
    before = [described(step.reads) for step in a._flow.steps]
    for tensor in a.outputs:
        for source in a.inputs:
            if a.depends(tensor, source):
                unit = (0,) * len(a.shape(tensor) or ())
                a.bounds(tensor, source)
                a.field(tensor, source)
                a.support(tensor, unit, source)
                a.paths(tensor, unit, source)
                a.explain(tensor, source, unit)
    for source in a.inputs:
        a.influenced(source, (0,) * len(a.shape(source) or ()))
    checks.check(MODELS / f"{name}.onnx")
    assert [described(step.reads) for step in a._flow.steps] == before
