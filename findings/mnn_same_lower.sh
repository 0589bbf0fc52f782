#!/usr/bin/env bash
# MNN 3.6.1, CPU: a convolution with auto_pad SAME_LOWER, converted from ONNX.
#
# The good guess: where the padding is odd, SAME_LOWER puts one more at the beginning, SAME_UPPER at
# the end; a converter keeps that, or refuses what it can't say. MNN says the model is converted.
#
# MNN pads as for SAME_UPPER: what comes out is that of the units beside.
#
# Output: an image with a single 1 in row 2, a window of two rows of weights 1 and 2: SAME_LOWER has
# numbers in rows 2 and 3 with onnxruntime, in rows 1 and 2 with MNN.
#
# Why it matters: Keras's exporters write SAME_UPPER, others SAME_LOWER; on a phone the features are
# shifted by a row and a column per layer. Ends with another code than 0 if that changes.
#
# MNN's converter is called by the module that does the work: MNN.tools.mnnconvert installs packages
# and calls home when it is imported (findings/mnn_converter_calls_home.sh).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 MNN==3.6.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import _tools
import MNN.expr as expr
import MNN.nn as nn
import numpy as np
import onnx
import onnxruntime
from onnx import parser

X = np.zeros((1, 1, 6, 1), np.float32)
X[0, 0, 2, 0] = 1


def rows(auto):
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 13]> g (float[1, 1, 6, 1] x) => (float[1, 1, 6, 1] y) '
        f'<float[1, 1, 2, 1] w = {{1, 2}}> {{ y = Conv <auto_pad = "{auto}"> (x, w) }}'
    )
    onnx.save(model, "model.onnx")
    ours = onnxruntime.InferenceSession("model.onnx").run(None, {"x": X})[0]
    told = ["mnnconvert", "-f", "ONNX", "--modelFile", "model.onnx", "--MNNModel", "model.mnn"]
    _tools.mnnconvert([*told, "--bizCode", "finding"])
    net = nn.load_module_from_file("model.mnn", ["x"], ["y"])
    (y,) = net.forward([expr.const(X, list(X.shape), expr.NCHW)])
    theirs = np.array(expr.convert(y, expr.NCHW).read())
    return [np.flatnonzero(np.abs(y.reshape(-1)) > 1e-6).tolist() for y in (ours, theirs)]


found = {auto: rows(auto) for auto in ("SAME_UPPER", "SAME_LOWER")}
for auto, (ours, theirs) in found.items():
    print(f"{auto}: onnxruntime has numbers in rows {ours}, MNN in {theirs}")
assert found["SAME_UPPER"] == [[1, 2], [1, 2]], found
assert found["SAME_LOWER"] == [[2, 3], [1, 2]], found
PYTHON
