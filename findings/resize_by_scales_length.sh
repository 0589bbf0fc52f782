#!/usr/bin/env bash
# onnx 1.23.2, onnxruntime 1.32.0: one Resize by float32(11 / 7) of seven elements.
#
# The good guess: the length that ONNX's shape inference and its reference implementation give is the
# length that onnxruntime gives. It isn't: they multiply exactly enough to get 10.99... and cut it off
# to 10; onnxruntime's kernel multiplies in single precision and gives 11, which is what the exporter
# (Keras writes sizes as quotients) meant. Of the 465 quotients up to 31 some 147 differ.
# onnxruntime uses ONNX's inference itself when it opens a model: with a static shape it refuses to add
# eleven elements to the result, and with an open shape it runs the same graph.
#
# Output: inferred 10, reference 10, runtime 11, static: refused, open: 11.
#
# Why it matters: receptive fields stand on shapes. One short, every position behind it is off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def made(size, added):
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["r"])]
    tensors = [numpy_helper.from_array(np.array([11 / 7], np.float32), "scales")]
    if added:
        nodes.append(helper.make_node("Add", ["r", "eleven"], ["y"]))
        tensors.append(numpy_helper.from_array(np.zeros(11, np.float32), "eleven"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [size])
    y = helper.make_tensor_value_info("y" if added else "r", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


def length(model):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return len(session.run(None, {"x": np.zeros(7, np.float32)})[0])


plain = made(7, added=False)
inferred = onnx.shape_inference.infer_shapes(plain).graph.output[0].type.tensor_type.shape
reference = ReferenceEvaluator(plain).run(None, {"x": np.zeros(7, np.float32)})[0]
try:
    static = length(made(7, added=True))
except Exception:
    static = "refused"
found = inferred.dim[0].dim_value, len(reference), length(plain), static, length(made("n", added=True))
print("inferred %s, reference %s, runtime %s, static: %s, open: %s" % found)
assert found == (10, 10, 11, "refused", 11)
PYTHON
