#!/usr/bin/env bash
# OpenVINO 2026.4.1, Python: an input of bfloat16, given as an array of ml_dtypes.
#
# The good guess: `request.infer({"x": array})` takes it as it is, as `compiled({"x": array})` does.
# By default `infer` copies its inputs, and an array of bfloat16 comes out as the bits of half
# precision, which are then read as bfloat16. With share_inputs=True, which is what calling the
# compiled model does, nothing is copied and the answer is right.
#
# Output: shared: 1, 2, -3, 0.5; copied: 0.0078125, 2, -32, 0.0000305.
#
# Why it matters: no error, no warning, and numbers that look like the model's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 openvino==2026.4.1
"$folder/venv/bin/python" - "$folder/model.onnx" <<'PYTHON'
import sys

import ml_dtypes
import numpy as np
import onnx
import openvino
from onnx import parser

MODEL = parser.parse_model("""
<ir_version: 9, opset_import: ["" : 17]>
g (bfloat16[4] x) => (float[4] y) { y = Cast<to = 1>(x) }
""")
onnx.save(MODEL, sys.argv[1])
x = np.array([1, 2, -3, 0.5], ml_dtypes.bfloat16)
request = openvino.Core().compile_model(sys.argv[1], "CPU").create_infer_request()
shared = request.infer({"x": x}, share_inputs=True).to_tuple()[0].copy()
copied = request.infer({"x": x}).to_tuple()[0].copy()
print("shared:", shared.tolist())
print("copied:", copied.tolist())
assert shared.tolist() == x.astype(np.float32).tolist() != copied.tolist()
PYTHON
