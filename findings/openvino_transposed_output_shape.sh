#!/usr/bin/env bash
# OpenVINO 2026.4.1, CPU: a transposed convolution with auto_pad SAME_UPPER and an output_shape.
#
# The good guess: with output_shape the padding is what is left over, and SAME_UPPER puts the odd one
# at the end: pads = [total // 2, total - total // 2], as ONNX's specification writes it, and as
# onnxruntime does.
#
# OpenVINO puts it at the beginning, as for SAME_LOWER, where an output_shape is given (with
# SAME_UPPER alone it does not): the outputs are the right ones, one place too far to the left.
#
# Output: one element 1 in the middle of 5, stride 2, weights 1 2 3, output_shape 10 (one of padding):
# onnxruntime SAME_UPPER puts 1 2 3 at 4 to 6; OpenVINO at 3 to 5, for SAME_LOWER as well.
#
# Why it matters: a decoder's maps are shifted by one pixel, at every such layer, and accuracy hardly
# tells. Ends with another code than 0 if that changes.
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

X = np.array([[[0, 0, 1, 0, 0]]], np.float32)


def made(auto, shape="output_shape = [10], "):
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 13]> g (float[1, 1, 5] x) => (float[1, 1, n] y) '
        "<float[1, 1, 3] w = {1, 2, 3}> "
        f'{{ y = ConvTranspose <strides = [2], {shape}auto_pad = "{auto}"> (x, w) }}'
    ).SerializeToString()
    ours = onnxruntime.InferenceSession(model).run(None, {"x": X})[0]
    theirs = openvino.Core().compile_model(openvino.Core().read_model(model), "CPU")({"x": X})[0]
    return [np.flatnonzero(y.reshape(-1)).tolist() for y in (ours, theirs)]


found = {auto: made(auto) for auto in ("SAME_UPPER", "SAME_LOWER")}
for auto, (ours, theirs) in found.items():
    print(f"{auto}: onnxruntime has numbers at {ours}, OpenVINO at {theirs}")
assert found["SAME_UPPER"] == [[4, 5, 6], [3, 4, 5]], found
assert found["SAME_LOWER"] == [[3, 4, 5], [3, 4, 5]], found
ours, theirs = made("SAME_UPPER", "")
print(f"SAME_UPPER without output_shape: {ours}, {theirs}")
assert ours == theirs == [4, 5, 6], (ours, theirs)
PYTHON
