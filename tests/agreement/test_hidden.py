"""What runtimes see elsewhere, found in the middle of fifty nodes; slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from rfgraph.agreement import agree
from rfgraph.validation import validate
from tests.agreement.hidden import hidden
from tests.runtimes.needed import need


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
    found = agree(
        made, runtimes=("onnxruntime", runtime), samples=1, reproductions=tmp_path / "shown"
    )
    assert found.pairs[0].outputs[0].kind == "parted"
    (one,) = found.pairs[0].differences
    assert (one.node, one.operator, one.kind) == ("hidden", operator, kind)
    assert (one.right, one.whole, one.moved) == ("onnxruntime", True, moved)
    if kind == "other elements":
        (differs, *_) = one.axes
        assert differs.seen["onnxruntime"] == differs.seen["claim"] != differs.seen[runtime]
    # What was saved is that node alone, and shows it without rfgraph.
    folder = Path(one.reproduction)
    assert [node.op_type for node in onnx.load(folder / "model.onnx").graph.node] == [operator]
    shows_it(folder, kind)


def shows_it(folder: Path, kind: str) -> None:
    """Run the script by itself: both sides differ, and only one sees what is changed."""
    script = folder / "reproduce.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    said: dict[str, list[tuple[str, float]]] = {}
    for line in done.stdout.splitlines()[1:]:
        inputs, _, rest = line.split(maxsplit=2)
        shape, value = rest.split(" unit ")[0], float(rest.split()[-1])
        said.setdefault(inputs, []).append((shape, value))
    (here, ours), (there, theirs) = said["base"]
    if kind == "other shape":
        assert here != there
        return
    assert here == there
    assert ours != pytest.approx(theirs, rel=0.02)
    responses = [abs(a - b) for (_, a), (_, b) in zip(said["base"], said["changed"], strict=True)]
    assert min(responses) < max(responses) / 64
    assert max(responses) > 0.01 * max(abs(ours), abs(theirs))


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
