#!/usr/bin/env bash
# OpenVINO 2026.4.1: an input that a Dropout reads has lost its name.
#
# The good guess: the inputs of a compiled model have the names that the ONNX file gives them, and a
# Dropout, which does nothing in inference, goes without a trace.
#
# It goes, and its input takes the name of its output: "x" is not known any more, and "y" is both.
# With an Identity in its place the input is still "x".
#
# Output: Identity: inputs x, outputs y. Dropout: inputs y, outputs y; given by its name: an error.
#
# Why it matters: who filters what is fed by the names that OpenVINO has feeds nothing, and what comes
# out is memory that was never written: numbers, with no error. Ends with another code than 0 if that
# changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 openvino==2026.4.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import openvino
from onnx import parser


def opened(kind):
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 13]> '
        f"g (float[2] x) => (float[2] y) {{ y = {kind} (x) }}"
    )
    core = openvino.Core()
    return core.compile_model(core.read_model(model.SerializeToString()), "CPU")


found = {}
for kind in ("Identity", "Dropout"):
    compiled = opened(kind)
    names = [sorted(p.get_names()) for p in (compiled.inputs[0], compiled.outputs[0])]
    found[kind] = names
    print(f"{kind}: the input is called {names[0]}, the output {names[1]}")
assert found["Identity"] == [["x"], ["y"]], found
assert found["Dropout"] == [["y"], ["y"]], found
assert opened("Identity")({"x": np.ones(2, np.float32)})[0].tolist() == [1, 1]
try:
    opened("Dropout")({"x": np.ones(2, np.float32)})
except RuntimeError as error:
    print("given by its name:", str(error).strip().splitlines()[-1][:90])
else:
    raise AssertionError("it knows 'x'")
PYTHON
