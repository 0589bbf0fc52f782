#!/usr/bin/env bash
# onnxruntime 1.32.0, CPU (x86-64), one thread: Elu, Softplus, Mish and others, element by element.
#
# The guess, written down first: an activation makes each element of one element alone, so the same
# number gives the same bits wherever it stands, and a prefix of the input a prefix of the output.
# That holds for Relu, Sigmoid, Tanh, Erf and Exp. It fails for those below: their elements that fill
# no vector, at the end, are computed by another function, which may round otherwise.
#
# Output: Relu, Sigmoid, Tanh, Erf, Exp: the same. Elu, Selu, Softplus, Mish, Log, Sin, Cos, Atan:
# the last 1 to 3 elements of prefixes differ, by 1e-6 at most.
#
# Why it matters: an image in tiles is not that of the whole bit for bit, without any sum.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

SAME = ("Relu", "Sigmoid", "Tanh", "Erf", "Exp")
OTHER = ("Elu", "Selu", "Softplus", "Mish", "Log", "Sin", "Cos", "Atan")
x = np.random.default_rng(0).uniform(-3, 3, 4003).astype(np.float32)


def session(name):
    node = helper.make_node(name, ["x"], ["y"])
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([node], "g", [given], [made])
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, ir_version=9, opset_imports=opsets)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


for name in (*SAME, *OTHER):
    run, data = session(name), np.abs(x) if name == "Log" else x
    whole = run.run(None, {"x": data})[0]
    ends, largest = set(), 0.0
    for length in range(1, 1200):
        part = run.run(None, {"x": data[:length]})[0]
        differs = np.flatnonzero(part != whole[:length])
        ends.update((length - differs).tolist())
        largest = max(largest, float(np.abs(part - whole[:length]).max()))
    print(name, f"differs in the last {max(ends)}, by {largest:.0e}" if ends else "the same")
    assert bool(ends) == (name in OTHER), name
    assert max(ends, default=1) <= 7, ends
    assert largest < 1e-5
PYTHON
