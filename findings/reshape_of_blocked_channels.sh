#!/usr/bin/env bash
# onnxruntime 1.32.0, CPU, all optimisations, the optimised model written to a file: where it can't tell
# that two convolutions are of one size, it puts a Reshape to (0, blocks, 0, 0, block) before their Add.
#
# The good guess: a Reshape of ONNX's own domain keeps the elements in row-major order, as its
# specification says: 32 channels in 4 blocks of 8 become (N, 4, H, W, 8), and the last axis runs along
# the columns of the picture.
#
# Its input comes from a convolution that keeps channels in blocks, and has the shape (N, 32, H, W) but
# not that order: the Reshape moves nothing in memory, and its last axis runs along the channels of a
# block. Read by the letter the file says something else than what runs.
#
# Output, by block size 8 (16 with AVX-512): the sum is the blocks' transposition: True; row-major: False.
#
# Why it matters: whoever reads an optimised file, to follow its elements or to run it elsewhere, has to
# know of every value whether its channels are in blocks; the operator does not say so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference

onnxruntime.set_default_logger_severity(4)
rng = np.random.default_rng(0)
weights = []


def conv(x, y, channels, outputs, kernel):
    """A convolution that keeps the size."""
    w = rng.standard_normal((outputs, channels, kernel, kernel)).astype(np.float32)
    weights.append(numpy_helper.from_array(w, f"w{len(weights)}"))
    pads = [kernel // 2] * 4
    return helper.make_node("Conv", [x, weights[-1].name], [y], pads=pads)


# Four channels are no block: between them the sizes get out of sight.
nodes = [
    helper.make_node("MaxPool", ["x"], ["a"], kernel_shape=[3, 3], pads=[1] * 4),
    conv("a", "b", 4, 32, 1),
    conv("a", "d", 4, 4, 1),
    conv("d", "e", 4, 4, 3),
    conv("e", "c", 4, 32, 1),
    helper.make_node("Add", ["b", "c"], ["s"]),
    helper.make_node("Relu", ["s"], ["r"]),
    conv("r", "y", 32, 32, 3),
]
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, "h", "w"])
outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "s")]
opset = [helper.make_opsetid("", 17)]


def model(outputs):
    graph = helper.make_graph(nodes, "g", [x], outputs, weights)
    made = helper.make_model(graph, ir_version=10, opset_imports=opset)
    checker.check_model(shape_inference.infer_shapes(made), full_check=True)
    return made.SerializeToString()


options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
options.optimized_model_filepath = "optimised.onnx"
onnxruntime.InferenceSession(model(outputs[:1]), options, providers=["CPUExecutionProvider"])

optimised = onnx.load("optimised.onnx")
(add,) = [node for node in optimised.graph.node if node.op_type == "Add"]
made_by = {name: node for node in optimised.graph.node for name in node.output}
assert [(made_by[i].op_type, made_by[i].domain) for i in add.input] == [("Reshape", "")] * 2
optimised.graph.output.append(helper.make_tensor_value_info(add.output[0], TensorProto.FLOAT, None))

given = {"x": rng.standard_normal((1, 4, 5, 6)).astype(np.float32)}
plain = onnxruntime.SessionOptions()
plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
(wanted,) = onnxruntime.InferenceSession(model(outputs), plain).run(["s"], given)
(found,) = onnxruntime.InferenceSession(optimised.SerializeToString(), plain).run(
    [add.output[0]], given
)
block = found.shape[-1]
blocks = wanted.reshape(1, 32 // block, block, 5, 6).transpose(0, 1, 3, 4, 2)
in_blocks = found.shape == blocks.shape and np.allclose(found, blocks, atol=1e-4)
row_major = np.allclose(found.reshape(-1), wanted.reshape(-1), atol=1e-4)
print(f"block {block}: the sum is the blocks' transposition: {in_blocks}; row-major: {row_major}")
assert in_blocks, found.shape
assert not row_major
PYTHON
