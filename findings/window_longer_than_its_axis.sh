#!/usr/bin/env bash
# onnx 1.23.2 and onnxruntime 1.32.0, CPU: windows of 3 on an axis of 2 elements, without padding.
#
# The good guess: floor((2 - 3) / stride) + 1 windows, as the specification writes it: none, with a
# stride of 1 as with one of 2. ONNX's reference says so.
#
# ONNX's shape inference and onnxruntime divide towards zero: (2 - 3) / 2 is 0, and with a stride of 2
# there is one window. A pool answers with it, from the two elements that there are. A convolution is
# opened as making one element, and is refused when it runs.
#
# Output: MaxPool stride 1: inferred 0, made 0, reference not asked; stride 2: inferred 1, made 1,
# reference 0. AveragePool the same. Conv stride 2: inferred 1, made: refused.
#
# Why it matters: sizes that a tool tries for open axes meet such windows, and whether there is a unit,
# and so a receptive field, depends on how a negative number is divided.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
X = np.array([[[3, 5]]], np.float32)


def lengths(kind, stride):
    """How many elements there are: inferred, made by onnxruntime, and by the reference."""
    weights = [numpy_helper.from_array(np.ones((1, 1, 3), np.float32), "w")]
    weights = weights if kind == "Conv" else []
    given = ["x", *(weight.name for weight in weights)]
    node = helper.make_node(kind, given, ["y"], kernel_shape=[3], strides=[stride])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [x], [y], weights)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    told = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    checker.check_model(told, full_check=True)
    inferred = told.graph.output[0].type.tensor_type.shape.dim[2].dim_value
    session = onnxruntime.InferenceSession(model.SerializeToString())
    try:
        made = session.run(None, {"x": X})[0].reshape(-1).tolist()
    except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument:
        made = "refused"
    referred = None
    if stride > 1:
        referred = ReferenceEvaluator(model).run(None, {"x": X})[0].size
    return inferred, made, referred


found = {(kind, s): lengths(kind, s) for kind in ("MaxPool", "AveragePool", "Conv") for s in (1, 2)}
for (kind, stride), (inferred, made, referred) in found.items():
    print(f"{kind} stride {stride}: inferred {inferred}, made {made}, reference {referred}")
assert found["MaxPool", 1] == (0, [], None), found
assert found["MaxPool", 2] == (1, [5], 0), found
assert found["AveragePool", 1] == (0, [], None), found
assert found["AveragePool", 2] == (1, [4], 0), found
assert found["Conv", 1][:2] == (0, "refused"), found
assert found["Conv", 2] == (1, "refused", 0), found
PYTHON
