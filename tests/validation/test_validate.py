"""What `rfgraph.validate` tests, what it finds, and what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest

import rfgraph
from rfgraph.engine.trace import Step
from rfgraph.reads import WHOLE, Elementwise, PerAxis, Read, same, window
from rfgraph.validation import preparation, runs
from rfgraph.validation.leaks import without_leaks
from rfgraph.validation.report import END_NOT_SEEN, NOT_SEEN, OUTSIDE_BOUNDS, OUTSIDE_SUPPORT
from tests.graphs import parsed, single
from tests.mutation import with_step
from tests.oracle.observe import session

METHODS = ("perturb", "poison")
RNG = np.random.default_rng(3)

validate_module = sys.modules["rfgraph.validation.validate"]


def net(text: str, constants: dict[str, Any] | None = None, opset: int = 21) -> onnx.ModelProto:
    return parsed(text, constants, opset, ir=10)


def weights(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 1, shape).astype(np.float32)


CONV = net(
    "net (float[1, 2, 12, 12] x) => (float[1, 3, 6, 6] y) "
    "{ a = Conv <pads = [1, 1, 1, 1]> (x, W) b = Relu(a) "
    "y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b) }",
    {"W": weights(3, 2, 3, 3)},
)


@pytest.fixture
def claiming(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes `validate` test other reads than those of a node: ``claiming("a", reads)``."""
    analyze = preparation.analyze

    def change(output: str, reads: list[Read]) -> None:
        def other(*arguments: Any, **options: Any) -> rfgraph.Analysis:
            analysis = analyze(*arguments, **options)
            (step,) = [s for s in analysis._flow.steps if output in s.node.outputs]
            return with_step(analysis, Step(step.node, [reads], step.cycle))

        monkeypatch.setattr(preparation, "analyze", other)

    return change


# ---------------------------------------------------------------- what is right


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_wrong(method: Any) -> None:
    found = rfgraph.validate(CONV, method=method, seconds=None, exhaustive=True)
    assert found.ok
    assert found.complete
    assert found.violations == []
    assert set(found.units) == {"a", "b", "y"}
    assert found.passes == found.planned == 12 + 12 + 2 + 32
    assert found.naive == 2 * 12 * 12
    total = found.total
    if method == "poison":
        assert total.attained == total.ends
    assert 0 < total.attained <= total.ends
    # Each unit has two ends on each of three axes, and every plane is changed once.
    assert total.ends == 2 * 3 * sum(found.units.values())


def test_every_unit_of_every_value() -> None:
    """As many passes as the axes are long, at most, and the elements."""
    found = rfgraph.validate(
        "models/dynamic.onnx",
        shapes={"x": (1, 3, 64, 64)},
        tensors=["*"],
        method="poison",
        seconds=None,
    )
    assert found.ok
    a = found.analysis
    assert set(found.units) == {t for t in a.tensors if t not in a.inputs}
    assert found.probes == 64 + 64 + 3 + 32 >= found.passes
    live = [t for t in found.units if a.depends(t)]
    assert found.total.ends == found.total.attained == 6 * sum(found.units[t] for t in live)


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rows", "claims"),
    [
        (window(2, 3, 1, 1, 0), {OUTSIDE_SUPPORT, OUTSIDE_BOUNDS}),
        (window(2, 2, 1, 1, 1), {OUTSIDE_SUPPORT, OUTSIDE_BOUNDS}),
        (window(2, 3, 2, 1, 1), {OUTSIDE_SUPPORT, OUTSIDE_BOUNDS}),
        (window(2, 2, 1, 2, 1), {OUTSIDE_SUPPORT}),
    ],
)
def test_wrong_windows(method: Any, rows: Any, claims: set[str], claiming: Any) -> None:
    claiming("a", [PerAxis(0, (same(0), WHOLE, rows, window(3, 3, 1, 1, 1)))])
    found = rfgraph.validate(CONV, method=method, seconds=None)
    assert not found.ok
    assert {v.claim for v in found.violations} >= claims
    first = found.violations[0]
    assert first.value == "a"
    assert first.element is not None
    support = np.asarray(found.analysis.support("a", first.unit))
    assert not support[first.element]


def test_poison_finds_what_is_claimed_too_much(claiming: Any) -> None:
    claiming("a", [PerAxis(0, (same(0), WHOLE, window(2, 5, 1, 1, 2), same(3)))])
    found = rfgraph.validate(CONV, method="poison", seconds=None)
    assert {v.claim for v in found.violations} >= {OUTSIDE_SUPPORT, NOT_SEEN, END_NOT_SEEN}


def test_a_hole_that_is_claimed_to_be_seen(claiming: Any) -> None:
    """The hull is right and the support is not: only planes within it tell."""
    model = net(
        "net (float[1, 1, 20] x) => (float[1, 1, 16] y) { y = Conv <dilations = [2]> (x, W) }",
        {"W": weights(1, 1, 3)},
    )
    claiming("y", [PerAxis(0, (same(0), same(1), window(2, 5, 1, 1, 0)))])
    found = rfgraph.validate(model, method="poison", seconds=None)
    assert {v.claim for v in found.violations} == {NOT_SEEN}
    assert rfgraph.validate(model, method="perturb", seconds=None).ok


def test_a_cross_is_told_from_its_box(claiming: Any) -> None:
    """Planes can't tell: it takes elements."""
    model = net(
        "net (float[1, 1, 15, 15] x) => (float[1, 1, 15, 15] y) "
        "{ a = Conv <pads = [0, 3, 0, 3]> (x, A) b = Conv <pads = [3, 0, 3, 0]> (x, B) "
        "y = Add(a, b) }",
        {"A": weights(1, 1, 1, 7), "B": weights(1, 1, 7, 1)},
    )
    assert rfgraph.validate(model, method="poison", seconds=None).ok
    claiming("a", [PerAxis(0, (same(0), same(1), window(2, 7, 1, 1, 3), window(3, 7, 1, 1, 3)))])
    found = rfgraph.validate(model, method="poison", seconds=None, tensors=["y"])
    assert {v.claim for v in found.violations} == {NOT_SEEN}
    assert {v.changed.count(":") for v in found.violations} == {0}


def test_a_branch_that_is_forgotten(claiming: Any) -> None:
    model = net(
        "net (float[1, 1, 30] x) => (float[1, 1, 30] y) "
        "{ a = Conv <pads = [4, 4]> (x, A) y = Add(a, x) }",
        {"A": weights(1, 1, 9)},
    )
    claiming("y", [Elementwise(1)])
    for method in METHODS:
        assert not rfgraph.validate(model, method=method, seconds=None).ok  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_a_value_that_is_claimed_to_depend_on_nothing(method: Any, claiming: Any) -> None:
    claiming("y", [])
    found = rfgraph.validate(CONV, method=method, seconds=None)
    assert {(v.value, v.claim, v.box) for v in found.violations} == {
        ("y", OUTSIDE_SUPPORT, None),
        ("y", OUTSIDE_BOUNDS, None),
    }


def test_a_leak_across_the_batch(claiming: Any) -> None:
    model = net(
        "net (float[N, 2, 5] x) => (float[N, 2, 5] y) "
        "{ m = ReduceMean <keepdims = 1> (x, axes) y = Sub(x, m) }",
        {"axes": np.int64([0])},
    )
    shapes = {"x": (4, 2, 5)}
    for method in METHODS:
        assert rfgraph.validate(model, shapes=shapes, method=method).ok  # type: ignore[arg-type]
    claiming("m", [PerAxis(0, (same(0), same(1), same(2)))])
    for method in METHODS:
        found = rfgraph.validate(model, shapes=shapes, method=method)  # type: ignore[arg-type]
        assert not found.ok


def test_what_is_seen_far_away_needs_runs_of_its_own(claiming: Any) -> None:
    """Planes that share a run can stand in for each other; `exhaustive` tells."""
    model = net(
        "net (float[1, 1, 90] x) => (float[1, 1, 90] y) "
        "{ y = Conv <dilations = [30], pads = [0, 30]> (x, W) }",
        {"W": np.float32([[[1, 1]]])},
    )
    claiming("y", [PerAxis(0, (same(0), same(1), same(2)))])
    # One element is seen in truth 30 further on: a multiple of the 2 that lie between planes.
    found = rfgraph.validate(model, seconds=None)
    assert found.ok
    assert "planes share passes" in found.notes[0]
    found = rfgraph.validate(model, seconds=None, exhaustive=True)
    assert not any("share" in note for note in found.notes)
    assert {v.claim for v in found.violations} == {OUTSIDE_SUPPORT, OUTSIDE_BOUNDS}


def test_a_shape_that_is_not_the_one_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net(
        "net (float[1, 6] x) => (float[2, 3] y) { y = Reshape(x, s) }", {"s": np.int64([2, 3])}
    )
    other = rfgraph.analyze(
        net("net (float[1, 6] x) => (float[3, 2] y) { y = Reshape(x, s) }", {"s": np.int64([3, 2])})
    )
    monkeypatch.setattr(preparation, "analyze", lambda *_, **__: other)
    for method in METHODS:
        found = rfgraph.validate(model, method=method)  # type: ignore[arg-type]
        (violation,) = found.violations
        assert violation.claim == "has the shape (2, 3), and (3, 2) is claimed"
        assert found.contradictions == 1


def test_many_contradictions_are_told_in_one_order(claiming: Any) -> None:
    claiming("a", [])
    found = [rfgraph.validate(CONV, exhaustive=True, seconds=None, jobs=jobs) for jobs in (1, 4, 4)]
    assert len(found[0].violations) == 100 < found[0].contradictions
    assert found[0].violations == found[1].violations == found[2].violations


def test_onnxruntime_refuses_what_a_violation_is_narrowed_to(claiming: Any) -> None:
    """Only both bits together give an index that is there."""
    model = net(
        "net (bool[1, 2] t) => (float[1, 3] y) { a = Slice(t, zero, one, axis) "
        "b = Slice(t, one, two, axis) c = Xor(a, b) d = Cast <to = 7> (c) e = Mul(d, k) "
        "f = Add(e, zero) g = Gather(w, f) h = Reshape(g, s) n = Cast <to = 1> (a) y = Add(h, n) }",
        {
            "zero": np.int64([0]),
            "one": np.int64([1]),
            "two": np.int64([2]),
            "axis": np.int64([1]),
            "k": np.int64([100]),
            "s": np.int64([1, 3]),
            "w": weights(2, 3),
        },
    )
    claiming("n", [])
    options: Any = {"inputs": {"t": np.zeros((1, 2), bool)}, "tensors": ["n"]}
    found = rfgraph.validate(model, seconds=None, **options)
    assert {v.value for v in found.violations} == {"n"}
    assert found.violations[0].element is None


# ---------------------------------------------------------------- models of all kinds


def ok(model: Any, methods: tuple[str, ...] = METHODS, **options: Any) -> list[Any]:
    found = []
    for method in methods:
        report = rfgraph.validate(model, method=method, seconds=None, **options)  # type: ignore[arg-type]
        assert report.ok, report.violations
        assert report.passes
        found.append(report)
    return found


def test_weights_of_zero_and_dead_units_are_not_observed() -> None:
    model = net(
        "net (float[1, 1, 9] x) => (float[1, 1, 7] y) { a = Conv(x, W, b) y = Relu(a) }",
        {"W": np.float32([[[0, 1, 0]]]), "b": np.float32([-1e6])},
    )
    perturbed, poisoned = ok(model)
    assert perturbed.total.attained == 0
    assert poisoned.total.attained == poisoned.total.ends
    # With the zeros cut, what is claimed is what moves.
    pruned = rfgraph.validate(model, prune=True, tensors=["a"])
    assert pruned.ok
    assert pruned.total.attained == pruned.total.ends


def test_saturated_sigmoids() -> None:
    model = net(
        "net (float[1, 9] x) => (float[1, 9] y) { a = Mul(x, k) b = Sigmoid(a) y = Mul(b, k) }",
        {"k": np.float32(1e4)},
    )
    perturbed, poisoned = ok(model)
    assert perturbed.total.attained < perturbed.total.ends
    assert poisoned.total.attained == poisoned.total.ends


def test_tokens() -> None:
    """Whole numbers are drawn from those that the model accepts."""
    model = net(
        "net (int64[1, 6] ids) => (float[1, 6, 4] y) { e = Gather(table, ids) y = Softmax "
        "<axis = 1> (e) }",
        {"table": weights(11, 4)},
    )
    for report in ok(model):
        assert "below 10" in " ".join(report.notes)
        assert set(report.units) == {"e", "y"}


def test_half_precision_and_double() -> None:
    half = net(
        "net (float16[1, 2, 8] x) => (float16[1, 2, 6] y) { a = Conv(x, W) y = Relu(a) }",
        {"W": weights(2, 2, 3).astype(np.float16)},
    )
    double = net(
        "net (double[2, 8] x) => (double[2, 3] y) { a = MatMul(x, W) y = Relu(a) }",
        {"W": weights(8, 3).astype(np.float64)},
    )
    ok(half)
    ok(double)


def test_quantised() -> None:
    model = net(
        "net (float[1, 2, 8] x) => (float[1, 2, 6] y) { q = QuantizeLinear(x, s, z) "
        "c = QLinearConv(q, s, z, W, s, z, s, z) y = DequantizeLinear(c, s, z) }",
        {
            "s": np.float32(0.05),
            "z": np.uint8(128),
            "W": RNG.integers(130, 200, (2, 2, 3)).astype(np.uint8),
        },
    )
    ok(model)


def test_several_inputs_of_several_types() -> None:
    model = net(
        "net (float[1, 3, 4] x, bool[1, 3, 1] keep, float t) => (float[1, 3, 4] y, float[1, 3] s) "
        "{ a = Where(keep, x, t) y = Mul(a, t) s = ReduceSum <keepdims = 0> (a, last) }",
        {"last": np.int64([-1])},
    )
    for report in ok(model):
        assert {name for _, name in report.tallies} == {"x", "keep", "t"}


def test_empty_and_dynamic_outputs() -> None:
    model = net(
        "net (float[1, 6] x) => (float[1, 0] e, int64[2, n] z, float[1, 6] y) "
        "{ e = Slice(x, k, k, one) z = NonZero(x) y = Neg(x) }",
        {"k": np.int64([2]), "one": np.int64([1])},
    )
    for report in ok(model):
        assert set(report.units) == {"y"}
        assert "depends on the data" in report.untested["z"]


def test_a_model_without_anything_to_test() -> None:
    model = net("net (float[1, 6] x) => (int64[2] s) { s = Shape(x) }")
    for report in ok(model):
        assert set(report.units) == {"s"}
        assert report.total.moved == report.total.ends == 0
    empty = net("net (float[0, 6] x) => (float[0, 6] y) { y = Neg(x) }")
    report = rfgraph.validate(empty)
    assert report.ok
    assert report.passes == 0


def test_a_model_that_is_not_deterministic() -> None:
    model = net(
        "net (float[1, 6] x) => (float[1, 6] y, float[1, 6] z) "
        "{ r = RandomNormalLike(x) y = Add(x, r) z = Neg(x) }"
    )
    report = rfgraph.validate(model)
    assert report.ok
    assert "not deterministic" in report.untested["y"]
    assert "z" in report.units


def test_control_flow() -> None:
    model = net(
        "net (float[1, 6] x, bool c) => (float[1, 6] y) { "
        "a = If (c) <then_branch = t () => (float[1, 6] u) { u = Neg(x) }, "
        "else_branch = e () => (float[1, 6] v) { v = Abs(x) }> y = Exp(a) }"
    )
    ok(model, ("perturb",))


def test_what_is_nan_without_any_change_is_said() -> None:
    model = net(
        "net (float[1, 6] x) => (float[1, 6] y, float[1, 6] z) "
        "{ a = Sub(x, x) y = Div(a, a) z = Exp(x) }"
    )
    for report in ok(model):
        said = "6 units are NaN before anything is changed, and can't be tested: 6 of 'y'"
        assert said in report.notes
        assert report.tallies["y", "x"].ends == (0 if report.method == "poison" else 12)
        assert report.tallies["z", "x"].attained == 12


def test_functions_are_looked_into() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21, "my" : 1]> '
        "net (float[1, 6] x) => (float[1, 6] y) { y = my.twice(x) } "
        '<opset_import: ["" : 21], domain: "my"> twice (p) => (r) { q = Neg(p) r = Abs(q) }'
    )
    for report in ok(model):
        assert {"q", "y"} <= set(report.units)


def test_a_batch_that_is_open() -> None:
    model = net(
        "net (float[N, 1, 40] x) => (float[N, 1, 38] y) { a = Conv(x, W) y = Relu(a) }",
        {"W": weights(1, 1, 3)},
    )
    _, poisoned = ok(model)
    assert poisoned.analysis.shape("x") == (4, 1, 40)
    assert poisoned.passes < 40 / 4 + 32 / 4 + 2
    assert poisoned.total.attained == poisoned.total.ends


def test_external_data(tmp_path: Path) -> None:
    model = net(
        "net (float[1, 2, 40] x) => (float[1, 400, 38] y) { a = Conv(x, W) y = Relu(a) }",
        {"W": weights(400, 2, 3)},
    )
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=64)
    ok(str(path))
    held = net("net (float[2, 40] x) => (float[2, 40] y) { y = Add(x, c) }")
    value = onnx.numpy_helper.from_array(weights(2, 40), "c")
    held.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["c"], value=value))
    inner = tmp_path / "c.onnx"
    onnx.save(
        held,
        inner,
        save_as_external_data=True,
        location="c.data",
        size_threshold=64,
        convert_attribute=True,
    )
    ok(str(inner))
    (tmp_path / "m.data").unlink()
    with pytest.raises(rfgraph.ModelError, match=r"m\.data.*beside the model"):
        rfgraph.validate(path)


# ---------------------------------------------------------------- options


def test_given_inputs_are_used() -> None:
    model = net("net (float[1, 6] x) => (float[1, 6] y) { y = Relu(x) }")
    negative = np.float32([[-100, -99, -98, -97, -96, -95]])
    assert rfgraph.validate(model, inputs={"x": negative}).total.attained == 0
    assert rfgraph.validate(model, inputs={"x": -negative}).total.attained == 12


def test_the_same_seed_gives_the_same() -> None:
    one, same_, other = (
        rfgraph.validate(CONV, seed=seed, seconds=None, samples=4) for seed in (1, 1, 2)
    )
    assert one.tallies == same_.tallies
    assert one.tallies != other.tallies


def test_the_budget_ends_it() -> None:
    found = rfgraph.validate(CONV, seconds=1e-6)
    assert found.passes == 1
    assert not found.complete


def test_what_is_tested_until_the_time_is_up_is_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """After half of the passes: both ends of each axis, no gap wider than a quarter of it."""
    begun = iter([0.0, 0.0, *[1.0] * 19, *[3.0] * 9])
    monkeypatch.setattr(validate_module.time, "monotonic", lambda: next(begun))
    changed = []
    run = runs.Runner.changed

    def remember(self: runs.Runner, planned: Any, *arguments: Any) -> Any:
        changed.extend(planned.regions)
        return run(self, planned, *arguments)

    monkeypatch.setattr(runs.Runner, "changed", remember)
    model = net("net (float[1, 1, 16, 16] x) => (float[1, 1, 16, 16] y) { y = Neg(x) }")
    found = rfgraph.validate(model, seconds=2, exhaustive=True, samples=16)
    assert (found.passes, found.planned) == (20, 16 + 16 + 16)
    covered = {c.axis: (c.there, c.planned, c.changed) for c in found.coverage}
    assert covered == {2: (16, 16, 7), 3: (16, 16, 7), None: (256, 16, 6)}
    assert found.probes == 20
    for axis in (2, 3):
        seen = sorted(c.coordinates[axis][0] for c in changed if c.axis == axis)
        assert seen[0] == 0
        assert seen[-1] == 15
        assert max(np.diff(seen)) <= 4


def test_an_interruption_tells_what_was_tested() -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    found = rfgraph.validate(CONV, seconds=None, progress=interrupt)
    assert found.interrupted
    assert found.passes == 7
    assert found.ok


def test_values_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rfgraph.validate(CONV, seconds=None)
    monkeypatch.setattr(preparation, "_GROUP", 4 * 3 * 12 * 12)
    grouped = rfgraph.validate(CONV, seconds=None)
    assert grouped.planned == 3 * whole.planned
    assert grouped.tallies == whole.tallies


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "pray"}, "the methods are perturb and poison"),
        ({"method": "poison", "prune": True}, "prune"),
        ({"tensors": ["nothing*"]}, r"nothing\*.*rfgraph show"),
        ({"jobs": 0}, "at least 1"),
        ({"samples": 0}, "at least 1"),
        ({"seconds": 0}, "greater than 0"),
        ({"inputs": {"z": 1}}, "no input 'z'.*inputs are x"),
        ({"inputs": {"x": np.zeros((1, 2, 12, 13))}}, r"\(1, 2, 12, 13\)"),
        ({"inputs": {"x": "words"}}, "x"),
        ({"seed": -1}, "seed"),
        ({"tensors": ["y", "typo"]}, "typo"),
        ({"reproductions": "/proc/no/folder"}, "can't be created"),
        ({"reproductions": "models"}, "exists already"),
        ({"providers": ["NoSuchProvider"]}, "NoSuchProvider.*CPU"),
    ],
)
def test_wrong_questions(options: Any, words: str) -> None:
    with pytest.raises(rfgraph.RFGraphError, match=words):
        rfgraph.validate(CONV, **options)


def test_what_onnxruntime_does_not_open_or_run() -> None:
    unknown = net("net (float[1, 6] x) => (float[1, 6] y) { y = Neg(x) }")
    unknown.opset_import[0].version = 99
    with pytest.raises(rfgraph.RFGraphError, match="onnxruntime can't open"):
        rfgraph.validate(unknown)
    wrong = net(
        "net (float[1, 6] x, int64[1] k) => (float[1, n] y) { y = Gather <axis = 1> (x, k) }"
    )
    with pytest.raises(rfgraph.RFGraphError, match=r"can't run.*inputs"):
        rfgraph.validate(wrong, inputs={"k": np.int64([99])})


def test_without_onnxruntime_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(rfgraph.RFGraphError, match=r"pip install 'rfgraph\[validate\]'"):
        rfgraph.validate(CONV)


# ---------------------------------------------------------------- reproductions


@pytest.mark.parametrize("method", METHODS)
def test_a_reproduction_shows_it_again(method: Any, tmp_path: Path, claiming: Any) -> None:
    claiming("a", [PerAxis(0, (same(0), WHOLE, window(2, 2, 1, 1, 1), same(3)))])
    folder = tmp_path / "again"
    found = rfgraph.validate(CONV, method=method, seconds=None, reproductions=folder)
    made = sorted(folder.iterdir())
    assert len(made) == min(len(found.violations), 8)
    document = json.loads((made[0] / "violation.json").read_text())
    assert document["element"] == list(found.violations[0].element or ())
    ran = subprocess.run(
        [sys.executable, str(made[0] / "reproduce.py")], capture_output=True, text=True, check=True
    )
    base, changed, said = ran.stdout.splitlines()
    assert base.split()[1] != changed.split()[1]
    assert said == str(found.violations[0])


def test_a_reproduction_of_an_input_that_is_called_file(tmp_path: Path, claiming: Any) -> None:
    model = net("net (float[1, 4] file) => (float[1, 4] y) { y = Neg(file) }")
    claiming("y", [])
    found = rfgraph.validate(model, reproductions=tmp_path / "again")
    assert found.contradictions
    script = tmp_path / "again" / "violation-0" / "reproduce.py"
    assert subprocess.run([sys.executable, str(script)], check=True, capture_output=True).stdout


def test_no_folder_is_left_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert rfgraph.validate(CONV, samples=1, reproductions=tmp_path / "again").ok
    assert not (tmp_path / "again").exists()


def test_numbers_in_place_of_others() -> None:
    for old in (
        RNG.standard_normal((3, 4)).astype(np.float32),
        np.zeros((2, 2), np.float16),
        np.float32([[1.5, -np.inf], [np.nan, 2]]),
        np.float32([np.inf]),
        np.array([True, False]),
        np.array([7, 7, 7], np.uint8),
        RNG.integers(-5, 5, (4, 4)),
    ):
        new = runs.other_numbers(old, runs.Range.of(old), np.random.default_rng(0))
        assert new.dtype == old.dtype
        assert (new != old).all()
        assert new.dtype.kind != "f" or np.isfinite(new).all()
        if old.dtype.kind in "iu" and old.min() != old.max():
            assert old.min() <= new.min() <= new.max() <= old.max()


def test_what_differs() -> None:
    nan = np.nan
    old, new = np.array([1.0, nan, 0.0, nan]), np.array([1.0, nan, -0.0, 2.0])
    assert runs.differs(old, new).tolist() == [False, False, False, True]
    assert runs.differs(np.zeros(2), np.zeros(3)).tolist() == [True, True]
    assert runs.differs(np.array(["a", "b"]), np.array(["a", "c"])).tolist() == [False, True]


def test_a_batch_that_onnxruntime_holds_to_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the file has sizes of inner values for one row, and an input leaves it open."""
    model = net("net (float[N, 4, 8] x) => (float[N, 4, 8] y) { a = Neg(x) y = Abs(a) }")
    run = runs.Runner.run

    def refuse(self: runs.Runner, names: Any, feeds: Any) -> Any:
        if len(feeds["x"]) > 1:
            raise RuntimeError("Shape mismatch attempting to re-use buffer")
        return run(self, names, feeds)

    assert rfgraph.validate(model).analysis.shape("x") == (4, 4, 8)
    monkeypatch.setattr(runs.Runner, "run", refuse)
    for found in ok(model):
        assert found.analysis.shape("x") == (1, 4, 8)


def test_values_in_blocks_of_channels_are_not_compared(tmp_path: Path) -> None:
    """A layout of its own: a plane of such a value is none of the channels that it names."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(tmp_path / "m.onnx")
    options.log_severity_level = 4
    model = net(
        "net (float[1, 16, 9, 9] x) => (float[1, 16, 5, 5] y) "
        "{ a = Conv(x, W) b = Relu(a) y = Conv(b, V) }",
        {"W": weights(16, 16, 3, 3), "V": weights(16, 16, 3, 3)},
        17,
    )
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    optimised = onnx.load(tmp_path / "m.onnx")
    if not any(node.domain == "com.microsoft.nchwc" for node in optimised.graph.node):
        pytest.skip("this onnxruntime has no execution provider layout in blocks on this processor")
    perturbed, poisoned = ok(optimised, tensors=["*"])
    assert "lie in blocks" in " ".join(perturbed.untested.values())
    assert "y" in perturbed.units
    assert poisoned.total.attained == poisoned.total.ends


# ---------------------------------------------------------------- what kernels do besides


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", METHODS)
def test_a_running_sum_over_channels_leaks_nothing(method: Any, seed: int) -> None:
    """LRN's kernel lets through about 3e-6 of what has left its window, of some numbers."""
    text = "net (float[1, 19, 4, 5] x) => (float[1, 19, 4, 5] y) {{ {} }}"
    lrn = "LRN <size = 5, alpha = 1.0> (x)"
    branches = f"a () => (float[1, 19, 4, 5] u) {{ u = {lrn} }}"
    for made in (
        net(text.format(f"a = {lrn} b = Exp(a) y = LRN <size = 3, alpha = 0.5> (b)")),
        net(
            text.format(
                f"y = If (c) <then_branch = {branches}, else_branch = {branches.replace('u', 'v')}>"
            ),
            {"c": np.array(True)},
        ),
    ):
        found = rfgraph.validate(made, method=method, seed=seed, samples=19, seconds=None)
        assert found.ok
        assert "y" in found.units
        if method == "poison":
            assert found.total.attained == found.total.ends


def test_an_error_in_a_window_over_channels_is_found(claiming: Any) -> None:
    """One channel too few."""
    model = net("net (float[1, 19, 2, 2] x) => (float[1, 19, 2, 2] y) { y = LRN <size = 5> (x) }")
    claiming("y", [PerAxis(0, (same(0), window(1, 4, 1, 1, 2), same(2), same(3)))])
    for method in METHODS:
        assert not rfgraph.validate(model, method=method, seconds=None).ok  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "shape", "attributes"),
    [(1, (2, 7, 3, 2), {}), (3, (1, 5, 1, 4), {"alpha": 0.9, "beta": 0.6}), (9, (1, 5, 2, 2), {})],
)
@pytest.mark.parametrize("opset", [8, 13, 21])
def test_what_stands_in_for_lrn_computes_the_same(
    size: int, shape: tuple[int, ...], attributes: dict[str, float], opset: int
) -> None:
    for dtype, tolerance in ((np.float32, 1e-5), (np.float16, 1e-2)):
        x = RNG.standard_normal(shape).astype(dtype)
        model, feeds = single("LRN", {"x": x}, size=size, opset=opset, **attributes)
        model.graph.output[0].ClearField("type")
        (before,) = session(model).run(None, feeds)
        without_leaks(model)
        assert "LRN" not in {node.op_type for node in model.graph.node}
        (after,) = session(model).run(None, feeds)
        assert after.dtype == before.dtype
        np.testing.assert_allclose(before, after, rtol=tolerance, atol=tolerance)


INF = float("inf")
KEPT = np.zeros((4, 4), np.float32)
FLOAT_MASK = np.array([[0, 0, -INF, -INF], [-INF] * 4, [0, 0, 0, 0], [0, -INF, 0, 0]], np.float32)
HEADS = "net (float[1, 2, 4, 3] q, float[1, 2, 4, 3] k, float[1, 2, 4, 3] v) => "
FLAT = "net (float[1, 4, 6] q, float[1, 4, 6] k, float[1, 4, 6] v) => (float[1, 4, 6] y) "
MULTI = f"{FLAT} {{ y = com.microsoft.MultiHeadAttention <num_heads = 2> (q, k, v, , %s) }}"
OWN = (
    "net (float[1, 4, 6] x) => (float[1, 4, 6] y) "
    "{ y = com.microsoft.Attention <num_heads = 2> (x, w, b, %s) }"
)


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        (f"{HEADS} (float[1, 2, 4, 3] y) {{ y = Attention(q, k, v, m) }}", FLOAT_MASK),
        (f"{HEADS} (float[1, 2, 4, 3] y) {{ y = Attention(q, k, v, m) }}", FLOAT_MASK == 0),
        (f"{HEADS} (float[1, 2, 4, 3] y) {{ y = Attention(q, k, v, m) }}", KEPT + -1e38),
        (
            f"{HEADS} (float[1, 2, 4, 3] y) {{ y = Attention <is_causal = 1> (q, k, v, m) }}",
            FLOAT_MASK,
        ),
        (MULTI % ", m", FLOAT_MASK.reshape(1, 1, 4, 4)),
        (MULTI % "m", np.array([[1, 1, 0, 0]], np.int32)),
        (MULTI % "m", np.array([2], np.int32)),
        (OWN % ", , m", np.tile(FLOAT_MASK, (1, 2, 1, 1))),
        (OWN % "m", np.array([3], np.int32)),
        (OWN % "m", np.array([3, 1], np.int32)),
        (
            f"{HEADS} (float[1, 2, 4, 3] y) {{ t = Transpose <perm = [0, 1, 3, 2]> (k) "
            "s = MatMul(q, t) a = Add(s, m) p = Softmax <axis = -1> (a) y = MatMul(p, v) }",
            FLOAT_MASK,
        ),
    ],
)
def test_what_a_mask_leaves_out_is_structure(text: str, mask: np.ndarray) -> None:
    """A mask is added to the scores: the specification reads what it leaves out, a row of -inf too.

    onnxruntime's kernels make numbers of such a row, or NaN.
    """
    model = net(text, {"m": mask, "w": weights(6, 18), "b": weights(18)})
    model.opset_import.add(domain="com.microsoft", version=1)
    model.opset_import[0].version = 23
    for method in METHODS:
        found = rfgraph.validate(model, method=method, seconds=None, exhaustive=True)  # type: ignore[arg-type]
        assert found.ok, found.violations[0]
        assert "y" in found.units


@pytest.mark.parametrize(
    "text",
    [
        "com.microsoft.Attention <num_heads = 2, unidirectional = 1> (x, w, b)",
        "com.microsoft.Attention <num_heads = 2, scale = 9.0> (x, u, b, m)",
        "com.microsoft.MultiHeadAttention <num_heads = 1, scale = 9.0> (x, x, x, , m)",
        "com.microsoft.MultiHeadAttention <num_heads = 1, unidirectional = 1> (x, x, x)",
    ],
)
def test_what_large_scores_round_away_is_seen(text: str) -> None:
    """A key beside one of a far larger score has the weight 0, of these numbers alone."""
    made = net(
        f"net (float[1, 4, 512] x) => (float[1, 4, 512] y) {{ y = {text} }}",
        {
            "u": RNG.uniform(-1, 1, (512, 1536)).astype(np.float32),
            "w": 30 * RNG.uniform(-1, 1, (512, 1536)).astype(np.float32),
            "b": 100 * weights(1536),
            "m": np.array([3], np.int32),
        },
    )
    made.opset_import.add(domain="com.microsoft", version=1)
    found = rfgraph.validate(made, method="poison", seconds=None)
    assert found.ok, found.violations[0]
    assert "y" in found.units
