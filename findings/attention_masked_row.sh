#!/usr/bin/env bash
# onnxruntime 1.32.0, CPU: one query of Attention of which the mask excludes all keys.
#
# The good guess: a row that is masked whole is NaN where the mask is -inf, as softmax makes it, and
# uniform where it is the lowest float; and it is the same for all versions of the operator. Neither
# holds: of False and of -inf the row is 0 and reads no value at all (so does the specification have
# it), and of the lowest float it is 0 in the versions 23 and 24, and uniform in 25.
#
# Output: 23: False nothing, -inf nothing, lowest nothing; 24 alike; 25: nothing, nothing, all.
#
# Why it matters: whether a padded query reads all keys or none decides what its batch entry sees.
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
FEEDS = {name: RNG.uniform(0.1, 1, (1, 1, 3, 2)).astype(np.float32) for name in "QKV"}
MASKS = {
    "False": np.array([[False, False, False], [True, True, True], [True, True, True]]),
    "-inf": np.array([[-np.inf] * 3, [0] * 3, [0] * 3], np.float32),
    "lowest": np.array([[np.finfo(np.float32).min] * 3, [0] * 3, [0] * 3], np.float32),
}


def reads(version, mask):
    """What the first query reads of V."""
    node = helper.make_node("Attention", [*"QKV", "mask"], ["Y"])
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in FEEDS.items()]
    output = helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(mask, "mask")]
    graph = helper.make_graph([node], "g", inputs, [output], tensors)
    opsets = [helper.make_opsetid("", version)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    before = session.run(None, FEEDS)[0]
    assert np.isfinite(before).all()
    seen = 0
    for key in range(3):
        changed = {name: value.copy() for name, value in FEEDS.items()}
        changed["V"][0, 0, key] += 5
        seen += bool((session.run(None, changed)[0] != before)[0, 0, 0].any())
    return {0: "nothing", 3: "all"}.get(seen, seen)


found = {v: [reads(v, mask) for mask in MASKS.values()] for v in (23, 24, 25)}
for version, row in found.items():
    print(version, ", ".join(f"{name} {what}" for name, what in zip(MASKS, row)))
assert found[23] == found[24] == ["nothing"] * 3
assert found[25] == ["nothing", "nothing", "all"]
PYTHON
