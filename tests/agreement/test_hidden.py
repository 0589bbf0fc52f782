"""What runtimes see elsewhere, found in the middle of fifty nodes; slow."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from rfgraph.agreement import agree
from rfgraph.runtimes.registry import names
from rfgraph.validation import validate
from tests.agreement.hidden import hidden
from tests.agreement.shown import printed, responses
from tests.runtimes.needed import need

# One thread: models are small, and threads that wait take time as well.
EXACT = "onnxruntime:level=disable,threads=1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "runtime", "operator", "kind", "moved"),
    [
        (
            "transposed with output_shape",
            "openvino",
            "ConvTranspose",
            "other elements",
            (0, 0, -1, -1),
        ),
        ("antialias", "openvino", "Resize", "other elements", ()),
        ("keep aspect", "openvino", "Resize", "other shape", ()),
        ("softmax of old", "openvino", "Softmax", "other elements", ()),
        ("pool with ceil", "openvino", "MaxPool", "other shape", ()),
        ("even window at the end", "mnn", "Conv", "other elements", (0, 0, -1, -1)),
        ("cubic samples", "mnn", "GridSample", "other elements", ()),
        ("explicit output_shape", "onnx2torch", "ConvTranspose", "other shape", ()),
        ("short sequences", "reference", "GRU", "other elements", ()),
    ],
)
def test_a_hidden_operator_is_found(name, runtime, operator, kind, moved, tmp_path):
    need(runtime)
    made = hidden(name)
    assert len(made.graph.node) >= 50
    sides = (EXACT, runtime)
    found = agree(made, runtimes=sides, samples=1, reproductions=tmp_path / "shown")
    assert found.pairs[0].outputs[0].kind == "parted"
    (one,) = found.pairs[0].differences
    assert (one.node, one.operator, one.kind) == ("hidden", operator, kind)
    assert (one.right, one.whole, one.moved) == (EXACT, True, moved)
    if kind == "other elements":
        (differs, *_) = one.axes
        assert differs.seen[EXACT] == differs.seen["claim"] != differs.seen[runtime]
    # What was saved is that node alone, and shows it by itself.
    assert [
        node.op_type for node in onnx.load(Path(one.reproduction, "model.onnx")).graph.node
    ] == [operator]
    lines = printed(one.reproduction, without=runtime in names()[:3])
    assert [line.side for line in lines[:2]] == [EXACT, runtime]
    if kind == "other shape":
        assert lines[0].shape != lines[1].shape
        return
    assert lines[0].shape == lines[1].shape
    assert lines[0].value != pytest.approx(lines[1].value, rel=0.02)
    still, seen = sorted(responses(lines))
    assert still < seen / 64
    assert seen > 0.01


@pytest.mark.slow
def test_bfloat16_is_no_difference():
    need("openvino")
    found = agree(hidden("transposed", 14), samples=2)
    assert found.ok
    assert found.pairs[0].differences == ()


@pytest.mark.slow
def test_claims_are_tested_there():
    need("openvino")
    made = hidden("transposed with output_shape", 8)
    there = validate(made, runtime="openvino:precision=f32", tensors=["h"], samples=4)
    assert there.runtime == "openvino:precision=f32"
    assert not there.ok
    here = validate(made, tensors=["h"], samples=4)
    assert here.ok
