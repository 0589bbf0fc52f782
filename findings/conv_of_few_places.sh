#!/usr/bin/env bash
# onnxruntime 1.32.0, CPU (x86-64): Conv with one thread and without optimisation, on signals.
#
# The guess, written down first: with one thread a sum is added up in one order, so that of a signal
# of any length each output is the same bit for bit as in a longer one (away from the borders).
# That holds for sums of up to 128 addends (channels x kernel), and fails for 129 and more where
# there are no more than 64 outputs: shorter signals are given longer runs of addends at a time.
#
# Output: 126 addends: differs at no length; 129, 192 and 900 addends: at lengths of up to 64.
#
# Why it matters: a tile is not bit for bit the whole because few places are left at the bottom of a
# net, and 'one thread' alone does not help.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)


def lengths(channels):
    """The numbers of outputs, from 2 on, at which something differs from a long signal."""
    weights = RNG.standard_normal((8, channels, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "W"], ["y"])
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, "n"])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, "m"])
    tensors = [numpy_helper.from_array(weights, "W")]
    graph = helper.make_graph([node], "g", [given], [made], tensors)
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, ir_version=9, opset_imports=opsets)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    x = RNG.standard_normal((1, channels, 1000)).astype(np.float32)
    whole = session.run(None, {"x": x})[0]
    return [
        n
        for n in range(2, 400)
        if (session.run(None, {"x": x[..., : n + 2].copy()})[0] != whole[..., :n]).any()
    ]


for channels in (42, 43, 64, 300):
    found = lengths(channels)
    print(f"{3 * channels} addends:", f"up to {max(found)} outputs" if found else "none")
    assert not found if channels == 42 else (max(found) == 64 and len(found) > 50)
PYTHON
