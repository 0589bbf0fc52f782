"""Runtimes with faults that are planted: the node is named, and what shows it is saved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from rfgraph.agreement import Agreement, agree
from rfgraph.errors import QueryError, RFGraphError
from tests.agreement.hidden import hidden
from tests.graphs import model

EXACT = "onnxruntime:level=disable"


def planted(fault: str, of: str = "ConvTranspose", **options: object) -> Agreement:
    sides = (EXACT, f"planted:fault={fault},of={of}")
    return agree(hidden("transposed", 20), runtimes=sides, samples=2, **options)


def test_a_shift_is_traced_to_its_node_and_shown_again(tmp_path):
    found = planted("shift", reproductions=tmp_path / "shown")
    assert not found.ok
    assert found.parted
    (pair,) = found.pairs
    assert [one.kind for one in pair.outputs] == ["parted"]
    (one,) = pair.differences
    assert (one.node, one.operator, one.kind) == ("hidden", "ConvTranspose", "other elements")
    # The planted runtime has what belongs one place to the right.
    assert one.moved == (0, 0, 0, -1)
    assert (one.right, one.reference, one.whole) == (EXACT, EXACT, True)
    assert {(seen.axis, seen.differs) for seen in one.axes} == {(3, True)}
    for seen in one.axes:
        assert seen.seen[EXACT] == seen.seen["claim"]
    folder = Path(one.reproduction)
    shown = onnx.load(folder / "model.onnx")
    assert [node.op_type for node in shown.graph.node] == ["ConvTranspose"]
    # Run by hand, the node parts by what is claimed: ours, moved by one.
    with np.load(folder / "base.npz") as stored:
        (x,) = stored.values()
    from onnx.reference import ReferenceEvaluator

    (right,) = ReferenceEvaluator(shown).run(None, {shown.graph.input[0].name: x})
    said = json.loads((folder / "difference.json").read_text())
    at = tuple(said["unit"])
    # The script needs the planted runtime, which is installed for this process alone.
    script = folder / "reproduce.py"
    line = f"import sys; sys.path[:0] = {sys.path!r}\n"
    script.write_text(line + script.read_text())
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    lines = [text.split() for text in done.stdout.splitlines() if text.startswith("base")]
    values = {words[1]: float(words[-1]) for words in lines}
    assert values[EXACT] == pytest.approx(right[at], rel=1e-5)
    shifted = np.roll(right, -1, axis=-1)[at]
    assert values["planted:fault=shift,of=ConvTranspose"] == pytest.approx(shifted, rel=1e-5)
    assert "changed" in done.stdout


@pytest.mark.parametrize("fault", ["half", pytest.param("leak", marks=pytest.mark.slow)])
def test_rounding_is_no_difference(fault):
    found = planted(fault)
    assert found.ok
    (pair,) = found.pairs
    assert not pair.differences
    assert 0 < pair.outputs[0].distance < 0.05
    assert pair.outputs[0].attained[0] > 0
    assert found.runs < found.naive


@pytest.mark.slow
def test_each_fault_is_told_and_the_others_are_judged():
    faults = {
        "refuse": "refused: no ConvTranspose here",
        "crash": "crashed: its process ended (SIGSEGV): planted: about to crash",
        "hang": "hung: no answer within 3 seconds",
        "type": "other type: output 0 is of float64, not of float32",
        "shape": "other shape: output 0 has the shape (1, 4, 20, 40), not (1, 4, 20, 20)",
    }
    sides = (*(f"planted:fault={fault}" for fault in faults), EXACT, "reference")
    found = agree(hidden("transposed", 8), runtimes=sides, samples=1, patience=3)
    assert [side.outcome for side in found.sides] == [*faults.values(), "answered", "answered"]
    assert not found.ok
    # The first side that answers as it should is what the others are compared with.
    assert [(pair.first, pair.second[14:], pair.outputs[0].kind) for pair in found.pairs] == [
        (EXACT, "type", "agreed"),
        (EXACT, "shape", "parted"),
        (EXACT, "", "agreed"),
    ]
    assert found.pairs[1].outputs[0].why.startswith("its shape is")


@pytest.mark.slow
def test_nodes_that_part_together_only(tmp_path):
    found = planted("merge", reproductions=tmp_path / "shown")
    assert found.pairs[0].outputs[0].kind == "parted"
    (one,) = found.pairs[0].differences
    assert (one.operator, one.kind, one.right) == ("Conv", "other elements", EXACT)
    assert "not by itself, but together with ConvTranspose before it" in one.text
    shown = onnx.load(Path(one.reproduction) / "model.onnx")
    assert [node.op_type for node in shown.graph.node] == ["ConvTranspose", "Conv"]


@pytest.mark.slow
def test_only_one_output_parts():
    made = model(
        "a = Relu(x)\nb = ConvTranspose<strides=[2]>(a, w)\nc = Sigmoid(x)",
        "float[1,1,8] x",
        "b c",
        initializers={"w": np.array([[[1, 2, 3]]], np.float32)},
    )
    found = agree(made, runtimes=(EXACT, "planted:fault=shift"))
    assert [(one.name, one.kind) for one in found.pairs[0].outputs] == [
        ("b", "parted"),
        ("c", "agreed"),
    ]


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
    assert agree(first, first).ok


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


def test_ranges_that_are_found_while_running_see_everything():
    twin = model(
        "r = Relu(x)\nq, scale, zero = DynamicQuantizeLinear(r)\n"
        "i = ConvInteger<pads=[1,1,1,1]>(q, w8, zero)\nf = Cast<to=1>(i)\n"
        "both = Mul(scale, s)\nc = Mul(f, both)\ny = Sigmoid(c)",
        "float[1,1,9,9] x",
        initializers=EIGHT,
    )
    (pair,) = agree(PLAIN, twin).pairs
    assert [one.kind for one in pair.outputs] == ["parted"]
    assert pair.outputs[0].alone[0] == 0 < pair.outputs[0].alone[1]
    (one,) = pair.differences
    assert (one.operator, one.value) == ("DynamicQuantizeLinear", "c")


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


def test_what_has_no_shape_is_not_tested():
    made = model(
        "n = NonZero(x)\ny = Identity(n)\ns = SequenceConstruct(x, x)\nz = Sigmoid(x)",
        "float[3,4] x",
        "y s z",
    )
    (pair,) = agree(made, runtimes=(EXACT, "reference")).pairs
    assert [one.kind for one in pair.outputs] == ["not tested", "not tested", "agreed"]


@pytest.mark.parametrize(
    ("runtimes", "said"),
    [
        (("onnxruntime",), "one runtime alone agrees with itself"),
        (("onnxruntime", "onnxruntime"), "runtime 'onnxruntime' is given twice"),
        (("onnxruntime", "absent"), "there is no runtime 'absent'"),
    ],
)
def test_what_can_not_be_compared(runtimes, said):
    with pytest.raises(QueryError, match=said):
        agree("models/lenet_textbook.onnx", runtimes=runtimes)


@pytest.mark.slow
def test_twins_of_other_inputs():
    first = model("y = Relu(x)", "float[1,1,8] x")
    second = model("y = Add(a, b)", "float[1,1,8] a, float[1,1,8] b")
    with pytest.raises(RFGraphError, match="its input 'a' is none of the other model's"):
        agree(first, second)
