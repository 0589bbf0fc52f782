#!/usr/bin/env bash
# OpenVINO 2026.4.1, CPU: DFT of operator set 20, along axis 2.
#
# The good guess: since operator set 20 the axis is DFT's third input, and a transform along axis 2 of
# 1x5x7x1 mixes the 7 numbers of each row. onnxruntime and ONNX's reference say so, and so does
# OpenVINO up to operator set 19, where the axis is an attribute.
#
# OpenVINO does not look at the input: it transforms along axis 1, which is the attribute's default.
# Where the result is one-sided even its shape is another one.
#
# Output: which elements output 0,0,0 sees: onnxruntime 0 to 6, the first row; OpenVINO 0 7 14 21 28,
# the first column.
#
# Why it matters: a spectrogram model that is exported anew for operator set 20 mixes channels in place
# of time. Ends with another code than 0 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
import openvino
from onnx import parser

TEXT = {
    17: "y = DFT <axis = 2> (x)",
    20: "y = DFT (x, , axis)",
}


def seen(opset):
    axis = "<int64 axis = {2}>" if opset == 20 else ""
    model = parser.parse_model(
        f'<ir_version: 9, opset_import: ["": {opset}]> '
        f"g (float[1, 5, 7, 1] x) => (float[1, 5, 7, 2] y) {axis} {{ {TEXT[opset]} }}"
    ).SerializeToString()
    session = onnxruntime.InferenceSession(model)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU")
    runs = (lambda x: session.run(None, {"x": x})[0], lambda x: compiled({"x": x})[0])
    found = []
    for run in runs:
        zero = np.zeros((1, 5, 7, 1), np.float32)
        before = run(zero)[0, 0, 0, 0]
        moved = []
        for k in range(zero.size):
            x = zero.copy()
            x.reshape(-1)[k] = 1
            if run(x)[0, 0, 0, 0] != before:
                moved.append(k)
        found.append(moved)
    return found


for opset in (17, 20):
    ours, theirs = seen(opset)
    print(f"operator set {opset}: onnxruntime sees {ours}, OpenVINO {theirs}")
    assert ours == list(range(7)), ours
    assert theirs == (list(range(7)) if opset == 17 else [0, 7, 14, 21, 28]), theirs
PYTHON
