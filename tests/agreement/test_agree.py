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
from rfgraph.errors import QueryError
from tests.agreement.hidden import hidden
from tests.graphs import model

# One thread: models are small, and threads that wait take time as well.
EXACT = "onnxruntime:level=disable,threads=1"


def planted(fault: str, of: str = "ConvTranspose", **options: object) -> Agreement:
    sides = (EXACT, f"planted:fault={fault},of={of}")
    return agree(hidden("transposed", 8), runtimes=sides, samples=1, **options)


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


def test_a_runtime_that_is_wrong_all_over_does_not_round():
    # What measures how it rounds meets the fault as well.
    made = model(
        "h = Conv(x, w) y = Relu(h)",
        "float[1,1,9] x",
        initializers={"w": np.array([[[1, 2, 3]]], np.float32)},
    )
    found = agree(made, runtimes=(EXACT, "planted:fault=shift,of=Conv"), samples=2)
    assert found.sides[1].roundoff == 2.0**-24
    assert found.pairs[0].outputs[0].kind == "parted"
    assert [one.operator for one in found.pairs[0].differences] == ["Conv"]


def test_rounding_that_a_model_makes_larger_is_no_difference():
    w = np.random.default_rng(0).standard_normal((4, 64, 3, 3)).astype(np.float32)
    # What this channel adds is less than a step of rounding of the sum, and flips it now and then.
    w[:, 7] = 1e-6
    made = model(
        "c = Conv(x, w) d = Add(c, much) y = Sub(d, much)",
        "float[1,64,12,12] x",
        initializers={"w": w, "much": np.float32(3000)},
    )
    found = agree(made, runtimes=(EXACT, "reference"), samples=64, seconds=None)
    (one,) = found.pairs[0].outputs
    assert (one.kind, one.alone, one.beyond) == ("agreed", (0, 0), (0, 0))
    assert one.distance > 2.0**-19


def test_strings_are_taken_as_a_file_has_them():
    made = model(
        "y = Equal(x, k)",
        "string[3] x",
        initializers={"k": np.array(["a", "b", "c"], object)},
        opset=19,
    )
    given = {"x": np.array(["a", "q", "c"])}
    found = agree(made, runtimes=(EXACT, "reference"), inputs=given, samples=1)
    assert [side.outcome for side in found.sides] == ["answered", "answered"]
    assert found.pairs[0].outputs[0].kind == "agreed"


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
