"""A model and its twin: where they part is told, and both parts are saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from rfgraph import analyze
from rfgraph.agreement import agree
from rfgraph.agreement.segments import Segments, told_apart
from rfgraph.agreement.sides import Side
from rfgraph.errors import RFGraphError
from rfgraph.runtimes import start
from rfgraph.runtimes.observe import Region
from tests.agreement.hidden import hidden
from tests.agreement.shown import printed, responses
from tests.graphs import model

# One thread: models are small, and threads that wait take time as well.
EXACT = "onnxruntime:level=disable,threads=1"
TAPS = {"w": np.array([[[1, 2, 3]]], np.float32)}
CONV = model("a = Relu(x)\ny = Conv<pads=[1,1]>(a, w)", "float[1,1,12] x", initializers=TAPS)


@pytest.mark.slow
def test_twins_of_which_one_sees_more():
    """Each is claimed to see other elements, and does."""
    first = model("y = MaxPool<kernel_shape=[3], pads=[1,1]>(x)", "float[1,1,8] x")
    second = model("y = MaxPool<kernel_shape=[5], pads=[2,2]>(z)", "float[1,1,8] z")
    found = agree(first, second)
    (pair,) = found.pairs
    (one,) = pair.outputs
    assert one.kind == "parted"
    assert one.alone[0] == 0 < one.alone[1]
    assert one.beyond[0] == 0 < one.beyond[1]
    assert "grew" in pair.notes[-1] or "sees 5" in pair.notes[-1]


W = np.array([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]], np.float32) / 10
PLAIN = model(
    "r = Relu(x)\nc = Conv<pads=[1,1,1,1]>(r, w)\ny = Sigmoid(c)",
    "float[1,1,9,9] x",
    initializers={"w": W},
)
EIGHT = {
    "w8": (W * 100).astype(np.uint8),
    "s": np.float32(0.01),
    "xs": np.float32(0.03),
    "z": np.uint8(0),
}


def test_ranges_that_are_found_while_running_see_everything(tmp_path):
    twin = model(
        "r = Relu(x)\nq, scale, zero = DynamicQuantizeLinear(r)\n"
        "i = ConvInteger<pads=[1,1,1,1]>(q, w8, zero)\nf = Cast<to=1>(i)\n"
        "both = Mul(scale, s)\nc = Mul(f, both)\ny = Sigmoid(c)",
        "float[1,1,9,9] x",
        initializers=EIGHT,
    )
    (pair,) = agree(PLAIN, twin, reproductions=tmp_path / "shown").pairs
    assert [one.kind for one in pair.outputs] == ["parted"]
    assert pair.outputs[0].alone[0] == 0 < pair.outputs[0].alone[1]
    (one,) = pair.differences
    assert (one.operator, one.value) == ("DynamicQuantizeLinear", "c")
    # Both are fed what agrees, and the range of all of it moves a unit that is not near.
    eight = ["DynamicQuantizeLinear", "ConvInteger", "Cast", "Mul", "Mul"]
    assert saved(one.reproduction) == [(["r"], ["Conv"]), (["r"], eight)]
    still, seen = responses(printed(one.reproduction))
    assert still == 0 < 1e-3 < seen
    with np.load(Path(one.reproduction, "first-base.npz")) as stored:
        (fed,) = stored.values()
    assert fed.min() == 0  # a rectifier's output


def saved(folder: str) -> list[tuple[list[str], list[str]]]:
    """The inputs and the operators of both models."""
    graphs = [onnx.load(Path(folder, f"{side}-model.onnx")).graph for side in ("first", "second")]
    return [([x.name for x in g.input], [node.op_type for node in g.node]) for g in graphs]


@pytest.mark.slow
def test_ranges_that_are_known_change_nothing():
    twin = model(
        "r = Relu(x)\nq = QuantizeLinear(r, xs, z)\nd = DequantizeLinear(q, xs, z)\n"
        "w = DequantizeLinear(w8, s, z)\nc = Conv<pads=[1,1,1,1]>(d, w)\ny = Sigmoid(c)",
        "float[1,1,9,9] x",
        initializers=EIGHT,
    )
    found = agree(PLAIN, twin)
    assert found.ok
    assert found.pairs[0].notes[-1] == "rfgraph claims that the outputs of both see the same"
    assert found.pairs[0].outputs[0].distance > 0


HALF = model(
    "h = Cast<to=10>(x)\na = Relu(h)\nc = Conv<pads=[2,0]>(a, w)\ny = Cast<to=1>(c)",
    "float[1,1,12] x",
    initializers={"w": TAPS["w"].astype(np.float16)},
)
LONGER = model("a = Relu(x)\ny = Conv<pads=[1,2]>(a, w)", "float[1,1,12] x", initializers=TAPS)
# It has what agrees, and makes its output of something else.
BESIDE = model(
    "a = Relu(x)\nb = Relu(x)\ny = Conv<pads=[0,2]>(b, w)",
    "float[1,1,12] x",
    "y a",
    initializers=TAPS,
)
RENAMED = model(
    "b = Relu(z)\nc = Conv<pads=[2,0]>(b, w)", "float[1,1,12] z", "c", initializers=TAPS
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("twin", "kind", "parts"),
    [
        (HALF, "other elements", [(["a"], ["Conv"]), (["a"], ["Conv", "Cast"])]),
        (LONGER, "other shape", [(["a"], ["Conv"]), (["a"], ["Conv"])]),
        (BESIDE, "other elements", [(["x"], ["Relu", "Conv"]), (["x"], ["Relu", "Conv"])]),
        (RENAMED, "other elements", [(["x"], ["Relu", "Conv"]), (["z"], ["Relu", "Conv"])]),
    ],
    ids=["half", "longer", "beside", "renamed"],
)
def test_both_parts_are_saved(twin, kind, parts, tmp_path):
    found = agree(CONV, twin, samples=2, reproductions=tmp_path / "shown")
    (one,) = found.pairs[0].differences
    assert (one.value, one.kind) == ("y", kind)
    assert saved(one.reproduction) == parts
    lines = printed(one.reproduction)
    if kind == "other shape":
        assert [line.shape for line in lines] == ["(1, 1, 12)", "(1, 1, 13)"]
        return
    assert json.loads(Path(one.reproduction, "difference.json").read_text())["unit"]
    still, seen = sorted(responses(lines))
    assert still == 0 < 0.05 < seen


@pytest.mark.slow
def test_nodes_that_part_together_only(tmp_path):
    """The fault is there only where nobody looks at what is between."""
    made = hidden("transposed", 8)
    sides = (EXACT, "planted:fault=merge")
    shown = tmp_path / "shown"
    (pair,) = agree(made, made, runtimes=sides, samples=1, reproductions=shown).pairs
    (one,) = pair.differences
    assert (one.value, one.kind) == (pair.outputs[0].name, "other elements")
    # All of both.
    all_of_it = [node.op_type for node in made.graph.node]
    assert saved(one.reproduction) == [(["x"], all_of_it)] * 2


@pytest.mark.slow
def test_parts_that_do_not_show_it_are_passed_over():
    same, other = (
        model(f"y = MaxPool<kernel_shape=[3], pads={pads}>(x)", "float[1,1,8] x")
        for pads in ([1, 1], [0, 2])
    )
    feeds = {"x": np.arange(8, dtype=np.float32).reshape(1, 1, 8)}
    tried = [Segments((same, same), feeds), Segments((same, other), feeds)]
    with start(EXACT) as one, start(EXACT) as two:
        sides = (Side("a", same, analyze(same), one), Side("b", other, analyze(other), two))
        found, sight = told_apart(sides, tried, 3, Region("x", (0, 0, 2)))
        assert found.twin is other
        assert sight.lone[0].any()
        assert told_apart(sides, tried[:1], 3, Region("x", (0, 0, 2)))[1] is None


@pytest.mark.slow
def test_an_input_that_the_twin_lacks(tmp_path):
    first = model("a = Relu(x)\ny = Add(a, z)", "float[1,1,8] x, float[1,1,8] z")
    second = model("a = Relu(x)\ny = Identity(a)", "float[1,1,8] x")
    found = agree(first, second, samples=2, reproductions=tmp_path / "shown")
    (one,) = found.pairs[0].differences
    ours, theirs = responses(printed(one.reproduction))
    assert ours > 0.05
    assert theirs == 0


@pytest.mark.slow
def test_inputs_in_another_order():
    line = "a = Conv<pads=[1,1]>(x, w)\ny = Add(a, z)"
    first = model(line, "float[1,1,8] x, float[1,1,8] z", initializers=TAPS)
    second = model(line, "float[1,1,8] z, float[1,1,8] x", initializers=TAPS)
    assert agree(first, second, samples=2).ok


@pytest.mark.slow
def test_an_input_that_is_held_has_another_name_in_the_twin():
    first = model("y = Mul(x, m)", "float[1,1,8] x, float[1,1,8] m")
    second = model("y = Mul(x, mask)", "float[1,1,8] mask, float[1,1,8] x")
    mask = np.array([[[0, 1, 1, 1, 0, 0, 1, 1]]], np.float32)
    found = agree(first, second, values={"m": mask}, samples=2)
    assert found.ok
    assert found.pairs[0].notes[-1] == "rfgraph claims that the outputs of both see the same"


@pytest.mark.parametrize(
    ("twin", "said"),
    [
        (
            model("y = Add(a, b)", "float[1,1,8] a, float[1,1,8] b"),
            "its input 'a' is none of the other model's, which has 1 inputs: x",
        ),
        (
            model("y = Identity(c)", "", initializers={"c": np.zeros((1, 1, 8), np.float32)}),
            "it has no inputs, and the other model has",
        ),
    ],
    ids=["more", "none"],
)
def test_twins_of_other_inputs(twin, said):
    first = model("y = Relu(x)", "float[1,1,8] x")
    with pytest.raises(RFGraphError, match=said):
        agree(first, twin)
