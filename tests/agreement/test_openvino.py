"""What OpenVINO 2026.4 sees elsewhere, found in the middle of fifty nodes; slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rfgraph.agreement import agree
from rfgraph.validation import validate
from tests.agreement.hidden import hidden

pytest.importorskip("openvino", reason="openvino is an extra")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "operator", "kind"),
    [
        ("transposed with output_shape", "ConvTranspose", "other elements"),
        ("antialias", "Resize", "other elements"),
        ("keep aspect", "Resize", "other shape"),
        ("softmax of old", "Softmax", "other elements"),
        ("pool with ceil", "MaxPool", "other shape"),
    ],
)
def test_a_hidden_operator_is_found(name, operator, kind, tmp_path):
    found = agree(hidden(name), samples=2, reproductions=tmp_path / "shown")
    assert found.pairs[0].outputs[0].kind == "parted"
    (one,) = found.pairs[0].differences
    assert (one.node, one.operator, one.kind) == ("hidden", operator, kind)
    assert (one.right, one.whole) == ("onnxruntime", True)
    if name == "transposed with output_shape":
        assert one.moved == (0, 0, -1, -1)
    # What was saved shows it without rfgraph.
    script = Path(one.reproduction, "reproduce.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    here, there = (
        line.split(maxsplit=2)[2] for line in done.stdout.splitlines() if line.startswith("base ")
    )
    assert here != there


@pytest.mark.slow
def test_bfloat16_is_no_difference():
    found = agree(hidden("transposed", 14), samples=2)
    assert found.ok
    assert found.pairs[0].differences == ()


@pytest.mark.slow
def test_claims_are_tested_there():
    made = hidden("transposed with output_shape", 8)
    there = validate(made, runtime="openvino:precision=f32", tensors=["h"], samples=4)
    assert there.runtime == "openvino:precision=f32"
    assert not there.ok
    here = validate(made, tensors=["h"], samples=4)
    assert here.ok
