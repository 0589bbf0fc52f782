#!/usr/bin/env bash
# OpenVINO 2026.4.1, CPU: QLinearSigmoid of com.microsoft, which onnxruntime's quantiser writes.
#
# The good guess: it is a sigmoid of what the numbers stand for, as it is in onnxruntime 1.32.0.
# OpenVINO opens the model without a word, and makes steps of the output before it adds the zero
# point: 128 of them and more are too many for int8, and the answer is the zero point, that is 0.
# What is less is cut off and not rounded.
#
# Output: right and onnxruntime: -128, -117, -66, 0, 51, 114, 126, 127; openvino: -128, -118, -67,
# and then -128 for all that is a half or more.
#
# Why it matters: of a detector that is quantised with QOperator what is likely gets the confidence
# 0, and no error says so; its outputs see nothing of the image. In QDQ the same model is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
"$folder/venv/bin/python" - "$folder/model.onnx" <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import parser

MODEL = parser.parse_model("""
<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
g (int8[8] x) => (int8[8] y)
<float xs = {0.05}, int8 xz = {3}, float ys = {0.00390625}, int8 yz = {-128}>
{ y = com.microsoft.QLinearSigmoid (x, xs, xz, ys, yz) }
""")
onnx.save(MODEL, sys.argv[1])
x = np.array([-128, -60, -20, 3, 20, 60, 100, 127], np.int8)
(here,) = onnxruntime.InferenceSession(sys.argv[1]).run(None, {"x": x})
(there,) = openvino.Core().compile_model(sys.argv[1], "CPU")({"x": x}).values()
right = np.round(1 / (1 + np.exp(-0.05 * (x.astype(float) - 3))) / 0.00390625) - 128
print("right      ", right.astype(int).tolist())
print("onnxruntime", here.tolist())
print("openvino   ", there.tolist())
assert np.abs(here - right).max() <= 1
assert np.abs(there - right)[right < 0].max() <= 1
assert (there[right >= 0] == -128).all()
PYTHON
