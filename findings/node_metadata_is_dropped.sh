#!/usr/bin/env bash
# onnxruntime 1.32.0 and onnx 1.23.2: what becomes of metadata_props on nodes and values when a tool
# writes the model anew.
#
# The guess, written down first: a rewriter keeps what it doesn't touch. Nodes that stay as they are
# keep their metadata, and only those that are fused or removed lose it.
#
# It holds for shape inference, the inliner, extract_model, and onnxruntime's optimised file with
# optimisation off. It fails for onnxruntime's optimised file at every level from BASIC on, and for
# onnx.version_converter: all nodes and all inputs lose theirs, those that nothing was done to as
# well. Of the model's own metadata the rewriters above keep all, and extract_model, which keeps the
# nodes', keeps none. Nothing is said, and the checker is content.
#
# Why it matters: exporters put the path of a module on each node (pkg.torch.onnx.name_scopes), and
# rfgraph annotate what it sees. Whoever optimises first, or changes the opset, has neither.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import onnx
import onnx.inliner
import onnxruntime
from onnx import parser, version_converter

folder = sys.argv[1]
model = parser.parse_model("""
    <ir_version: 10, opset_import: ["" : 17]>
    net (float[1, 1, 8, 8] x) => (float[1, 1, 6, 6] y)
    <float[1, 1, 3, 3] W = {1, 1, 1, 1, 1, 1, 1, 1, 1}>
    { a = Conv (x, W) b = Identity (a) c = Relu (b) d = Sigmoid (c) y = Tanh (d) }
""")
for node in model.graph.node:
    node.metadata_props.add(key="made", value=node.output[0])
for value in (*model.graph.input, *model.graph.output):
    value.metadata_props.add(key="made", value=value.name)
model.metadata_props.add(key="made", value="model")
onnx.checker.check_model(model)
onnx.save(model, f"{folder}/model.onnx")


def optimised(level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = f"{folder}/out.onnx"
    options.log_severity_level = 4
    onnxruntime.InferenceSession(f"{folder}/model.onnx", options)
    return onnx.load(f"{folder}/out.onnx")


def extracted():
    onnx.utils.extract_model(f"{folder}/model.onnx", f"{folder}/out.onnx", ["x"], ["c"])
    return onnx.load(f"{folder}/out.onnx")


ways = {
    "infer_shapes": lambda: onnx.shape_inference.infer_shapes(model),
    "inline_local_functions": lambda: onnx.inliner.inline_local_functions(model),
    "extract_model": extracted,
    "onnxruntime, no optimisation": lambda: optimised("ORT_DISABLE_ALL"),
    "onnxruntime, basic": lambda: optimised("ORT_ENABLE_BASIC"),
    "onnxruntime, extended": lambda: optimised("ORT_ENABLE_EXTENDED"),
    "onnxruntime, all": lambda: optimised("ORT_ENABLE_ALL"),
    "convert_version to 18": lambda: version_converter.convert_version(model, 18),
}
DROP = {"onnxruntime, basic", "onnxruntime, extended", "onnxruntime, all", "convert_version to 18"}
for way, write in ways.items():
    made = write()
    onnx.checker.check_model(made)
    graph = made.graph
    kept = [bool(each.metadata_props) for each in (*graph.node, *graph.input)]
    print(f"{way}: {sum(kept)} of {len(kept)} nodes and inputs, model {bool(made.metadata_props)}")
    assert len(graph.node) >= 3
    assert not any(kept) if way in DROP else all(kept), way
    assert bool(made.metadata_props) == (way != "extract_model"), way
PYTHON
