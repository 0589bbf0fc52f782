#!/usr/bin/env bash
# onnxruntime 1.32.0, CPU, and onnx 1.23.2: a Slice that goes backwards from the last of five
# elements to the greatest integer, as it is written to slice to the end.
#
# The good guess: the specification confines an end to [-1, 4] where the step is negative, so that
# the greatest integer, as 10 does, means 4, and nothing is left, whatever the type of the places.
# ONNX's shape inference and its reference say so. onnxruntime takes the greatest integer of the
# type for -1, the place before the first: it gives all five, turned round.
#
# Output: of int64: the greatest 5 and 10: 0; of int32 the greatest 5 and 10: 0; inference 0 each;
# the reference 0 each.
#
# Why it matters: a shape that is inferred, or a receptive field that is read off the specification,
# is of another value than the one that runs.
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

X = np.arange(5, dtype=np.float32)


def lengths(kind, end):
    """How many elements are left: in onnxruntime, by inference, and by the reference."""
    places = {"starts": -1, "ends": end, "axes": 0, "steps": -1}
    node = helper.make_node("Slice", ["x", *places], ["y"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([v], kind), name) for name, v in places.items()],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    checker.check_model(shape_inference.infer_shapes(model, data_prop=True), full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (made,) = session.run(None, {"x": X})
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph.output[0]
    (referred,) = ReferenceEvaluator(model).run(None, {"x": X})
    return len(made), inferred.type.tensor_type.shape.dim[0].dim_value, len(referred)


found = {}
for kind in (np.int64, np.int32):
    for end in (np.iinfo(kind).max, 10):
        found[np.dtype(kind).name, int(end)] = lengths(kind, end)
for (kind, end), (made, inferred, referred) in found.items():
    print(f"{kind} {end}: onnxruntime {made}, inference {inferred}, reference {referred}")
assert [made for made, _, _ in found.values()] == [5, 0, 5, 0], found
assert {told[1:] for told in found.values()} == {(0, 0)}, found
PYTHON
